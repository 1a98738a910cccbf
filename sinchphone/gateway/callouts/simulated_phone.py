"""A simulated phone that calls a number of the exchange's: it plays a file or a tone, presses keys, listens, hangs up.

::

    SimulatedPhone -> LocalCaller -> B2buaCall: the backend's ICE (originationType pstn), or the dial plan, or the user of that number
                   <- ringing, answered, gone
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias, assert_never

from sinchphone.audio.frame import FRAME_SECONDS, RATE, Frame, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.exchange.destinations.backend_calls import SimulatedCallState, SimulatedCallStatus, SimulatedCallWish
from sinchphone.exchange.destinations.parties import Recording, Sequence, Silence, Tone
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.legs.leg import (
    AnswerChanged,
    Answered,
    BranchRings,
    DigitPressed,
    Early,
    Gone,
    Reoffered,
    Ringing,
    TransferAsked,
    Trickled,
)
from sinchphone.gateway.legs.reasons import NO_ANSWER
from sinchphone.gateway.local_channel.legs import LocalCaller
from sinchphone.media.port import PortDigitHeard
from sinchphone.media.sound import Party
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker

AUDIBLE_DBFS: Final = -50.0
MAX_DIGITS_KEPT: Final = 256
BEFORE_DIGITS_SECONDS: Final = 0.5
AFTER_SOUND_SECONDS: Final = 0.3
RING_SECONDS: Final = 60.0

Call: TypeAlias = Callable[[LocalCaller], Coroutine[Any, Any, None]]


class _HearingParty:
    """A party that counts what it hears beside another one's words."""

    def __init__(self, says: Party) -> None:
        self._says = says
        self.frames = 0

    def tick(self, far: Frame) -> Frame:
        """The next 20 ms of the other's words."""
        self.frames += dbfs(far) > AUDIBLE_DBFS
        return self._says.tick(far)


class SimulatedPhone:
    """One call. ``run`` it once; cancelling hangs up."""

    def __init__(self, caller: LocalCaller, wish: SimulatedCallWish, sound: Samples, media: MediaThread) -> None:
        """``sound`` is what the wish's file says."""
        says: Party = Tone(wish.tone_hz) if wish.tone_hz is not None else Silence()
        self._ear = _HearingParty(Sequence(Recording(sound), says) if len(sound) else says)
        self._caller = caller
        self._wish = wish
        self._sound_s = len(sound) / RATE
        self._sound = Ticker(self._ear, media)
        self._state = SimulatedCallState.CALLING
        self._failure: Failure | None = None
        self._answered_at: float | None = None
        self._talked_s: float | None = None
        self._digits = ""
        self._answered = asyncio.Event()

    @property
    def status(self) -> SimulatedCallStatus:
        """How it stands."""
        talked_s = self._talked_s
        if talked_s is None and self._answered_at is not None:
            talked_s = time.monotonic() - self._answered_at
        return SimulatedCallStatus(
            id=self._caller.id,
            state=self._state,
            failure=(self._failure.status, self._failure.reason) if self._failure is not None else None,
            talked_s=talked_s,
            digits=self._digits,
            heard_s=round(self._ear.frames * FRAME_SECONDS, 2),
        )

    async def hang_up(self) -> None:
        """End the call, in any state."""
        await self._caller.far.hang_up()

    async def run(self, call: Call) -> None:
        """From the first sign to the last; ``call`` carries the call."""
        try:
            async with asyncio.TaskGroup() as group:
                work = {"signs": self._read(), "keys": self._hear_keys(), "talk": self._talk()}
                beside = [group.create_task(each, name=f"{name} {self._caller.id}") for name, each in work.items()]
                try:
                    await call(self._caller)
                finally:
                    self._end()
                    for task in beside:
                        task.cancel()
        finally:
            await self._sound.close()
            await self._caller.far.port.close()

    async def _read(self) -> None:
        async for event in self._caller.far.events():
            match event:
                case Ringing() if self._state is SimulatedCallState.CALLING:
                    self._state = SimulatedCallState.RINGING
                case Answered():
                    self._state, self._answered_at = SimulatedCallState.ANSWERED, time.monotonic()
                    self._answered.set()
                case Gone(failure=failure):
                    self._failure = self._failure or failure
                case Ringing() | BranchRings() | Early() | Trickled() | Reoffered() | AnswerChanged() | DigitPressed() | TransferAsked():
                    pass
                case _:
                    assert_never(event)

    async def _talk(self) -> None:
        """Wait for the answer, say what there is to say, and hang up in time."""
        wish = self._wish
        try:
            async with asyncio.timeout(wish.ring_s or RING_SECONDS):
                await self._answered.wait()
        except TimeoutError:
            self._failure = NO_ANSWER
            await self.hang_up()
            return
        began = time.monotonic()
        await self._sound.connect(self._caller.far.port.leg)
        if wish.digits:
            await asyncio.sleep(BEFORE_DIGITS_SECONDS)
            await self._caller.far.port.dtmf(wish.digits)
        talk_s = self._sound_s + AFTER_SOUND_SECONDS if wish.ends_after_sound else wish.talk_s
        if talk_s is not None:
            await asyncio.sleep(max(0.0, began + talk_s - time.monotonic()))
            await self.hang_up()

    async def _hear_keys(self) -> None:
        async for event in self._caller.far.port.events():
            if isinstance(event, PortDigitHeard) and len(self._digits) < MAX_DIGITS_KEPT:
                self._digits += event.digit

    def _end(self) -> None:
        if self._answered_at is not None:
            self._talked_s = time.monotonic() - self._answered_at
        if self._failure is None and self._answered_at is None:
            self._failure = NO_ANSWER
        self._state = SimulatedCallState.ENDED
