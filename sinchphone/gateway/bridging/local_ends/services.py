"""The exchange's own ends of calls: attendants and rooms."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

from sinchphone.exchange.conference.rooms import REMOVED, Participant, Rooms
from sinchphone.exchange.conference.roster import tell_roster
from sinchphone.exchange.destinations.behaviour import behave, prepare
from sinchphone.exchange.destinations.dialplan import Plan
from sinchphone.gateway.bridging.connections.connection import CallerConnection
from sinchphone.gateway.bridging.lifetime import CallLifetime
from sinchphone.gateway.bridging.local_ends.local_end import LocalEnd
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.legs.mxp import MxpIncomingLeg
from sinchphone.gateway.legs.reasons import DECLINED, NO_ANSWER, CallEnding
from sinchphone.gateway.routing.routing import Terms, ToRoom
from sinchphone.gateway.svaml.stream import CallStream
from sinchphone.media.sound import Party
from sinchphone.protocol.callbacks.events import Reason
from sinchphone.protocol.callbacks.menu import MenuResult, MenuResultType
from sinchphone.protocol.callbacks.svaml import DtmfMode
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.protocol.rtp.telephone_event import PAUSES

# asks the backend about the party that answers; what the caller is to talk with then, or None: the call isn't with the party any more
MayAnswer = Callable[[Party], Awaitable[Party | None]]


TellDigits = Callable[[MenuResult], None]  # of a room; never waits


async def attend(
    lifetime: CallLifetime, connection: CallerConnection, end: LocalEnd, plan: Plan, terms: Terms, may_answer: MayAnswer
) -> None:
    """Let an attendant have the call, until it is over. It rings no longer than ``terms`` let it, and hears their digits first."""
    act = await asyncio.to_thread(prepare, plan)
    call = _AttendedCall(lifetime, end, act.party, terms.dtmf, may_answer)
    if terms.ring_s is not None:
        connection.spawn(call.give_up_after(terms.ring_s), "ring time")
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
        await self._lifetime.ring()
        await self._end.ring()

    async def answer(self) -> None:
        """Pick up, unless the backend has it otherwise."""
        self._decided.set()
        party = await self._may_answer(self._party)
        self._is_taken = party is not None
        if party is not None:
            self._party = party
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


async def enter_room(
    lifetime: CallLifetime, connection: CallerConnection, end: LocalEnd, rooms: Rooms, application: str, route: ToRoom, tell: TellDigits
) -> None:
    """Connect the caller to a room; ``tell`` is told digits where the route has them detected. Raises RefusedError where there is no place
    in it, MediaError where no sound comes."""
    caller = lifetime.caller

    async def kick() -> None:
        lifetime.end(CallEnding("exchange", Failure(603, REMOVED.message), Reason.MANAGER_HANGUP))

    name = caller.caller
    who = Participant(caller.id, name.identity, name.caller_id or name.identity)
    taken = rooms.enter(application, route.room, who, kick, end.send_digits)
    lifetime.keep(taken.leave)
    connection.keep(taken.leave)
    taken.play_alone(route.music)
    await end.pick_up()
    await end.heard()
    await end.quiet()
    await taken.sound.connect(end.leg)
    match route.dtmf.mode:
        case DtmfMode.FORWARD:
            connection.spawn(_forward_digits(end, rooms, application, route.room), "digits")
        case DtmfMode.DETECT:
            connection.spawn(_collect_digits(end, route, tell), "digits")
        case DtmfMode.IGNORE:
            pass
    if isinstance(caller, MxpIncomingLeg):  # phones have no word for it
        caller.report_muting(taken.mute_self)
        connection.spawn(tell_roster(partial(rooms.roster, application, route.room, taken), caller.tell_client_event), "roster")
    connection.seat = taken


async def _forward_digits(end: LocalEnd, rooms: Rooms, application: str, room: str) -> None:
    async for digit in end.heard_digits():
        await rooms.pass_digit(application, room, end.caller.id, digit)


async def _collect_digits(end: LocalEnd, route: ToRoom, tell: TellDigits) -> None:
    """So many at a time, or what there is when no other comes for so long."""
    while True:
        digits = await end.next_digit()
        with suppress(TimeoutError):
            while len(digits) < route.dtmf.max_digits:
                digits += await asyncio.wait_for(end.next_digit(), route.dtmf.timeout_ms / 1000)
        tell(MenuResult(route.room, MenuResultType.SEQUENCE, digits, digits_given=True))


async def stream_sound(lifetime: CallLifetime, end: LocalEnd, stream: CallStream, max_seconds: float | None) -> None:
    """Let the caller talk with a developer's server, until it ends the call, ``max_seconds`` at most. Raises CallRefusedError, and
    MediaError where no sound comes."""
    lifetime.keep(stream.close)
    await lifetime.ring()
    await end.ring()
    await stream.open()
    lifetime.talks(max_seconds)
    await end.pick_up()
    await end.heard()
    await end.listen(stream.sound)
    lifetime.end(await stream.run())
