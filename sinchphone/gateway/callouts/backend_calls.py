"""The calls of a gateway as the backends of its applications have them made, ask about them and steer them (Sinch Voice REST)."""

import asyncio
import time
import uuid
from collections import Counter
from typing import Final

from sinchphone.errors import ConfigError
from sinchphone.exchange.destinations.backend_calls import AnswerUrl, CallInformation, Callout, LegOfCall
from sinchphone.exchange.refusals import invalid, not_found, too_many
from sinchphone.gateway.call_records import CallRecord, SteeredCall
from sinchphone.gateway.callbacks.backend import Backend, BackendSession
from sinchphone.gateway.callouts.callout_backend import CalloutBackend
from sinchphone.gateway.callouts.callout_call import CalloutCall, dialling_of
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.local_channel.legs import CalledParty
from sinchphone.protocol.callbacks.events import CallFacts
from sinchphone.protocol.callbacks.svaml import Event, PlayFiles, Say, Svaml
from sinchphone.tasks import start_task

MAX_CALLOUTS: Final = 200  # of one application at the same time
CLOSING_SECONDS: Final = 2.0


class GatewayCalls:
    """Implements ``exchange.destinations.backend_calls.BackendCalls``. ``close`` ends the callouts."""

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: Counter[str] = Counter()

    def call_out(self, application: str, callout: Callout) -> str:
        """Make a call; its id. Raises RefusedError."""
        if self._open[application] >= MAX_CALLOUTS:
            raise too_many(f"{MAX_CALLOUTS} callouts of this application go on already")
        call_id = str(uuid.uuid4())
        dialling = dialling_of(callout)
        party = CalledParty(call_id, dialling.caller, dialling.dialled)
        facts = CallFacts(call_id=call_id, application_key=application, custom=callout.custom)
        session = BackendSession(self._backend(application, callout), facts, callout.headers, time.time)
        call = CalloutCall(self._context, party, callout, application, session)
        self._open[application] += 1
        task = start_task(self._carry(call, application), name=f"callout {call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return call_id

    async def _carry(self, call: CalloutCall, application: str) -> None:
        try:
            await call.run()
        finally:
            self._open[application] -= 1

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

    async def post_event(self, application: str, body: bytes) -> bytes | None:
        """Post an event to the application's backend; what it answers, ``None`` where there is none. Raises CallbackError."""
        backend = self._context.backends.of(application)
        return await backend.post(body, {}) if backend is not None else None

    async def close(self) -> None:
        """End all callouts."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_SECONDS)

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
