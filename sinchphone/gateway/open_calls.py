"""The calls that go on, by their legs: whoever transfers a call names one of them, to be replaced by a new caller (RFC 3891)."""

from collections.abc import Callable
from typing import Protocol

from sinchphone.gateway.legs.leg import IncomingLeg, Leg
from sinchphone.gateway.legs.sip import OF_LEG, SipIncomingLeg, SipOutgoingLeg
from sinchphone.gateway.relay.relay import Side
from sinchphone.gateway.sip.calls import SipCall
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.quick_dataclass import quick_dataclass


class ReplaceableCall(Protocol):
    """A call whose sides can change."""

    async def replace(self, side: Side, by: IncomingLeg) -> None:
        """Put ``by`` in that side's place, which is hung up on; returns when ``by`` is over, who is refused where that can't be."""


@quick_dataclass(frozen=True, slots=True)
class OpenLeg:
    """One side of a call of an application."""

    call: ReplaceableCall
    side: Side
    leg: Leg
    application: str


class OpenCalls:
    """Of one gateway."""

    def __init__(self, sip_call_of: Callable[[ReplacedDialog], SipCall | None]) -> None:
        """``sip_call_of`` knows the dialogs of the user agents."""
        self._sip_call_of = sip_call_of
        self._legs: dict[str, OpenLeg] = {}

    def add(self, open_leg: OpenLeg) -> None:
        """It talks from now on."""
        self._legs[open_leg.leg.id] = open_leg

    def remove(self, leg: Leg) -> None:
        """It doesn't any more. May be called twice."""
        found = self._legs.get(leg.id)
        if found is not None and found.leg is leg:
            del self._legs[leg.id]

    def find(self, leg_id: str, application: str) -> OpenLeg | None:
        """The leg of that id, where it is a call's of that application."""
        found = self._legs.get(leg_id)
        return found if found is not None and found.application == application else None

    def leg_id_of(self, dialog: ReplacedDialog) -> str | None:
        """The id of the leg that has that dialog. A call between users isn't ours: whoever has it knows."""
        if dialog.to_tag == dialog.from_tag == OF_LEG:
            return dialog.call_id
        wanted = self._sip_call_of(dialog)
        if wanted is None:
            return None
        sip_legs = (one.leg for one in self._legs.values() if isinstance(one.leg, SipIncomingLeg | SipOutgoingLeg))
        return next((leg.id for leg in sip_legs if leg.sip_call is wanted), None)
