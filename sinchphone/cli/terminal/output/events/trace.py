"""What the record of an exchange tells: events of ``--json`` as those in ``events`` are."""

from typing import ClassVar, Literal, TypeAlias

from sinchphone.cli.terminal.output.listings import Count, Instant, Milliseconds
from sinchphone.protocol.trace.event import TraceEvent
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.wire import write_time

Way: TypeAlias = Literal["rest", "pubsub", "sip", "callback", "media", "call"]


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TraceCallListed:
    """A call that the record has; ``duration_ms`` is ``null`` while it goes on. ``left_out``: so many of its events are kept no more."""

    NAME: ClassVar[str] = "trace.call"
    call_id: str
    caller: str
    callee: str
    began_at: Instant
    duration_ms: Milliseconds | None
    ending: str | None
    left_out: Count


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TraceEventTold:
    """Something happened inside the exchange: ``source`` said it to ``target``, which are users, ``exchange``, ``backend`` or addresses.
    ``number`` counts the exchange's events in the order in which they began; ``call_id`` is ``null`` where it belongs to no call, ``body``
    where there is none. Secrets are ``***``."""

    NAME: ClassVar[str] = "trace.event"
    number: Count
    at: Instant
    way: Way
    call_id: str | None
    source: str
    target: str
    summary: str
    failed: bool
    body: str | None

    @classmethod
    def of(cls, event: TraceEvent) -> "TraceEventTold":
        """The same event, as commands tell it."""
        ways: dict[str, Way] = {"rest": "rest", "pubsub": "pubsub", "sip": "sip", "callback": "callback", "media": "media", "call": "call"}
        return cls(
            number=event.seq,
            at=write_time(event.at),
            way=ways[event.kind.value],
            call_id=event.call,
            source=event.source,
            target=event.target,
            summary=event.summary,
            failed=event.is_failure,
            body=event.body or None,
        )
