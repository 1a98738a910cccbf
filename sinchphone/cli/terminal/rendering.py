"""What people read of each event: its lines of text. A table names the renderer of every event there is.

What came from elsewhere is escaped by whoever writes the lines (``screen``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sinchphone.cli.terminal import events as e
from sinchphone.cli.terminal import exchange_events as x
from sinchphone.cli.terminal.escape import MAX_TEXT
from sinchphone.cli.terminal.listings import ContactListed, DeviceFound, ExchangeStarted, HistoryDeleted, HistoryEntry
from sinchphone.cli.terminal.status_line import clock
from sinchphone.protocol.call.states import Cause, EndedBy
from sinchphone.signaling.dialect import Domain

MAX_MESSAGE: Final = 24_576  # characters of a line of a message: no message is longer
_QUALITY: Final[Mapping[e.QualityName, str]] = {
    "HighRemoteInboundRtt": "the way there and back takes more than 300 ms",
    "HighInboundJitter": "packets come unevenly",
    "HighInboundPacketLoss": "packets are lost on the way here",
    "MissingMediaStream": "nothing comes from the other side: a firewall may keep it out, or one of you has lost the network",
    "ConstantOutboundAudioLevel": "the microphone's level never changes",
    "ConstantInboundAudioLevel": "the other side's level never changes",
    "ZeroOutboundAudioLevel": "the microphone gives no sound at all: is it switched off?",
    "ZeroInboundAudioLevel": "the other side sends no sound at all",
    "SilentInboundAudio": "the other side sends silence only",
    "ClippedOutboundAudio": "the microphone is too loud: turn it down, or sit further away",
}

BUSY_STATUSES: Final = (486, 600)  # of SIP
_BETTER: Final[Mapping[e.QualityName, str]] = {"MissingMediaStream": "it comes again"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line to be written; ``result`` lines go to standard output, ``always`` lines are written under -q too."""

    text: str
    style: str = ""
    result: bool = False
    always: bool = False
    detail: bool = False  # with -v only
    limit: int = MAX_TEXT  # characters


def place(environment: str, hosted_here: bool | None) -> str:
    """Where the platform is, in words."""
    if environment == "cloud":
        return "Sinch"
    return "local exchange, hosted here" if hosted_here else "local exchange"


def lines(event: e.Event) -> list[Line]:
    """The text of an event."""
    return RENDERERS[type(event)](event)


def _nothing(event: e.Event) -> list[Line]:
    """The error that ends the command says it."""
    return []


def _ready(event: e.ClientReady) -> list[Line]:
    where = place(event.environment, event.hosted_here)
    if event.again:
        return [Line(f"connected again ({where})", "green", always=True)]
    return [Line(f"registered as {event.user_id} ({where})", detail=True)]


def _reconnecting(event: e.ClientReconnecting) -> list[Line]:
    return [Line(f"reconnecting: {event.reason}; connected calls go on, others wait", "yellow", always=True)]


def _outgoing(event: e.CallOutgoing) -> list[Line]:
    verb = "joining" if event.domain is Domain.CONFERENCE else "calling"
    where = place(event.environment, event.hosted_here)
    return [Line(f"{verb} {_named(event.peer, event.contact)} as {event.user_id} ({where})"), Line(f"call id {event.call_id}", detail=True)]


def _incoming(event: e.CallIncoming) -> list[Line]:
    headers = [Line(f"header {name}: {value}", detail=True) for name, value in event.headers.items()]
    return [Line(f"{_named(event.peer, event.contact)} calls", "bold"), Line(f"call id {event.call_id}", detail=True), *headers]


def _established(event: e.CallEstablished) -> list[Line]:
    setup = [] if event.setup_ms is None else [Line(f"set up in {event.setup_ms / 1000:.2f} s", detail=True)]
    return [Line(f"connected ({_path(event)}), 0:00", "green"), *setup]


def _answered(event: e.CallAnswered) -> list[Line]:
    return [Line("answered" if event.after_ms is None else f"answered after {event.after_ms / 1000:.1f} s")]


def _call_ended(event: e.CallEnded) -> list[Line]:
    if event.outbound and event.cause is Cause.FAILURE and event.duration_ms is None:
        return []  # the error that ends the command says it
    return [_ended(event), *_hint(event.hint)]


def _sent(event: e.MessageSent) -> list[Line]:
    if event.elsewhere:
        return _written_by(f"you to {', '.join(event.recipients)}, on another device", event.text or "")
    return [Line(f"sent to {', '.join(event.recipients)}{' by SMS' if event.via == 'sms' else ''}")]


def _not_delivered(event: e.MessageFailed) -> list[Line]:
    return [Line(f"not delivered to {event.recipient}: {event.reason}", "yellow", always=True), *_hint(event.hint)]


def _warning(event: e.Warned) -> list[Line]:
    return [Line(f"warning: {event.message}", "yellow", always=True), *_hint(event.hint)]


def _exchange(event: ExchangeStarted) -> list[Line]:
    key = f"application key {event.application_key}"
    tls = [f"exchange {event.tls_url}"] if event.tls_url else []
    authority = [f"certificate authority {event.authority}"] if event.authority else []
    sip = [f"sip {address}" for address in (event.sip, event.sip_tls and f"{event.sip_tls} (TLS)") if address]
    return [Line(text, result=True) for text in (f"exchange {event.url}", key, *tls, *authority, *sip)]


def _background(event: x.ExchangeBackground) -> list[Line]:
    return [Line("an exchange runs in the background now; it ends when nobody uses it (sinchphone exchange status, stop)", "dim")]


def _exchange_status(event: x.ExchangeStatus) -> list[Line]:
    if not event.running:
        return [Line(f"no exchange runs at {event.url}", result=True)]
    used = f"calls {event.calls}, callers {event.callers}, phones that wait {event.phones}"
    log = [f"log {event.log}"] if event.log else []
    first = f"exchange {event.url}, {event.kind}, process {event.pid}, version {event.version}, for {clock(event.running_s or 0)}"
    return [Line(text, result=True) for text in (first, used, *log)]


def _exchange_stopped(event: x.ExchangeStopped) -> list[Line]:
    if event.calls is None:
        return [Line("no exchange runs in the background", result=True)]
    return [Line(f"stopped{f', calls that it ended: {event.calls}' if event.calls else ''}", result=True)]


def _result(event: e.Result) -> list[Line]:
    problem = event.error
    return [Line(f"error: {problem.message}", "bold red", always=True), *_hint(problem.hint)] if problem is not None else []


def _written_by(sender: str, text: str) -> list[Line]:
    """A message, with its own lines below each other. Each line's beginning is ours: no text can look like another sender's."""
    first, *more = text.split("\n")
    return [
        Line(f"{sender}: {first}", result=True, limit=MAX_MESSAGE),
        *(Line(f"  {line}", result=True, limit=MAX_MESSAGE) for line in more),
    ]


def _named(peer: str, contact: str | None) -> str:
    return peer if contact is None or contact == peer else f"{contact} ({peer})"


def _contact(event: ContactListed) -> str:
    dialled = f"conf:{event.identity}" if event.kind == "conference" else event.identity
    user = f", user {event.user_id}" if event.user_id not in (None, event.identity) else ""
    return f"{event.name}  {dialled}{user}"


def _deleted(event: HistoryDeleted) -> str:
    calls, messages = (f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in ((event.calls, "call"), (event.messages, "message")))
    return f"deleted {calls} and {messages}"


def _past(event: HistoryEntry) -> str:
    arrow = "->" if event.outbound else "<-"
    names = event.contacts or [None] * len(event.peers)
    at = datetime.fromisoformat(event.at).astimezone()
    head = f"{at:%Y-%m-%d %H:%M:%S}  {event.kind:<7}  {arrow} {', '.join(map(_named, event.peers, names))}"
    if event.kind == "message":
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
            return "busy" if event.code in BUSY_STATUSES else "declined"
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


def _hint(hint: str | None) -> list[Line]:
    return [Line(f"hint: {hint}", always=True)] if hint else []


def _source(path: str) -> str:
    return "standard input" if path == "-" else path


def _path(event: e.CallEstablished) -> str:
    return ", ".join(part for part in (event.codec, event.pair) if part) or "no details"


def _ended(event: e.CallEnded) -> Line:
    if event.duration_ms is None:
        return Line(f"ended: {event.reason}", result=True)
    return Line(f"ended after {clock(event.duration_ms / 1000)}: {event.reason}", result=True)


def _stats(event: e.Stats) -> str:
    parts = [f"{event.packets_received} packets received, {event.packets_lost} lost, {event.packets_sent} sent"]
    parts += [f"jitter {event.jitter_ms:.0f} ms"] if event.jitter_ms is not None else []
    parts += [f"delay {event.delay_ms:.0f} ms"] if event.delay_ms is not None else []
    parts += [f"round trip {event.round_trip_ms:.0f} ms"] if event.round_trip_ms is not None else []
    parts += [f"quality {event.mean_mos:.1f} of 4.5 (estimated)"] if event.mean_mos is not None else []
    return ", ".join(parts)


def _devices_in_use(event: e.DevicesChanged) -> str:
    named = {"microphone": event.microphone, "loudspeaker": event.loudspeaker}
    return "sound now: " + ", ".join(f"{part} {name}" for part, name in named.items() if name is not None)


def _heard(event: e.CheckFinished) -> str:
    level = "" if event.level_dbfs is None else f"{event.level_dbfs:.0f} dBFS"
    if event.echo and event.delay_ms is not None:
        return f"heard the echo: yes, {event.delay_ms / 1000:.2f} s later, {level}"
    if event.sound:
        return f"heard the echo: no, but other sound, {level}"
    if event.packets_received is None:
        return "heard the echo: the call ended before the check"
    return f"heard the echo: no, {'only silence' if event.packets_received else 'no packet of sound arrived'}"


def _device(event: DeviceFound) -> str:
    uses = [name for name, there in (("input", event.inputs), ("output", event.outputs)) if there]
    defaults = [name for name, there in (("input", event.default_input), ("output", event.default_output)) if there]
    note = f", default {' and '.join(defaults)}" if defaults else ""
    return f"{event.index:>3}  {event.name}, {event.host} ({' and '.join(uses) or 'no channels'}{note})"


RENDERERS: Final[Mapping[type[e.Event], Callable[[Any], list[Line]]]] = {
    e.ClientReady: _ready,
    e.ClientReconnecting: _reconnecting,
    e.ClientFailed: _nothing,
    e.CallOutgoing: _outgoing,
    e.CallIncoming: _incoming,
    e.CallProgressing: lambda event: [Line("progressing", detail=True)],
    e.CallRinging: lambda event: [Line("ringing")],
    e.CallAnswered: _answered,
    e.CallEstablished: _established,
    e.CallMuted: lambda event: [Line("muted" if event.muted else "not muted any more")],
    e.DigitsSent: lambda event: [Line(f"dialled {event.digits}")],
    e.DigitReceived: lambda event: [Line(f"the other side dialled {event.digit}")],
    e.CallEnded: _call_ended,
    e.PlayStarted: lambda event: [Line(f"playing {_source(event.path)}")],
    e.PlayFinished: lambda event: [Line(f"played {_source(event.path)}")],
    e.RecordStarted: lambda event: [Line(f"recording to {event.path}")],
    e.RecordFinished: lambda event: [Line(f"recorded {clock(event.duration_s)} to {event.path}")],
    e.Stats: lambda event: [Line(_stats(event), detail=True)],
    e.QualityTriggered: lambda event: [Line(f"sound: {_QUALITY[event.name]}", "yellow")],
    e.QualityRecovered: lambda event: [Line(f"sound: {_BETTER.get(event.name, f'better again ({_QUALITY[event.name]})')}")],
    e.DevicesChanged: lambda event: [Line(_devices_in_use(event), always=True)],
    e.CheckFinished: lambda event: [Line(_heard(event), result=True)],
    e.MessageSent: _sent,
    e.MessageDelivered: lambda event: [Line(f"delivered to {event.recipient}", result=True)],
    e.MessageFailed: _not_delivered,
    e.MessageReceived: lambda event: _written_by(event.sender, event.text),
    HistoryEntry: lambda event: [Line(_past(event), result=True, limit=MAX_MESSAGE)],
    HistoryDeleted: lambda event: [Line(_deleted(event), result=True)],
    ContactListed: lambda event: [Line(_contact(event), result=True)],
    e.Warned: _warning,
    ExchangeStarted: _exchange,
    x.ExchangeBackground: _background,
    x.ExchangeStatus: _exchange_status,
    x.ExchangeStopped: _exchange_stopped,
    DeviceFound: lambda event: [Line(_device(event), result=True)],
    e.Result: _result,
}
