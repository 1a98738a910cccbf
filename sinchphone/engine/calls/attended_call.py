"""A call as those have it who answer by program: built-in users, simulated numbers, rooms. What people do is in ``engine.call``."""

from collections.abc import AsyncIterator, Callable

from sinchphone.engine.calls.call import BUSY, Call, DigitHeard
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.room_events import MutedHere, decode_room_event
from sinchphone.protocol.call.states import State
from sinchphone.protocol.mxp.message import CallFailure

_DECIDED = (BUSY, 600, 603)  # what people decide (RFC 3261 21.4.24, 21.6): MXP's DENY; anything else is an ERROR


class AttendedCall(Call):
    """An incoming call that an attendant has."""

    _told_of_muting: Callable[[bool], None] | None = None

    def tell_client_event(self, body: str) -> None:
        """Tell the caller something that MXP has no word for."""
        self._driver.put(v.TellClientEvent(body))

    def report_muting(self, told: Callable[[bool], None]) -> None:
        """From now on ``told`` is called when the caller says whether it's muted."""
        self._told_of_muting = told

    def _hear_client_event(self, body: str) -> None:
        event = decode_room_event(body)
        if isinstance(event, MutedHere) and self._told_of_muting is not None:
            self._told_of_muting(event.muted)
        else:
            super()._hear_client_event(body)

    async def ring(self) -> None:
        """Wait until the caller has been told that it rings, with our answer to its offer: the path is ready when it's picked up."""
        await self._reaches(State.RINGING)

    async def fail(self, failure: CallFailure) -> None:
        """Give up a call that can't be served; the caller learns why. May be called at any time, more than once."""
        self._driver.put(v.Failed(failure))

    async def refuse(self, failure: CallFailure | None) -> None:
        """Don't pick up, or end a call that talks. Without a failure somebody declined; 486 is busy."""
        talks = self.state in (State.ANSWERED, State.ESTABLISHED)
        if failure is None or talks or failure.code in _DECIDED:
            await self.hang_up(failure)
        else:
            await self.fail(failure)

    async def digits(self) -> AsyncIterator[str]:
        """The digits that the caller sends, each as it comes; ends with the call. Reads the call's events: one reader."""
        async for event in self.events():
            if isinstance(event, DigitHeard):
                yield event.digit
