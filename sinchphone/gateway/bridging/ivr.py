"""The exchange's own ends of calls, at a seat: attendants, rooms, announcements."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

from sinchphone.audio.frame import RATE, Samples
from sinchphone.exchange.conference.rooms import Participant, Rooms
from sinchphone.exchange.destinations.behaviour import behave, prepare
from sinchphone.exchange.destinations.dialplan import Plan
from sinchphone.exchange.destinations.parties import Speaker
from sinchphone.gateway.bridging.local_end import LocalEnd
from sinchphone.gateway.bridging.stage import Ending, Stage
from sinchphone.gateway.legs.leg import Failure
from sinchphone.gateway.legs.reasons import DECLINED
from sinchphone.media.sound import Party
from sinchphone.protocol.callback_events import Reason
from sinchphone.protocol.mxp import CallFailure
from sinchphone.protocol.svaml import Answer, Instruction, PlayFiles, Say, SendDtmf, SetCookie

REMOVED: Final = Failure(603, "removed from the conference")
_AFTER_WORDS_S: Final = 0.2  # on their way when the last is said

MayAnswer = Callable[[], Awaitable[bool]]  # asks the backend; False: the call is over


class Announcer(Protocol):
    """Turns what a backend wants to be heard into sound (``callbacks.announcements``)."""

    async def render(self, instruction: Say | PlayFiles) -> Samples:
        """The sound; what can't be had is left out."""

    async def failure(self) -> Samples:
        """What a caller hears where the backend gave no answer."""


async def attend(stage: Stage, seat: LocalEnd, plan: Plan, may_answer: MayAnswer) -> None:
    """Let an attendant have the call, until it is over."""
    act = await asyncio.to_thread(prepare, plan)
    await behave(_AttendedCall(stage, seat, act.party, may_answer), act)


class _AttendedCall:
    """A seated caller, as an attendant sees the call (implements ``behaviour.Attended``)."""

    def __init__(self, stage: Stage, seat: LocalEnd, party: Party, may_answer: MayAnswer) -> None:
        self._stage = stage
        self._seat = seat
        self._party = party
        self._may_answer = may_answer

    async def ring(self) -> None:
        """Tell the caller."""
        await self._stage.caller.ring()
        await self._seat.ring()

    async def answer(self) -> None:
        """Pick up, unless the backend has it otherwise."""
        if await self._may_answer():
            await self._seat.pick_up()

    async def refuse(self, failure: CallFailure | None) -> None:
        """End the call with that."""
        told = DECLINED if failure is None else Failure(failure.code or 480, failure.message)
        self._stage.end(Ending("called", told))

    async def established(self) -> bool:
        """Wait for sound; from then on the attendant is heard."""
        await self._seat.heard()
        await self._seat.listen(self._party)
        return True

    async def dtmf(self, digits: str) -> None:
        """Send them as telephone-events."""
        await self._seat.port.dtmf(digits)

    def digits(self) -> AsyncIterator[str]:
        """What the caller presses."""
        return self._seat.heard_digits()

    async def hang_up(self) -> None:
        """End the call."""
        self._stage.end(Ending("called"))


async def enter_room(stage: Stage, seat: LocalEnd, rooms: Rooms, application: str, room: str) -> None:
    """Give the caller a place in a room. Raises RefusedError where there is none, MediaError where no sound comes."""
    caller = stage.caller

    async def kick() -> None:
        stage.end(Ending("exchange", REMOVED, Reason.MANAGER_HANGUP))

    name = caller.caller
    taken = rooms.enter(application, room, Participant(caller.id, name.identity, name.caller_id or name.identity), kick)
    stage.keep(taken.leave)
    await seat.pick_up()
    await seat.heard()
    await seat.quiet()
    await taken.sound.connect(seat.port.leg)


class Speaking:
    """Says things to a seated caller, before the call goes on."""

    def __init__(self, seat: LocalEnd, announcer: Announcer) -> None:
        self._seat = seat
        self._announcer = announcer

    async def carry_out(self, instructions: tuple[Instruction, ...]) -> None:
        """One after the other (SVAML). Raises MediaError where something can't be heard."""
        for instruction in instructions:
            match instruction:
                case Answer():
                    await self._seat.pick_up()
                case Say() | PlayFiles():
                    await self.say(await self._announcer.render(instruction))
                case SendDtmf(digits):
                    await self._seat.preview()
                    await self._seat.port.dtmf(digits)
                case SetCookie():
                    pass  # the session with the backend has taken it

    async def apologise(self) -> None:
        """The platform's rule where the backend fails: the caller hears a message."""
        await self.say(await self._announcer.failure())

    async def say(self, samples: Samples) -> None:
        """Say that, early where the call isn't answered, and wait until it is said."""
        await self._seat.preview()
        speaker = Speaker()
        speaker.say(samples)
        await self._seat.listen(speaker)
        await asyncio.sleep(len(samples) / RATE + _AFTER_WORDS_S)
        await self._seat.quiet()
