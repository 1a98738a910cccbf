"""Lines of text for people, and those of what every command may tell and of what commands list; the rest is in ``rendering``."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sinchphone.cli.addressing.destination import Kind
from sinchphone.cli.explanations import WHOSE
from sinchphone.cli.terminal.output.listings import (
    CameraFound,
    CheckResult,
    ContactListed,
    DeviceFound,
    DeviceLevel,
    DevicesTested,
    DoctorChecked,
    ExchangeStarted,
    HistoryDeleted,
    HistoryEntry,
    PastKind,
)
from sinchphone.cli.terminal.output.results import (
    CallEnded,
    PipeEndedTold,
    PipeStartedTold,
    RecordFinishedTold,
    RecordStartedTold,
    Result,
    Warned,
)
from sinchphone.cli.terminal.screen.status_line import cells, clock, meter
from sinchphone.cli.terminal.text.counting import counted
from sinchphone.cli.terminal.text.escape import MAX_TEXT, escape
from sinchphone.errors import BACKEND_HANGS_UP
from sinchphone.protocol.call.states import BUSY_CODES, Cause, EndedBy
from sinchphone.protocol.names import ROOM_PREFIX
from sinchphone.quick_dataclass import quick_dataclass

MAX_MESSAGE: Final = 24_576  # characters of a line of a message: no message is longer
_UNNAMED: Final = (Cause.TIMEOUT, Cause.NO_ANSWER, Cause.INACTIVE, Cause.FAILURE)  # whose words don't say who ended it
_CHECK_STYLES: Final = {
    CheckResult.OK: "green",
    CheckResult.WARNING: "yellow",
    CheckResult.PROBLEM: "bold red",
    CheckResult.SKIPPED: "dim",
}
_DEVICES_FROM: Final = 5  # columns of a line about a device before its name
_PEERS_FROM: Final = 33  # columns of a line of the history before the names,
_PEER_CELLS: Final = 14  # and of the names, where they aren't longer
_CONFERENCE: Final = "conference"  # signaling.dialect.Domain, as it is noted


@quick_dataclass(frozen=True, slots=True)
class Line:
    """A line to be written; ``result`` lines go to standard output, ``always`` lines are written under -q too."""

    text: str
    style: str = ""
    styled: int = 0  # of so many characters at its beginning; 0: of all
    result: bool = False
    always: bool = False
    detail: bool = False  # with -v only
    limit: int = MAX_TEXT  # characters
    whole: bool = False  # never broken into several
    hanging: int = 0  # columns where its further lines begin; 0: a little in
    renews: bool = False  # on a terminal it stands in place of the one before of its kind
    facts: tuple[tuple[str, str], ...] = ()  # what a log in JSON says beside the text


def _call_ended(event: CallEnded) -> list[Line]:
    if event.outbound and event.cause is Cause.FAILURE and event.duration_ms is None:
        return []  # the error that ends the command says it
    reached = event.answered or not event.outbound
    as_asked = (event.ended_by == EndedBy.US and reached) or event.cause in (Cause.HUNG_UP, Cause.OTHER_DEVICE_ANSWERED)
    return [_ended(event), *(replace(line, always=not as_asked, detail=as_asked) for line in hint_lines(event.hint))]


def _warning(event: Warned) -> list[Line]:
    return [Line(f"warning: {event.message}", "yellow", always=True), *hint_lines(event.hint)]


def _exchange(event: ExchangeStarted) -> list[Line]:
    key = f"application key {event.application_key}"
    tls = [f"exchange {event.tls_url}"] if event.tls_url else []
    authority = [f"certificate authority {event.authority}"] if event.authority else []
    sip = [f"sip {address}" for address in (event.sip, event.sip_tls and f"{event.sip_tls} (TLS)") if address]
    inspector = [f"inspector {event.inspector}"] if event.inspector else []
    metrics = [f"metrics {event.metrics}/metrics"] if event.metrics else []
    return [Line(text, result=True) for text in (f"exchange {event.url}", key, *tls, *authority, *sip, *inspector, *metrics)]


def _result(event: Result) -> list[Line]:
    problem = event.error
    return [Line(f"error: {problem.message}", "bold red", always=True), *hint_lines(problem.hint)] if problem is not None else []


def named(peer: str, contact: str | None) -> str:
    """A peer, with the name under which they are known here."""
    return peer if contact is None or contact == peer else f"{contact} ({peer})"


def as_room(name: str) -> str:
    """A room as it's dialled."""
    return f"{ROOM_PREFIX}{name}"


def _contact(event: ContactListed) -> str:
    dialled = as_room(event.identity) if event.kind is Kind.CONFERENCE else event.identity
    user = f", user {event.user_id}" if event.user_id not in (None, event.identity) else ""
    return f"{event.name}  {dialled}{user}"


def _deleted(event: HistoryDeleted) -> str:
    calls, messages = counted(event.calls, "call"), counted(event.messages, "message")
    return f"deleted {calls} and {messages}"


def _past(event: HistoryEntry) -> str:
    arrow = "->" if event.outbound else "<-"
    names = event.contacts or [None] * len(event.peers)
    at = datetime.fromisoformat(event.at).astimezone()
    shown = map(as_room, event.peers) if event.domain == _CONFERENCE else event.peers
    peers = ", ".join(map(named, shown, names))
    head = f"{at:%Y-%m-%d %H:%M:%S}  {event.kind:<7}  {arrow} {peers}{'':{max(0, _PEER_CELLS - cells(escape(peers)))}}"
    if event.kind is PastKind.MESSAGE:
        return f"{head}  {event.status}: {(event.text or '').replace(chr(10), ' ↵ ')}"
    length = "" if event.duration_ms is None else f", {clock(event.duration_ms / 1000)}"
    return f"{head}  {'missed, ' if event.missed else ''}{_cause(event)}{length}"


def _cause(event: HistoryEntry) -> str:
    """Why a call ended, in words; what isn't known here stands as it was noted."""
    ours = event.ended_by == EndedBy.US
    said = f": {event.reason}" if event.reason else ""
    match event.status:
        case Cause.HUNG_UP:
            return "you hung up" if ours else "they hung up"
        case Cause.DENIED if event.outbound:
            if event.reason == BACKEND_HANGS_UP:
                return BACKEND_HANGS_UP
            return "busy" if event.code in BUSY_CODES else "declined"
        case Cause.DENIED:
            return "you declined" if ours else "declined on another device"
        case Cause.CANCELED:
            return "you gave up" if event.outbound else "they gave up"
        case Cause.NO_ANSWER:
            return "no answer"
        case Cause.TIMEOUT:
            return "no device took notice"
        case Cause.INACTIVE:
            return "the sound stopped"
        case Cause.FAILURE:
            return f"failed{said}"
        case _:
            return event.status.replace("_", " ")


def hint_lines(hint: str | None) -> list[Line]:
    """What to do about it, where that's known."""
    return [Line(f"hint: {hint}", always=True)] if hint else []


def _ended(event: CallEnded) -> Line:
    whose = WHOSE[event.ended_by] if event.ended_by is not None and event.cause in _UNNAMED else None
    said = f"{event.reason} ({whose})" if whose else event.reason
    which = f"{event.peer}: " if event.beside else ""
    if event.duration_ms is None:
        return Line(f"{which}ended: {said}", result=True)
    return Line(f"{which}ended after {clock(event.duration_ms / 1000)}: {said}", result=True)


def _tested(event: DevicesTested) -> str:
    return f"{event.microphone} to {event.loudspeaker}: {_level(event.level_dbfs)}"


def _level(dbfs: float | None) -> str:
    known = dbfs is not None and math.isfinite(dbfs)
    return f"{meter(dbfs, 20)} {dbfs:.0f} dBFS" if dbfs is not None and known else f"{meter(-math.inf, 20)} silence"


def _checked(event: DoctorChecked) -> list[Line]:
    head = f"{event.result:<8}  {event.id:<13} "
    hint = [Line(f"{'':{len(head)}}hint: {event.hint}", result=True)] if event.hint else []
    return [Line(head + event.summary, _CHECK_STYLES[event.result], result=True, hanging=len(head), styled=len(event.result)), *hint]


def _device(event: DeviceFound) -> str:
    uses = [name for name, there in (("input", event.inputs), ("output", event.outputs)) if there]
    defaults = [name for name, there in (("input", event.default_input), ("output", event.default_output)) if there]
    worn = "" if event.headset is None or not event.outputs else ", headset" if event.headset else ", loudspeaker"
    note = f", default {' and '.join(defaults)}{worn}" if defaults else worn
    return f"{event.index:>3}  {event.name}, {event.host} ({' and '.join(uses) or 'no channels'}{note})"


RENDERERS: Final[Mapping[type[Any], Callable[[Any], list[Line]]]] = {
    CallEnded: _call_ended,
    RecordStartedTold: lambda event: [Line(f"recording to {event.path}")],
    PipeStartedTold: lambda event: [Line(f"{event.path}: this call from byte {event.offset_bytes} on", detail=True)],
    PipeEndedTold: lambda event: [Line(f"{event.path}: {event.bytes} bytes of this call from byte {event.offset_bytes} on", detail=True)],
    RecordFinishedTold: lambda event: [
        Line(f"recorded {clock(event.duration_s)} to {event.path}" if event.is_kept else f"nothing was recorded to {event.path}")
    ],
    HistoryEntry: lambda event: [Line(_past(event), "bold" if event.missed else "", result=True, limit=MAX_MESSAGE, hanging=_PEERS_FROM)],
    HistoryDeleted: lambda event: [Line(_deleted(event), result=True)],
    ContactListed: lambda event: [Line(_contact(event), result=True)],
    Warned: _warning,
    ExchangeStarted: _exchange,
    DoctorChecked: _checked,
    DevicesTested: lambda event: [Line(_tested(event), result=True)],
    DeviceLevel: lambda event: [Line(_level(event.level_dbfs), result=True, renews=True)],
    CameraFound: lambda event: [Line(f"{event.index:>3}  camera {event.name}", result=True)],
    DeviceFound: lambda event: [
        Line(_device(event), "bold" if event.default_input or event.default_output else "", result=True, hanging=_DEVICES_FROM)
    ],
    Result: _result,
}
