"""Transfer: one side wants the other one to call somebody else. That one does it by itself, with its own rights: nobody's money is spent
on another's word.
"""

from collections.abc import Callable
from typing import TypeAlias

from sinchphone.gateway.legs.leg import Leg, TransferAsked
from sinchphone.protocol.call.transfer_events import NO_CALL_TO_REPLACE, TransferNews
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog

LegIdOf: TypeAlias = Callable[[ReplacedDialog], str | None]  # of the leg that has that dialog


async def transfer(asks: Leg, other: Leg | None, wish: TransferAsked, leg_id_of: LegIdOf) -> None:
    """Have ``other`` call there, and tell who ``asks`` how that goes. Who asked leaves then; where it failed the call goes on."""
    if other is None:
        await asks.tell_transfer(TransferNews(501, "what the exchange answers itself is transferred to nobody"))
        return
    replaces = leg_id_of(wish.replaces) if isinstance(wish.replaces, ReplacedDialog) else wish.replaces
    if replaces is None:
        await asks.tell_transfer(TransferNews(481, NO_CALL_TO_REPLACE))
        return
    await asks.tell_transfer(TransferNews(100))
    failure = await other.transfer(wish.to, replaces)
    await asks.tell_transfer(TransferNews(200) if failure is None else TransferNews(failure.status, failure.reason))
