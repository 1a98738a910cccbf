"""Reads the record: all calls, one call's events, events as they come. Each application sees its own."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.messages.transports import Transports
from sinchphone.exchange.record.facts import Fact, PublishedFact
from sinchphone.exchange.record.record import EventRecord, Follower, RecordedCall
from sinchphone.exchange.tracing.names import Names
from sinchphone.exchange.tracing.rendering import Renderer
from sinchphone.exchange.tracing.summaries import CallSummary
from sinchphone.protocol.trace.event import TraceEvent
from sinchphone.protocol.trace.pcapng import SoundPacket

LAST: Final = "last"  # the name of the call that began last


class Following:
    """Somebody who reads an application's events as they come."""

    def __init__(self, follower: Follower, renderer: Renderer, call_of: Callable[[Fact, str | None], tuple[bool, str | None]]) -> None:
        self._follower = follower
        self._renderer = renderer
        self._call_of = call_of

    async def take(self) -> list[TraceEvent]:
        """What came since last time, waiting for something; perhaps nothing that is to be seen. Cancelling is safe."""
        found: list[TraceEvent] = []
        for fact, name in await self._follower.take():
            is_seen, call = self._call_of(fact, name)
            if is_seen:
                found += self._renderer.render(fact, call)
        return found


class Tracer:
    """All that can be read of one exchange's record."""

    def __init__(self, record: EventRecord, directory: Directory, transports: Transports) -> None:
        self._record = record
        self._directory = directory
        self._transports = transports

    def calls(self, application: Application) -> list[CallSummary]:
        """The application's calls, the newest first."""
        return [_summary(call) for call in reversed(self._calls(application))]

    def call(self, application: Application, name: str) -> CallSummary | None:
        """The call of that id, or of the only one that begins so, or the last one."""
        found = self._find(application, name)
        return _summary(found) if found is not None else None

    def events(self, application: Application, name: str) -> list[TraceEvent]:
        """One call's events, those of its legs among them, in the order in which they began."""
        whole = self._find(application, name)
        if whole is None:
            return []
        facts = [fact for part in self._record.parts(whole) for fact in part.facts()]
        return self._rendered(sorted(facts, key=lambda fact: fact.seq), whole.id)

    def sound(self, application: Application, name: str) -> list[SoundPacket]:
        """Packets of one call's sound, as far as the exchange carries it and was told to keep it, decrypted."""
        whole = self._find(application, name)
        if whole is None or self._record.sound is None:
            return []
        return self._record.sound.of({part.id for part in self._record.parts(whole)})

    def others(self, application: Application) -> list[TraceEvent]:
        """Events of no call."""
        return self._rendered([fact for fact in self._record.others() if self._may_see(application, fact)], None)

    @contextmanager
    def following(self, application: Application) -> Iterator["Following"]:
        """Read events as they come."""
        with self._record.following() as follower:
            yield Following(follower, self._renderer(), lambda fact, name: self._call_of(application, fact, name))

    def _call_of(self, application: Application, fact: Fact, name: str | None) -> tuple[bool, str | None]:
        """Whether a fact is to be seen, and the call that it belongs to."""
        call = self._record.call(name) if name is not None else None
        if call is None:
            return self._may_see(application, fact), None
        return call.application == application.key, call.id

    def _rendered(self, facts: Iterable[Fact], call: str | None) -> list[TraceEvent]:
        renderer = self._renderer()
        return sorted((event for fact in facts for event in renderer.render(fact, call)), key=lambda event: event.seq)

    def _renderer(self) -> Renderer:
        return Renderer(Names(self._directory), self._keys)

    def _calls(self, application: Application) -> list[RecordedCall]:
        return [call for call in self._record.calls() if call.application == application.key]

    def _find(self, application: Application, name: str) -> RecordedCall | None:
        calls = self._calls(application)
        if name == LAST:
            return calls[-1] if calls else None
        exact = self._record.call(name)
        if exact is not None:
            return exact if exact.application == application.key else None
        beginning = [call for call in calls if name and call.id.startswith(name)]
        return beginning[0] if len(beginning) == 1 else None

    def _keys(self, fact: PublishedFact, session: str, transport: str | None) -> Iterable[bytes]:
        """Of a call's messages, or of an instant message's transport."""
        application = self._directory.application_of(fact.network)
        if transport is not None and application is not None:
            key = self._transports.key_among(application, transport, ())
            return (key,) if key is not None else ()
        group = self._record.group(session)
        return tuple(group.keys) if group is not None else ()

    def _may_see(self, application: Application, fact: Fact) -> bool:
        """Facts that belong to no call are everybody's where there is but one application; else only what says whose it is."""
        if len(self._directory.applications()) == 1:
            return True
        return isinstance(fact, PublishedFact) and fact.network in (application.broadcast.subscribe_key, application.signal.subscribe_key)


def _summary(call: RecordedCall) -> CallSummary:
    return CallSummary(
        id=call.id,
        caller=call.caller,
        callee=call.callee,
        began_at=call.began_at,
        ended_at=call.ended_at,
        ending=call.ending,
        left_out=call.left_out,
    )
