"""Transfer: one side wants the other one to call somebody else. That one does it by itself, with its own rights: nobody's money is spent
on another's word.
"""

from sinchphone.gateway.legs.leg import Leg
from sinchphone.protocol.call.transfer_events import TransferNews


async def transfer(asks: Leg, other: Leg | None, to: str) -> None:
    """Have ``other`` call there, and tell who ``asks`` how that goes. Who asked leaves then; where it failed the call goes on."""
    if other is None:
        await asks.tell_transfer(TransferNews(501, "what the exchange answers itself is transferred to nobody"))
        return
    await asks.tell_transfer(TransferNews(100))
    failure = await other.transfer(to)
    await asks.tell_transfer(TransferNews(200) if failure is None else TransferNews(failure.status, failure.reason))
