"""One call through the gateway, from its first ring to the last goodbye: one task, which owns everything that the call needs.

::

    caller's leg -> where to? (dial plan, or ICE and its instructions) -> our own end: attendant, room     -> over: goodbyes to both sides,
                                                                       -> forking: legs and bridges         media freed, DiCE
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias, assert_never

from sinchphone.errors import MediaError
from sinchphone.exchange.record.current_call import current_call
from sinchphone.exchange.recordings.routes import RECORDINGS_PATH
from sinchphone.exchange.refusals import RefusedError, invalid
from sinchphone.gateway.bridging.bridges import Bridge, LocalBridge
from sinchphone.gateway.bridging.connections.caller_side import CallerSide
from sinchphone.gateway.bridging.connections.connection import CallerConnection
from sinchphone.gateway.bridging.connections.relay_bridge import RelayBridge
from sinchphone.gateway.bridging.forking import Forking
from sinchphone.gateway.bridging.forwarding import Forwarding
from sinchphone.gateway.bridging.instructions import Instructions
from sinchphone.gateway.bridging.lifetime import CallLifetime
from sinchphone.gateway.bridging.local_ends.services import attend, enter_room, stream_sound
from sinchphone.gateway.bridging.replacing import ReplaceableSides
from sinchphone.gateway.call_facts import Failure, Source
from sinchphone.gateway.call_records import CallRecord
from sinchphone.gateway.callbacks.backend import BackendSession, CallbackError
from sinchphone.gateway.callbacks.dice import cause_of, disconnected_event
from sinchphone.gateway.callbacks.no_backend import NO_BACKEND
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.legs.leg import IncomingLeg, OutgoingLeg
from sinchphone.gateway.legs.reasons import BACKEND_HUNG_UP, CallEnding
from sinchphone.gateway.local_channel.legs import MemoryLegEnd
from sinchphone.gateway.relay.relay import Side
from sinchphone.gateway.routing.routing import (
    Dialling,
    Refuse,
    Route,
    Terms,
    ToAttendant,
    ToRoom,
    ToStream,
    ToUser,
    incoming_event,
    raises_ace,
)
from sinchphone.gateway.svaml.amd import AnswerDetection, PartyLeg
from sinchphone.gateway.svaml.recording import CallRecording, RecordingParts
from sinchphone.gateway.svaml.script import ParkingOverError, Script, ScriptParts, say_to
from sinchphone.gateway.svaml.stream import CallStream, StreamedCall
from sinchphone.media.sound import Party
from sinchphone.protocol.callbacks.events import AmdResult, Reason
from sinchphone.protocol.callbacks.svaml import (
    ConnectConf,
    ConnectMxp,
    ConnectPstn,
    ConnectSip,
    ConnectStream,
    Continue,
    Hangup,
    Instruction,
    Park,
    PlayFiles,
    RunMenu,
    Say,
    Svaml,
)
from sinchphone.signaling.wire import ErrorCode

MAX_CONNECTIONS: Final = 100  # of one caller: answers that were given in advance may lead from one to the next without end
MAX_ANNOUNCEMENTS: Final = 16  # of a call, which are made ready at a time

_log = logging.getLogger(__name__)

Go: TypeAlias = Callable[[Route], Awaitable[None]]  # connects the caller there


class B2buaCall:
    """One call. ``run`` it once; cancelling ends the call."""

    def __init__(
        self,
        context: GatewayContext,
        caller: IncomingLeg,
        call: Dialling,
        application: str,
        session: BackendSession | None,
        *,
        route: Route | None = None,
    ) -> None:
        """``session`` is the call's conversation with the developer's backend, where there is one; ``route``: where it goes, where that
        is decided already."""
        self.lifetime = CallLifetime(caller, context.open_calls.leg_id_of, context.event_record)
        self._sides = ReplaceableSides(self.lifetime, context.open_calls, application)
        self.caller = caller
        self._context = context
        self._dialling = call
        self._application = application
        self._session = session
        self._decided = route
        self._record: CallRecord | None = None
        self._steering = Instructions(self._hang_up, self.lifetime.spawn)
        self._connection = CallerConnection(self.lifetime)
        self._who_answers = AnswerDetection(context.media, session or NO_BACKEND, self._connection.spawn)
        self._side = CallerSide(context, self.lifetime)
        self._terms = Terms()
        self._connections = 0
        self._announcing: set[asyncio.Task[None]] = set()
        self._is_callback_error = False  # whatever ends the call then
        self._set_headers: Mapping[str, str] = {}  # by the backend
        parts = RecordingParts(context.recordings, context.media, application, caller.id, self._address_of, session or NO_BACKEND)
        self._recording = CallRecording(parts, self.lifetime.is_answered)
        script = ScriptParts(self._side.end, self._steering.carry_out, context.announcements, session or NO_BACKEND, self._recording)
        self._script = Script(script)

    async def run(self) -> None:
        """From the caller's first sign to the last goodbye."""
        counts = self._context.event_record.call_counts
        if self._decided is None:  # else it is a part of another call
            self._record = self._began()
            current_call.set(self.caller.id)
            counts.placed(self.caller.id, self._dialling.dialled.domain.value, time.time())
        self.lifetime.keep(self._recording.stop)
        try:
            await self.lifetime.run(caller=self._read_caller(), connect=self._connect())
        finally:
            self._sides.close()
            ending, talked_s = self.lifetime.ending, self.lifetime.talked_seconds
            if self._is_callback_error:
                ending = replace(ending, reason=Reason.CALLBACK_ERROR)
            event = disconnected_event(self._dialling, ending, talked_s, self._set_headers)
            if self._record is not None:
                self._context.records.ended(self._record, event)
            counts.over(self.caller.id, cause_of(event))
            failure = ending.failure
            self._context.event_record.ended(self.caller.id, failure.reason if failure is not None else "", is_failure=failure is not None)
            if self._session is not None and self._terms.callbacks:
                self._session.disconnected(event)

    def _began(self) -> CallRecord:
        event = incoming_event(self._dialling)
        record = CallRecord(
            id=self.caller.id,
            application=self._application,
            to=event.to,
            domain=event.domain,
            began_at=time.time(),
            call=self,
        )
        self._context.records.began(record)
        return record

    # What the backend tells it by REST

    @property
    def talked_seconds(self) -> float | None:
        """Since the answer; ``None`` where there was none."""
        return self.lifetime.talked_seconds

    def update(self, answer: Svaml) -> None:
        """Carry out instructions, then hang up or go on; a parked call goes where it says. Raises RefusedError where nobody would hear
        them."""
        if self._script.is_parked:
            self._script.change(answer)
            return
        if isinstance(answer.action, Park):
            self._check_parkable()
            self._script.is_parked = True  # so far as a backend can tell: it may take the caller at once
            self.lifetime.spawn(self._reconnect(answer), "park")
            return
        if not isinstance(answer.action, Hangup | Continue):
            raise invalid("action.name: a call that goes on is told hangup, continue or park; only one in a park is connected")
        if answer.instructions:
            self.announce((), caller=True, called=False)
        self._steering.update(answer, self._carry_out_over_talk)

    def announce(self, words: tuple[Say | PlayFiles, ...], *, caller: bool, called: bool) -> None:
        """Say something to one side or both, over their talk. Raises RefusedError where nobody would hear it, or too much waits."""
        if isinstance(self._connection.bridge, RelayBridge):
            raise RefusedError(409, ErrorCode.INVALID_REQUEST, "the sound of this call passes through: nothing can be said in it")
        if len(self._announcing) >= MAX_ANNOUNCEMENTS:
            raise RefusedError(409, ErrorCode.INVALID_REQUEST, f"{MAX_ANNOUNCEMENTS} announcements of this call wait already")
        task = self.lifetime.spawn(self._announce(words, caller=caller, called=called), "announcement")
        if task is not None:
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)

    def _check_parkable(self) -> None:
        """Raises RefusedError where the caller can't be taken away from where they are."""
        if isinstance(self._connection.bridge, RelayBridge):
            raise RefusedError(409, ErrorCode.INVALID_REQUEST, "the sound of this call passes through: it can't be parked")
        if not self.lifetime.is_answered.is_set():
            raise RefusedError(409, ErrorCode.INVALID_REQUEST, "the call isn't answered yet: it can't be parked")

    async def _reconnect(self, answer: Svaml) -> None:
        """Take the caller away from whom they talk with, and carry that out in place of it."""
        self._script.is_replaced = True  # nobody has left the menu that may be broken off
        await self._connection.release()
        self._script.is_replaced = False
        await self._sides.part()
        self.lifetime.talks(None)
        self._connection.spawn(self._connect_as(answer), "connect")

    async def _connect_as(self, answer: Svaml) -> None:
        if await self._act(answer, None, self._go):
            await self._go(self._context.routes.by_plan(self._dialling))

    def _hang_up(self) -> None:
        """For the backend: a call that was answered just ends, another one is refused."""
        failure = None if self.lifetime.is_answered.is_set() else BACKEND_HUNG_UP
        self.lifetime.end(CallEnding("exchange", failure, Reason.MANAGER_HANGUP))

    async def _announce(self, words: tuple[Say | PlayFiles, ...], *, caller: bool, called: bool) -> None:
        for one in words:
            samples = await self._context.announcements.render(one)
            if isinstance(self._connection.bridge, LocalBridge):
                await self._connection.bridge.announce(samples, caller=caller, called=called)
            elif self._connection.seat is not None:
                await self._connection.seat.announce(samples)
            else:
                await (await self._side.end()).interject(samples)

    async def _carry_out_over_talk(self, instructions: tuple[Instruction, ...]) -> None:
        for instruction in instructions:
            if isinstance(instruction, Say | PlayFiles):
                await self._announce((instruction,), caller=True, called=False)
            else:
                await self._script.carry_out((instruction,))

    async def _read_caller(self) -> None:
        await self._side.read(lambda: self._sides.is_replaced(Side.CALLER, self.caller))

    # Where to

    async def _connect(self) -> None:
        self._connection.include()
        await self._go(await self._route())

    async def _go(self, route: Route) -> None:
        """Connect the caller there; returns when they talk, or the call is over. Whoever is asked on the way may send them elsewhere."""
        following: Route | None = route
        while following is not None:
            following = await self._connect_to(following)

    async def _connect_to(self, route: Route) -> Route | None:
        """What the backend wants in place of it, where that is known before they talk."""
        self._connections += 1
        if self._connections > MAX_CONNECTIONS:
            route = Refuse(Failure(482, "the backend's answers lead from one call to the next without end"), Reason.INVALID_SVAML_ACTION)
        if isinstance(route, Refuse):
            self._refuse(route)
            return None
        self._terms = replace(route.terms, callbacks=route.terms.callbacks and self._terms.callbacks)
        match route:
            case ToRoom():
                process = await self._context.rooms.owners.claim(self._application, route.room)
                if process is None:
                    await self._enter(route)
                else:
                    await self._ring(replace(route, process=process, participant=self.caller.id))
            case ToAttendant():
                return await self._attend(route)
            case ToStream():
                stream = CallStream(self._context.addresses, StreamedCall(self.caller.id, self._application), route)
                await stream_sound(self.lifetime, await self._side.end(), stream, route.terms.max_duration_s)
            case _:
                await self._ring(route)
        return None

    def _refuse(self, route: Refuse) -> None:
        if route.reason is Reason.MANAGER_HANGUP:
            self._hang_up()
        else:
            self.lifetime.end(CallEnding("exchange", route.failure, route.reason))

    async def _route(self) -> Route:
        if self._decided is not None:
            return self._decided
        if self._session is None:
            return self._context.routes.by_plan(self._dialling)
        try:
            answer = await self._session.incoming(incoming_event(self._dialling))
        except CallbackError as error:
            return await self._apologise(error)
        return await self._routed(answer)

    async def _routed(self, answer: Svaml) -> Route:
        """Where an answer leads, once its instructions, menus and parks are done."""
        try:
            return await self._followed(await self._script.run(answer))
        except CallbackError as error:
            return await self._apologise(error)
        except ParkingOverError as error:
            return _unparked(error)

    async def _followed(self, answer: Svaml) -> Route:
        """Where an answer leads whose instructions, menus and parks are done."""
        action = answer.action
        if isinstance(action, ConnectMxp | ConnectSip | ConnectStream):
            self._set_headers = action.headers
        if isinstance(action, ConnectPstn | ConnectSip | ConnectConf) and action.recording is not None:
            await self._recording.start(await self._side.end(), action.recording)
        return self._context.routes.by_action(action, self._dialling)

    async def _apologise(self, error: CallbackError) -> Refuse:
        """The platform's rule: an error message is played to the caller, and the call is over."""
        _log.warning("call %s: %s", self.caller.id, error)
        self._is_callback_error = True
        if self._session is not None:
            self._session.complain(error)
        try:
            await say_to(await self._side.end(), await self._context.announcements.failure())
        except MediaError as silent:
            _log.info("call %s: no message could be played: %s", self.caller.id, silent)
        return Refuse(Failure(503, str(error)), Reason.CALLBACK_ERROR)

    async def _attend(self, route: ToAttendant) -> Route | None:
        following: list[Route] = []

        async def go_later(route: Route) -> None:
            following.append(route)

        async def may_answer(party: Party) -> Party | None:
            if not raises_ace(route):
                return party
            answering = self._who_answers.overheard(party, self._terms.amd)
            who = await self._who_answers.who(PartyLeg(answering), self._terms.amd)
            if not await self._ask_after_answer(None, who, go_later):
                return None
            self.lifetime.talks(self._terms.max_duration_s)
            return answering

        await attend(self.lifetime, self._connection, await self._side.end(), route.plan, self._terms, may_answer)
        return following[0] if following else None

    async def _ring(self, route: Route) -> None:
        """Call somebody. Where a backend may want to be heard the two don't share a relay: in all its calls but those of users to users
        (Sinch Voice REST: only calls from or to telephones and SIP are steered)."""
        legs = await self._context.legs.legs(route, self._dialling, self._application)
        for leg in legs:  # before anything is awaited
            self.lifetime.take_over(leg)
        asks = self._session is not None and raises_ace(route)
        is_ours = isinstance(self.caller, MemoryLegEnd) or self.caller.offer is None
        is_steered = self._session is not None and not (self._dialling.source is Source.USER and isinstance(route, ToUser))
        is_heard = is_steered or self._terms.music is not None or is_ours
        end = await self._side.end() if is_heard or self._side.has_end else None

        def bridge(leg: OutgoingLeg) -> Bridge:
            if end is None:
                caller = self.caller
                backend = self._context.media_backends.at(leg.media_host or caller.media_host)
                relay = backend.relay(leg.id, caller.transport, signalled_from=caller.signalled_from)
                return RelayBridge(self.lifetime, leg, relay)
            return LocalBridge(self.lifetime, leg, end, self._side.port_for, self._context.media, self._terms.music)

        async def on_answer(taken: Bridge) -> bool:
            self._connection.include()
            if isinstance(taken, LocalBridge):
                self._connection.keep(taken.part)
            who = await self._who_answers.who(taken.sound, self._terms.amd) if asks and isinstance(taken, LocalBridge) else None
            if asks and not await self._ask_after_answer(taken, who):
                return False
            self._connection.bridge = taken
            self.lifetime.talks(self._terms.max_duration_s)
            if self._terms.dtmf:
                self._connection.spawn(self._dial_on(taken), "digits")
            self._sides.talk(taken, forking.let_go)
            return True

        forwarding = Forwarding(self._context, self._application, by_backend=self._session is not None)
        forwarding.began(route, self._dialling, legs)
        forking = Forking(self.lifetime, legs, bridge, on_answer, forwarding, end)
        self._connection.keep(forking.drop)
        if end is None:
            await self._side.give(forking)
        await forking.ring(self._terms.ring_s)

    async def _enter(self, route: ToRoom) -> None:
        tell, rooms = (self._session or NO_BACKEND).left, self._context.rooms
        await enter_room(self.lifetime, self._connection, await self._side.end(), rooms, self._application, route, tell)

    async def _dial_on(self, bridge: Bridge) -> None:
        """Digits that are sent once the call is answered (connectPstn, dtmf)."""
        try:
            await bridge.dtmf(self._terms.dtmf)
        except MediaError as error:
            _log.warning("call %s: the digits after the answer were not sent: %s", self.caller.id, error)

    async def _ask_after_answer(self, bridge: Bridge | None, amd: AmdResult | None = None, go: Go | None = None) -> bool:
        """ACE: whether the two are to be connected. ``amd``: who answered, where that was asked for."""
        if self._session is None:
            return True
        return await self._act(await self._session.answered(amd), bridge, go or self._go)

    async def _act(self, answer: Svaml, bridge: Bridge | None, go: Go) -> bool:
        """Carry out an answer to an event of a call that goes on; whether it goes on as it would have."""
        try:
            answer = await self._script.run(answer)
        except CallbackError as error:
            await go(await self._apologise(error))
            return False
        except ParkingOverError as error:
            await go(_unparked(error))
            return False
        match answer.action:
            case Continue():
                return True
            case ConnectConf(room) if isinstance(bridge, LocalBridge):  # who was called goes there as well
                await bridge.enter(self._context.rooms, self._application, room)
            case ConnectPstn() | ConnectSip() | ConnectMxp() | ConnectStream():  # somebody else in place of who answered
                await self._connection.release()
            case Hangup() | ConnectConf() | RunMenu() | Park():  # the connection stays until that has begun
                pass
            case _:
                assert_never(answer.action)
        await go(await self._followed(answer))
        return False

    def _address_of(self, recording: str) -> str:
        return f"{self._context.url}{RECORDINGS_PATH}/{recording}"


def _unparked(error: ParkingOverError) -> Refuse:
    return Refuse(Failure(408, str(error)), Reason.TIMEOUT)
