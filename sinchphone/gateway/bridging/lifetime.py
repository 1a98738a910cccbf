"""One call's lifetime: who called, the legs and tasks that run for it, what is to be freed, and how it ended."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Protocol

from sinchphone.engine.calls.machine_driver import GOODBYE_S
from sinchphone.errors import NoPortError, SinchphoneError
from sinchphone.exchange.record.record import EventRecord, sip_name
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.legs.leg import IncomingLeg, Leg, LegEvent, OutgoingLeg
from sinchphone.gateway.legs.reasons import BROKEN, CLOSING, TOO_LONG, CallEnding, failure_of_error
from sinchphone.protocol.callbacks.events import Reason
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.protocol.voice_limits import MAX_CALL_SECONDS

_log = logging.getLogger(__name__)


class CallerMedia(Protocol):
    """Whatever has the caller's media at present. Methods raise MediaError."""

    async def take(self, event: LegEvent) -> None:
        """Something that the caller's leg said about media: a candidate, a new offer, a digit, an answer."""


class CallLifetime:
    """One call as its parts share it. ``run`` it once; cancelling ends the call."""

    def __init__(
        self,
        caller: IncomingLeg,
        leg_id_of: Callable[[ReplacedDialog], str | None] = lambda _: None,
        record: EventRecord | None = None,
    ) -> None:
        """``leg_id_of``: the leg that has a dialog, which a side wants to be replaced; ``record`` is told what belongs to the call."""
        self.record = record or EventRecord(is_on=False)
        self.caller = caller
        self.leg_id_of = leg_id_of
        self.max_seconds: float = MAX_CALL_SECONDS  # from the answer on; counts at the answer
        self._talk: tuple[float, float] | None = None  # how long the present talk may last, and when it began
        self._talk_changed = asyncio.Event()
        self._over: asyncio.Future[CallEnding] = asyncio.get_running_loop().create_future()
        self._group = asyncio.TaskGroup()
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[Leg, asyncio.Task[None]] = {}
        self._taken: set[OutgoingLeg] = set()
        self._answered_at: float | None = None
        self.is_answered = asyncio.Event()

    @property
    def ending(self) -> CallEnding:
        """How it ended; an exchange that closes, where nobody has said anything yet."""
        return self._over.result() if self._over.done() and not self._over.cancelled() else CallEnding("exchange", CLOSING)

    @property
    def talked_seconds(self) -> float | None:
        """Since the answer; ``None`` where there was none."""
        return None if self._answered_at is None else time.monotonic() - self._answered_at

    def note_sound(self, with_whom: str, what: str, *, is_failure: bool = False) -> None:
        """For the record: how it stands with the sound of one side."""
        self.record.note(self.caller.id, "media", "exchange", "exchange", f"sound with {with_whom}: {what}", is_failure=is_failure)

    def take_over(self, leg: OutgoingLeg) -> None:
        """What a leg was given when it was made (a line of a trunk) is freed, whatever happens to the call before it runs."""
        if leg not in self._taken:
            self._taken.add(leg)
            for name in (leg.id, sip_name(leg.id)):
                self.record.link(name, self.caller.id)
            self._stack.callback(leg.release)

    def run_leg(self, leg: OutgoingLeg) -> None:
        """Run it beside, hang it up when the call ends, and release it at last."""
        self.take_over(leg)
        self._run_leg(leg)

    async def dismiss(self, leg: OutgoingLeg, failure: Failure | None) -> None:
        """Hang up on it: the call goes on without it. What it was given when it was made is freed when it is over."""
        await leg.hang_up(failure)
        if leg in self._running:
            self.spawn(self._free(leg), "freed")

    async def _free(self, leg: OutgoingLeg) -> None:
        await asyncio.wait({self._running[leg]})
        leg.release()

    async def carry(self, leg: Leg) -> None:
        """Run a leg that has come later beside, until it is over, and hang it up when the call ends."""
        self._run_leg(leg)
        await asyncio.wait({self._running[leg]})

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None] | None":
        """Have that done beside; cancelled with the call, and an error of it ends the call. ``None`` where that is over."""
        if self._over.done():
            work.close()
            return None
        return self._start(self._guard(work), name)

    def keep(self, close: Callable[[], Awaitable[object]]) -> None:
        """Call that when the call is over; what was kept last is closed first."""
        self._stack.push_async_callback(close)

    async def ring(self) -> None:
        """Tell the caller that it rings."""
        self.record.call_counts.rang(self.caller.id, time.time())
        await self.caller.ring()

    def answered(self) -> None:
        """The caller's call was answered: from now on it costs."""
        if self._answered_at is None:
            self._answered_at = time.monotonic()
            self.record.call_counts.answered(self.caller.id, time.time())
            self.is_answered.set()
            self.spawn(self._limit(), "limit")

    def talks(self, max_seconds: float | None) -> None:
        """The caller was connected: from now on they may talk so long, within what the whole call may take."""
        self._talk = None if max_seconds is None else (max_seconds, time.monotonic())
        self._talk_changed.set()

    def end(self, ending: CallEnding) -> None:
        """The call is over; the first word counts."""
        if not self._over.done():
            self._over.set_result(ending)

    async def run(self, **work: Coroutine[Any, Any, None]) -> None:
        """From the caller's first sign to the last goodbye, with that work beside."""
        try:
            async with self._stack, self._group:
                self._run_leg(self.caller)
                for name, each in work.items():
                    self.spawn(each, name)
                ending = await self._ended()
                await self._say_goodbye(ending)
                for task in self._tasks:
                    task.cancel()
        finally:
            self.end(CallEnding("exchange", CLOSING))

    async def _ended(self) -> CallEnding:
        try:
            return await asyncio.shield(self._over)
        except asyncio.CancelledError:
            self.end(CallEnding("exchange", CLOSING))  # nothing new begins
            raise

    async def _say_goodbye(self, ending: CallEnding) -> None:
        for leg in list(self._running):
            await leg.hang_up(ending.failure)
        await asyncio.wait(self._running.values(), timeout=GOODBYE_S)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except SinchphoneError as error:
            if isinstance(error, NoPortError):  # the caller isn't told how many there are
                _log.warning("a call can't be carried: %s", error)
            _log.info("call %s: %s", self.caller.id, type(error).__name__)
            self.end(CallEnding("exchange", failure_of_error(error)))
        except Exception:  # noqa: BLE001 - a fault in one call is told to both of its ends, and costs no other call
            _log.exception("call %s ended by a fault of the program", self.caller.id)
            self.end(CallEnding("exchange", BROKEN))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = self._group.create_task(work, name=f"{name} {self.caller.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _run_leg(self, leg: Leg) -> None:
        self._running[leg] = self._start(self._guard(leg.run()), "leg")

    async def _limit(self) -> None:
        over_at = time.monotonic() + min(self.max_seconds, MAX_CALL_SECONDS)
        while (left := min(over_at, sum(self._talk) if self._talk is not None else over_at) - time.monotonic()) > 0:
            self._talk_changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._talk_changed.wait(), left)
        self.end(CallEnding("time", TOO_LONG, Reason.TIMEOUT))
