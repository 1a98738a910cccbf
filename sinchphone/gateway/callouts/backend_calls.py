"""The calls of a gateway as the backends of its applications have them made, ask about them and steer them (Sinch Voice REST)."""

import asyncio
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Coroutine
from typing import Any, Final

from sinchphone.audio.frame import silence
from sinchphone.errors import ConfigError, SinchphoneError
from sinchphone.exchange.destinations.backend_calls import (
    AnswerUrl,
    CallInformation,
    Callout,
    LegOfCall,
    SimulatedCallStatus,
    SimulatedCallWish,
)
from sinchphone.exchange.refusals import invalid, not_found, too_many
from sinchphone.gateway.bridging.b2bua import B2buaCall
from sinchphone.gateway.call_facts import CallerName, Dialled, Source
from sinchphone.gateway.call_records import CallRecord, SteeredCall
from sinchphone.gateway.callbacks.backend import Backend, BackendSession
from sinchphone.gateway.callouts.callout_backend import CalloutBackend
from sinchphone.gateway.callouts.callout_call import CalloutCall, dialling_of
from sinchphone.gateway.callouts.simulated_phone import SimulatedPhone
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.local_channel.legs import CalledParty, LocalCaller
from sinchphone.gateway.routing.routing import Dialling
from sinchphone.protocol.callbacks.events import CallFacts
from sinchphone.protocol.callbacks.svaml import Event, PlayFiles, Say, Svaml
from sinchphone.protocol.phone_numbers import PRIVATE
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

MAX_CALLOUTS: Final = 200  # of one application at the same time
CLOSING_SECONDS: Final = 2.0
MAX_SIMULATED_PHONES: Final = 1_000  # simulated ones that are remembered
NOT_NAMED: Final = "whom the backend names"  # in the record, until it's asked
OURS: Final = "localhost"  # where a simulated phone dials


class GatewayCalls:
    """Implements ``exchange.destinations.backend_calls.BackendCalls``. ``close`` ends the callouts."""

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._tasks: dict[asyncio.Task[None], str] = {}  # and whose they are
        self._phones: OrderedDict[str, tuple[str, SimulatedPhone]] = OrderedDict()  # and whose they are
        self._open: Counter[str] = Counter()

    def call_out(self, application: str, callout: Callout) -> str:
        """Make a call; its id. Raises RefusedError."""
        self._context.intake.check()
        if self._open[application] >= MAX_CALLOUTS:
            raise too_many(f"{MAX_CALLOUTS} callouts of this application go on already")
        call_id = str(uuid.uuid4())
        dialling = dialling_of(callout)
        party = CalledParty(call_id, dialling.caller, dialling.dialled)
        facts = CallFacts(call_id=call_id, application_key=application, custom=callout.custom)
        session = BackendSession(self._backend(application, callout), facts, callout.headers, time.time)
        call = CalloutCall(self._context, party, callout, application, session)
        self._begin_record(application, call_id, dialling)
        self._start(application, call.run(), call_id)
        return call_id

    def _begin_record(self, application: str, call_id: str, dialling: Dialling) -> None:
        shown, called = dialling.caller.identity or PRIVATE, dialling.dialled.identity or NOT_NAMED
        self._context.event_record.began(call_id, application=application, caller=shown, callee=called)

    def _start(self, application: str, work: Coroutine[Any, Any, None], call_id: str) -> None:
        async def carry() -> None:
            try:
                await work
            finally:
                self._open[application] -= 1

        self._open[application] += 1
        task = start_task(carry(), name=f"call {call_id}")
        self._tasks[task] = application
        task.add_done_callback(lambda task: self._tasks.pop(task, None))

    def _backend(self, application: str, callout: Callout) -> CalloutBackend:
        """Raises RefusedError for a URL that leads nowhere."""
        backends = self._context.backends
        answers: dict[Event, Svaml | Backend] = {}
        for event, answer in callout.answers.items():
            try:
                answers[event] = backends.at(application, answer.url) if isinstance(answer, AnswerUrl) else answer
            except ConfigError as error:
                raise invalid(f"customCallout.{event}: {error}") from error
        return CalloutBackend(backends.of(application), answers)

    def call(self, application: str, call_id: str) -> CallInformation:
        """What is known of a call. Raises RefusedError."""
        record = self._record(application, call_id)
        return CallInformation(
            id=record.id,
            to=record.to,
            domain=record.domain,
            custom=record.custom,
            began_at=record.began_at,
            duration_s=record.duration_s,
            is_over=record.ended is not None,
            result=record.result,
            reason=record.reason,
        )

    def update_call(self, application: str, call_id: str, answer: Svaml) -> None:
        """Have instructions carried out in a call. Raises RefusedError."""
        self._live(application, call_id).update(answer)

    def announce(self, application: str, call_id: str, words: tuple[Say | PlayFiles, ...], leg: LegOfCall) -> None:
        """Say something in a call. Raises RefusedError."""
        caller, called = leg is not LegOfCall.CALLEE, leg is not LegOfCall.CALLER
        self._live(application, call_id).announce(words, caller=caller, called=called)

    # Simulated phones

    async def simulate(self, application: str, wish: SimulatedCallWish) -> SimulatedCallStatus:
        """Have a simulated phone call. Raises RefusedError."""
        self._context.intake.check()
        if self._open[application] >= MAX_CALLOUTS:
            raise too_many(f"{MAX_CALLOUTS} calls of this application begin here already")
        try:
            sound = await self._context.announcements.decode(wish.sound) if wish.sound else silence(0)
        except SinchphoneError as error:
            raise invalid(f"sound: {error}") from error
        backend = self._context.backends.of(application)
        dialled = Dialled(Domain.SIP, f"{wish.number if backend is not None or wish.user is None else wish.user}@{OURS}")
        caller = LocalCaller(CallerName(Domain.PSTN, wish.shown or "", wish.shown), dialled)
        phone = SimulatedPhone(caller, wish, sound, self._context.media.start())
        session = backend.session(CallFacts(call_id=caller.id, application_key=application)) if backend is not None else None
        dialling = Dialling(source=Source.TRUNK, caller=caller.caller, dialled=dialled)

        async def call(caller: LocalCaller) -> None:
            await B2buaCall(self._context, caller, dialling, application, session).run()

        self._phones[caller.id] = application, phone
        while len(self._phones) > MAX_SIMULATED_PHONES:
            self._phones.popitem(last=False)
        self._begin_record(application, caller.id, dialling)
        self._start(application, phone.run(call), caller.id)
        return phone.status

    def simulated(self, application: str, call_id: str) -> SimulatedCallStatus:
        """What became of such a call. Raises RefusedError."""
        return self._phone(application, call_id).status

    async def hang_up_simulated(self, application: str, call_id: str) -> None:
        """The simulated phone hangs up. Raises RefusedError."""
        await self._phone(application, call_id).hang_up()

    def _phone(self, application: str, call_id: str) -> SimulatedPhone:
        owner, phone = self._phones.get(call_id, ("", None))
        if phone is None or owner != application:
            raise not_found("call: no simulated phone makes one of that id")
        return phone

    async def forget(self, application: str) -> None:
        """End an application's callouts and simulated calls, and forget all calls of it."""
        await _end([task for task, owner in self._tasks.items() if owner == application])
        self._context.records.forget(application)
        for call_id in [call_id for call_id, (owner, _) in self._phones.items() if owner == application]:
            del self._phones[call_id]

    async def post_event(self, application: str, body: bytes) -> bytes | None:
        """Post an event to the application's backend; what it answers, ``None`` where there is none. Raises CallbackError."""
        backend = self._context.backends.of(application)
        return await backend.post(body, {}) if backend is not None else None

    async def close(self) -> None:
        """End all callouts."""
        await _end(list(self._tasks))

    def _record(self, application: str, call_id: str) -> CallRecord:
        record = self._context.records.find(application, call_id)
        if record is None:
            raise not_found("call: there is none of that id, or it is over since long")
        return record

    def _live(self, application: str, call_id: str) -> SteeredCall:
        call = self._record(application, call_id).call
        if call is None:
            raise not_found("call: it is over")
        return call


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSING_SECONDS)
