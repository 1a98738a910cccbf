"""The exchange's own ends of calls: attendants and rooms."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from sinchphone.exchange.conference.rooms import REMOVED, Participant, Rooms, RoomSeat
from sinchphone.exchange.destinations.behaviour import behave, prepare
from sinchphone.exchange.destinations.dialplan import Plan
from sinchphone.gateway.bridging.lifetime import CallLifetime
from sinchphone.gateway.bridging.local_end import LocalEnd
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.legs.reasons import DECLINED, NO_ANSWER, CallEnding
from sinchphone.gateway.routing.routing import Terms
from sinchphone.gateway.svaml.stream import Stream
from sinchphone.media.sound import Party
from sinchphone.protocol.callbacks.events import Reason
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.protocol.rtp.telephone_event import PAUSES

MayAnswer = Callable[[], Awaitable[bool]]  # asks the backend; False: the call is over


async def attend(lifetime: CallLifetime, end: LocalEnd, plan: Plan, terms: Terms, may_answer: MayAnswer) -> None:
    """Let an attendant have the call, until it is over. It rings no longer than ``terms`` let it, and hears their digits first."""
    act = await asyncio.to_thread(prepare, plan)
    call = _AttendedCall(lifetime, end, act.party, terms.dtmf, may_answer)
    if terms.ring_s is not None:
        lifetime.spawn(call.give_up_after(terms.ring_s), "ring time")
    await behave(call, act)


class _AttendedCall:
    """A caller, as an attendant sees the call (implements ``behaviour.Attended``)."""

    def __init__(self, lifetime: CallLifetime, end: LocalEnd, party: Party, dtmf: str, may_answer: MayAnswer) -> None:
        """``dtmf``: digits and pauses that the attendant hears after the answer, before those of the caller."""
        self._dtmf = dtmf
        self._decided = asyncio.Event()
        self._lifetime = lifetime
        self._end = end
        self._party = party
        self._may_answer = may_answer
        self._is_taken = True  # False: the backend has something else in mind

    async def give_up_after(self, seconds: float) -> None:
        """End the call where it isn't answered by then."""
        try:
            async with asyncio.timeout(seconds):
                await self._decided.wait()
        except TimeoutError:
            self._lifetime.end(CallEnding("time", NO_ANSWER, Reason.NO_ANSWER))

    async def ring(self) -> None:
        """Tell the caller."""
        await self._lifetime.caller.ring()
        await self._end.ring()

    async def answer(self) -> None:
        """Pick up, unless the backend has it otherwise."""
        self._decided.set()
        self._is_taken = await self._may_answer()
        if self._is_taken:
            await self._end.pick_up()

    async def refuse(self, failure: CallFailure | None) -> None:
        """End the call with that."""
        told = DECLINED if failure is None else Failure(failure.code or 480, failure.message)
        self._lifetime.end(CallEnding("called", told))

    async def established(self) -> bool:
        """Wait for sound; from then on the attendant is heard, unless the backend has it otherwise."""
        if not self._is_taken:
            return False
        await self._end.heard()
        await self._end.listen(self._party)
        return True

    async def dtmf(self, digits: str) -> None:
        """Send them as telephone-events."""
        await self._end.send_digits(digits)

    async def digits(self) -> AsyncIterator[str]:
        """What is dialled after the answer, then what the caller presses."""
        for digit in self._dtmf:
            if digit in PAUSES:
                await asyncio.sleep(PAUSES[digit])
            else:
                yield digit
        async for digit in self._end.heard_digits():
            yield digit

    async def hang_up(self) -> None:
        """End the call."""
        self._lifetime.end(CallEnding("called"))


async def enter_room(lifetime: CallLifetime, end: LocalEnd, rooms: Rooms, application: str, room: str) -> RoomSeat:
    """Give the caller a place in a room, which is returned. Raises RefusedError where there is none, MediaError where no sound comes."""
    caller = lifetime.caller

    async def kick() -> None:
        lifetime.end(CallEnding("exchange", Failure(603, REMOVED.message), Reason.MANAGER_HANGUP))

    name = caller.caller
    taken = rooms.enter(application, room, Participant(caller.id, name.identity, name.caller_id or name.identity), kick)
    lifetime.keep(taken.leave)
    await end.pick_up()
    await end.heard()
    await end.quiet()
    await taken.sound.connect(end.leg)
    return taken


async def stream_sound(lifetime: CallLifetime, end: LocalEnd, stream: Stream) -> None:
    """Let the caller talk with a developer's server, until it ends the call. Raises CallRefusedError, and MediaError where no sound
    comes."""
    lifetime.keep(stream.close)
    await lifetime.caller.ring()
    await end.ring()
    await stream.open()
    await end.pick_up()
    await end.heard()
    await end.listen(stream.sound)
    lifetime.end(await stream.run())
