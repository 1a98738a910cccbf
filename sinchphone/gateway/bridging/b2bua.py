"""One call through the gateway, from its first ring to the last goodbye: one task, which owns everything that the call needs.

::

    caller's leg -> where to? (dial plan, or ICE and its instructions) -> a seat: attendant, room   -> over: goodbyes to both sides,
                                                                       -> forking: legs and bridges         media freed, DiCE
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from sinchphone.errors import MediaError, NoPortError, SinchphoneError
from sinchphone.exchange.conference.rooms import Rooms
from sinchphone.gateway.bridging.bridges import Bridge, LocalBridge, RelayBridge
from sinchphone.gateway.bridging.forking import Forking
from sinchphone.gateway.bridging.ivr import Announcer, Speaking, attend, enter_room
from sinchphone.gateway.bridging.local_end import LocalEnd
from sinchphone.gateway.bridging.stage import CallerFace, Ending
from sinchphone.gateway.callbacks.backend import BackendSession, CallbackError
from sinchphone.gateway.callbacks.dice import disconnected_event
from sinchphone.gateway.legs.leg import Failure, Gone, IncomingLeg, Leg, LegEvent, OutgoingLeg, Reoffered
from sinchphone.gateway.legs.reasons import BROKEN, CLOSING, DECLINED, TOO_LONG, failure_of_error
from sinchphone.gateway.relay.relay import Relay, Transport
from sinchphone.gateway.routing.routing import (
    Dialling,
    Refuse,
    Route,
    Routes,
    Terms,
    ToAttendant,
    ToRoom,
    incoming_event,
    raises_ace,
)
from sinchphone.media.port import MediaPort
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.callback_events import Reason
from sinchphone.protocol.svaml import ConnectConf, Continue, Hangup

GOODBYE_SECONDS: Final = 1.0  # for the last messages of both legs
MAX_CALL_SECONDS: Final = 14_400.0  # Sinch Voice, maxDuration
MAX_HELD_EVENTS: Final = 64  # of the caller, before anybody has its media

_log = logging.getLogger(__name__)


MakeLegs: TypeAlias = Callable[[Route, Dialling, str], Awaitable[Sequence[OutgoingLeg]]]  # the last is the application's key


class MediaBackends(Protocol):
    """Makes what carries sound (``gateway.media_backends``)."""

    def relay(self, call_id: str, caller: Transport, *, signalled_from: str | None = None) -> Relay:
        """The media of a new call."""

    def seat(self, call_id: str, transport: Transport, *, signalled_from: str | None = None) -> MediaPort:
        """A port whose sound is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all conversations of a gateway use."""

    media: MediaThread
    media_backends: MediaBackends
    routes: Routes
    rooms: Rooms
    announcer: Announcer
    legs: MakeLegs


class B2buaCall:
    """One call (implements ``stage.Stage``). ``run`` it once; cancelling ends the call."""

    def __init__(self, house: House, caller: IncomingLeg, call: Dialling, application: str, session: BackendSession | None) -> None:
        """``session`` is the call's conversation with the developer's backend, where there is one."""
        self.caller = caller
        self._house = house
        self._dialling = call
        self._application = application
        self._session = session
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._group = asyncio.TaskGroup()
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[Leg, asyncio.Task[None]] = {}
        self._taken: set[OutgoingLeg] = set()
        self._face: CallerFace | None = None
        self._held: list[LegEvent] = []
        self._seat: LocalEnd | None = None
        self._terms = Terms()
        self._answered_at: float | None = None

    # stage.Stage

    def run_leg(self, leg: OutgoingLeg) -> None:
        """Run it beside, and release it at last."""
        self._take_over(leg)
        self._run_leg(leg)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have that done beside; an error of it ends the conversation."""
        if self._over.done():
            work.close()
            return
        self._start(self._guard(work), name)

    def keep(self, close: Callable[[], Awaitable[object]]) -> None:
        """Call that when the conversation is over."""
        self._stack.push_async_callback(close)

    def answered(self) -> None:
        """The caller's call was answered: from now on it costs."""
        if self._answered_at is None:
            self._answered_at = time.monotonic()
            self.spawn(self._limit(), "limit")

    def end(self, ending: Ending) -> None:
        """The first word counts."""
        if not self._over.done():
            self._over.set_result(ending)

    # The whole of it

    async def run(self) -> None:
        """From the caller's first sign to the last goodbye."""
        ending = Ending("exchange", CLOSING)
        try:
            async with self._stack, self._group:
                self._run_leg(self.caller)
                self.spawn(self._read_caller(), "caller")
                self.spawn(self._connect(), "connect")
                ending = await self._ended()
                await self._say_goodbye(ending)
                for task in self._tasks:
                    task.cancel()
        finally:
            self.end(ending)
            self._tell_backend(ending)

    async def _ended(self) -> Ending:
        try:
            return await asyncio.shield(self._over)
        except asyncio.CancelledError:
            self.end(Ending("exchange", CLOSING))  # nothing new begins
            raise

    async def _say_goodbye(self, ending: Ending) -> None:
        for leg in list(self._running):
            await leg.hang_up(ending.failure if leg is self.caller or ending.by != "caller" else None)
        await asyncio.wait(self._running.values(), timeout=GOODBYE_SECONDS)

    def _tell_backend(self, ending: Ending) -> None:
        if self._session is not None and self._terms.callbacks:
            seconds = None if self._answered_at is None else time.monotonic() - self._answered_at
            self._session.disconnected(disconnected_event(self._dialling, ending, seconds))

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except SinchphoneError as error:
            if isinstance(error, NoPortError):  # the caller isn't told how many there are
                _log.warning("a call can't be carried: %s", error)
            _log.info("call %s: %s", self.caller.id, type(error).__name__)
            self.end(Ending("exchange", failure_of_error(error)))
        except Exception:  # noqa: BLE001 - a fault in one call is told to both of its ends, and costs no other call
            _log.exception("call %s ended by a fault of the program", self.caller.id)
            self.end(Ending("exchange", BROKEN))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = self._group.create_task(work, name=f"{name} {self.caller.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _take_over(self, leg: OutgoingLeg) -> None:
        """What a leg was given when it was made (a line of a trunk) is freed, whatever happens to the call before it runs."""
        if leg not in self._taken:
            self._taken.add(leg)
            self._stack.callback(leg.release)

    def _run_leg(self, leg: Leg) -> None:
        self._running[leg] = self._start(self._guard(leg.run()), "leg")

    async def _limit(self) -> None:
        await asyncio.sleep(min(self._terms.max_duration_s or MAX_CALL_SECONDS, MAX_CALL_SECONDS))
        self.end(Ending("time", TOO_LONG, Reason.TIMEOUT))

    # The caller

    async def _read_caller(self) -> None:
        async for event in self.caller.events():
            if isinstance(event, Gone):
                self.end(Ending("caller", event.failure))
            elif self._face is not None:
                await self._take(self._face, event)
            elif isinstance(event, Reoffered):
                await self.caller.refuse_reoffer(Failure(491, "not now"))
            elif len(self._held) < MAX_HELD_EVENTS:
                self._held.append(event)

    async def _give(self, face: CallerFace) -> None:
        """From now on that has the caller's media."""
        while self._held:
            await self._take(face, self._held.pop(0))
        self._face = face

    async def _take(self, face: CallerFace, event: LegEvent) -> None:
        try:
            await face.take(event)
        except MediaError as error:
            self.end(Ending("exchange", failure_of_error(error)))

    async def _seated(self) -> LocalEnd:
        """The caller at a seat of ours."""
        if self._seat is None:
            self._seat = LocalEnd(self, self._port_for(self.caller), self._house.media)
            await self._seat.open()
            await self._give(self._seat)
        return self._seat

    def _port_for(self, leg: Leg) -> MediaPort:
        return self._house.media_backends.seat(leg.id, leg.transport, signalled_from=leg.signalled_from)

    # Where to

    async def _connect(self) -> None:
        route = await self._route()
        if isinstance(route, Refuse):
            self.end(Ending("exchange", route.failure, route.reason))
            return
        self._terms = route.terms
        if isinstance(route, ToRoom):
            await enter_room(self, await self._seated(), self._house.rooms, self._application, route.room)
        elif isinstance(route, ToAttendant):
            await self._attend(route)
        else:
            await self._ring(route)

    async def _route(self) -> Route:
        if self._session is None:
            return self._house.routes.by_plan(self._dialling)
        try:
            answer = await self._session.incoming(incoming_event(self._dialling))
        except CallbackError as error:
            return await self._apologise(error)
        if answer.instructions:
            await (await self._speaking()).carry_out(answer.instructions)
        return self._house.routes.by_action(answer.action, self._dialling)

    async def _apologise(self, error: CallbackError) -> Refuse:
        """The platform's rule: an error message is played to the caller, and the call is over."""
        _log.warning("call %s: %s", self.caller.id, error)
        try:
            await (await self._speaking()).apologise()
        except MediaError as silent:
            _log.info("call %s: no message could be played: %s", self.caller.id, silent)
        return Refuse(Failure(503, str(error)), Reason.CALLBACK_ERROR)

    async def _speaking(self) -> Speaking:
        return Speaking(await self._seated(), self._house.announcer)

    async def _attend(self, route: ToAttendant) -> None:
        async def may_answer() -> bool:
            return not raises_ace(route) or await self._ask_after_answer(None)

        await attend(self, await self._seated(), route.plan, may_answer)

    async def _ring(self, route: Route) -> None:
        """Call somebody. Where the backend will be asked at the answer the two don't share a relay: it may want to be heard."""
        legs = await self._house.legs(route, self._dialling, self._application)
        for leg in legs:  # before anything is awaited
            self._take_over(leg)
        asks = self._session is not None and raises_ace(route)
        seat = await self._seated() if asks or self._seat is not None or self.caller.offer is None else None

        def bridge(leg: OutgoingLeg) -> Bridge:
            if seat is None:
                caller = self.caller
                return RelayBridge(
                    self, leg, self._house.media_backends.relay(leg.id, caller.transport, signalled_from=caller.signalled_from)
                )
            return LocalBridge(self, leg, seat, self._port_for(leg), self._house.media)

        async def on_answer(taken: Bridge) -> bool:
            if asks and not await self._ask_after_answer(taken):
                return False
            if self._terms.dtmf:
                self.spawn(self._dial_on(taken), "digits")
            return True

        forking = Forking(self, legs, bridge, on_answer, seat)
        if seat is None:
            await self._give(forking)
        await forking.ring(self._terms.ring_s)

    async def _dial_on(self, bridge: Bridge) -> None:
        """Digits that are sent once the call is answered (connectPstn, dtmf)."""
        try:
            await bridge.dtmf(self._terms.dtmf)
        except MediaError as error:
            _log.warning("call %s: the digits after the answer were not sent: %s", self.caller.id, error)

    async def _ask_after_answer(self, bridge: Bridge | None) -> bool:
        """ACE: whether the two are to be connected."""
        if self._session is None:
            return True
        answer = await self._session.answered()
        if answer.instructions:
            await (await self._speaking()).carry_out(answer.instructions)
        match answer.action:
            case Hangup():
                self.end(Ending("exchange", DECLINED, Reason.MANAGER_HANGUP))
            case ConnectConf(room):
                if isinstance(bridge, LocalBridge):
                    await bridge.enter(self._house.rooms, self._application, room)
                await enter_room(self, await self._seated(), self._house.rooms, self._application, room)
            case Continue():
                return True
            case _:
                self.end(Ending("exchange", BROKEN, Reason.INVALID_SVAML_ACTION))
        return False
