"""What people read of each event: its lines of text. A table names the renderer of every event there is.

What came from elsewhere is escaped by whoever writes the lines (``screen``).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sinchphone.audio.quality_warning import QualityWarning
from sinchphone.cli.terminal.output import lines
from sinchphone.cli.terminal.output.events import client as c
from sinchphone.cli.terminal.output.events import control as k
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.events import exchange as x
from sinchphone.cli.terminal.output.events import peer as p
from sinchphone.cli.terminal.output.events import trace as t
from sinchphone.cli.terminal.output.events import video as v
from sinchphone.cli.terminal.output.lines import MAX_MESSAGE, Line, hint_lines, named
from sinchphone.cli.terminal.screen.status_line import clock
from sinchphone.options import Place
from sinchphone.protocol.verification import VerificationMethod, VerificationStatus
from sinchphone.signaling.dialect import Domain

_QUALITY: Final[Mapping[str, str]] = {
    QualityWarning.HIGH_ROUND_TRIP: "the way there and back takes more than 300 ms",
    QualityWarning.HIGH_JITTER: "packets come unevenly",
    QualityWarning.HIGH_LOSS: "packets are lost on the way here",
    QualityWarning.MISSING_STREAM: "nothing comes from the other side: a firewall may keep it out, or one of you has lost the network",
    QualityWarning.CONSTANT_OUTBOUND: "the microphone's level never changes",
    QualityWarning.CONSTANT_INBOUND: "the other side's level never changes",
    QualityWarning.ZERO_OUTBOUND: "the microphone gives no sound at all: is it switched off?",
    QualityWarning.ZERO_INBOUND: "the other side sends no sound at all",
    QualityWarning.SILENT_INBOUND: "the other side sends silence only",
    QualityWarning.CLIPPED_OUTBOUND: "the microphone is too loud: turn it down, or sit further away",
}

_BETTER: Final[Mapping[str, str]] = {QualityWarning.MISSING_STREAM: "it comes again"}


def place(environment: Place, hosted_here: bool | None) -> str:
    """Where the platform is, in words."""
    if environment is Place.CLOUD:
        return "Sinch"
    return "local exchange, hosted here" if hosted_here else "local exchange"


def _nothing(event: e.Event) -> list[Line]:
    """The error that ends the command says it."""
    return []


def _ready(event: c.ClientReady) -> list[Line]:
    where = place(event.environment, event.hosted_here)
    if event.again:
        return [Line(f"connected again ({where})", "green", always=True)]
    return [Line(f"registered as {event.user_id} ({where})", detail=True)]


def _reconnecting(event: c.ClientReconnecting) -> list[Line]:
    return [Line(f"reconnecting: {event.reason}; connected calls go on, others wait", "yellow", always=True)]


def _outgoing(event: e.CallOutgoing) -> list[Line]:
    verb = "joining" if event.domain is Domain.CONFERENCE else "calling"
    where = place(event.environment, event.hosted_here)
    return [Line(f"{verb} {named(event.peer, event.contact)} as {event.user_id} ({where})"), Line(f"call id {event.call_id}", detail=True)]


def _incoming(event: e.CallIncoming) -> list[Line]:
    headers = [Line(f"header {name}: {value}", detail=True) for name, value in event.headers.items()]
    how = " with video" if event.video else ""
    return [Line(f"{named(event.peer, event.contact)} calls{how}", "bold"), Line(f"call id {event.call_id}", detail=True), *headers]


def _established(event: e.CallEstablished) -> list[Line]:
    setup = [] if event.establishing_ms is None else [Line(f"set up in {event.establishing_ms / 1000:.2f} s", detail=True)]
    return [Line(f"connected ({_path(event)}), 0:00", "green"), *setup]


def _answered(event: e.CallAnswered) -> list[Line]:
    return [Line("answered" if event.after_ms is None else f"answered after {event.after_ms / 1000:.1f} s")]


def _sent(event: e.MessageSentTold) -> list[Line]:
    if event.elsewhere:
        return _written_by(f"you to {', '.join(event.recipients)}, on another device", event.text or "")
    head = f"sent to {', '.join(event.recipients)}{' by SMS' if event.via is e.MessageTransport.SMS else ''}"
    if event.simulated:
        return [Line(f"{head}, simulated: nobody's phone gets it, sinchphone exchange sms shows it", always=True)]
    return [Line(head)]


def _not_delivered(event: e.MessageFailedTold) -> list[Line]:
    return [Line(f"not delivered to {event.recipient}: {event.reason}", "yellow", always=True), *hint_lines(event.hint)]


def _control_failed(event: k.ControlFailed) -> list[Line]:
    return [Line(f"{event.command or 'a command'} was not done: {event.reason}", "yellow", always=True), *hint_lines(event.hint)]


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


def _exchange_moved(event: x.ExchangeMoved) -> list[Line]:
    moved = f"moved: users {event.users}, devices {event.devices}, frames of messages that wait {event.message_frames}"
    return [Line(f"{moved}; rows {event.rows}, known before {event.known}", result=True)]


def _text(event: x.TextListed) -> list[Line]:
    at = datetime.fromisoformat(event.at).astimezone()
    return _written_by(f"{at:%Y-%m-%d %H:%M:%S}  {event.sender or '-'} -> {event.number}", event.text)


def _user(event: x.UserListed) -> list[Line]:
    names = [name for name in (event.email, event.number) if name]
    used = f"{event.devices} device{'' if event.devices == 1 else 's'}, {event.listening} listening"
    return [Line("  ".join([event.user_id, *names, f"({used})"]), result=True)]


def _traced_call(event: t.TraceCallListed) -> list[Line]:
    at = datetime.fromisoformat(event.began_at).astimezone()
    length = "goes on" if event.duration_ms is None else clock(round(event.duration_ms / 1000))
    ending = f"  {event.ending}" if event.ending else ""
    left = [Line(f"events that are kept no more: {event.left_out}", "yellow")] if event.left_out else []
    return [Line(f"{at:%Y-%m-%d %H:%M:%S}  {event.call_id}  {event.caller} -> {event.callee}  {length}{ending}", result=True), *left]


def _traced_event(event: t.TraceEventTold) -> list[Line]:
    at = datetime.fromisoformat(event.at).astimezone()
    who = event.source if event.source == event.target else f"{event.source} → {event.target}"
    first = f"{at:%H:%M:%S}.{at.microsecond // 1000:03}  {event.way:<8}  {who}  {event.summary}"
    body = [Line(f"    {line}", "dim", detail=True) for line in (event.body or "").splitlines()]
    return [Line(first, "yellow" if event.failed else ""), *body]


def _simulated_call(event: x.SimulatedCallTold) -> list[Line]:
    if event.state is not x.SimulatedState.ENDED:
        return [Line(event.state)]
    why = f": {event.reason} ({event.status})" if event.status is not None else ""
    talked = f" after {clock(int(event.talked_s))}" if event.talked_s is not None else ""
    heard = f", heard {event.heard_s:g} s of sound" if event.talked_s is not None else ""
    keys = f", keys {event.digits}" if event.digits else ""
    return [Line(f"ended{talked}{why}{heard}{keys}", result=True)]


_SENT_BY: Final = {
    VerificationMethod.SMS: "a code was sent",
    VerificationMethod.CALLOUT: "a call says the code",
    VerificationMethod.FLASH_CALL: "a number calls, which is the code",
}


def _verification(event: x.VerificationTold) -> list[Line]:
    if event.status is VerificationStatus.PENDING:
        return [Line(_SENT_BY[event.method])]
    why = f": {event.reason}" if event.reason else ""
    what = "is verified" if event.status is VerificationStatus.SUCCESSFUL else f"is not verified{why}"
    return [Line(f"{event.number} {what}", result=True)]


def _written_by(sender: str, text: str) -> list[Line]:
    """A message, with its own lines below each other. Each line's beginning is ours: no text can look like another sender's."""
    first, *more = text.split("\n")
    return [
        Line(f"{sender}: {first}", result=True, limit=MAX_MESSAGE),
        *(Line(f"  {line}", result=True, limit=MAX_MESSAGE) for line in more),
    ]


def _source(path: str) -> str:
    return "standard input" if path == "-" else path


def _path(event: e.CallEstablished) -> str:
    return ", ".join(part for part in (event.codec, event.pair) if part) or "no details"


def _stats(event: e.Stats) -> str:
    parts = [f"{event.packets_received} packets received, {event.packets_lost} lost, {event.packets_sent} sent"]
    parts += [f"jitter {event.jitter_ms:.0f} ms"] if event.jitter_ms is not None else []
    parts += [f"delay {event.delay_ms:.0f} ms"] if event.delay_ms is not None else []
    parts += [f"round trip {event.round_trip_ms:.0f} ms"] if event.round_trip_ms is not None else []
    parts += [f"quality {event.mean_mos:.1f} of 4.5 (estimated)"] if event.mean_mos is not None else []
    return ", ".join(parts)


def _devices_in_use(event: e.DevicesChangedTold) -> str:
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


def _held(event: e.CallHeld) -> str:
    if event.by is e.HeldBy.PEER:
        return f"{event.peer} put you on hold"
    on_hold = f"{event.peer} is on hold"
    return on_hold if event.agreed else f"{on_hold}, could not be told, and hears nothing of you"


def _resumed(event: e.CallResumed) -> str:
    if event.by is e.HeldBy.PEER:
        return f"{event.peer} is back"
    resumed = f"{event.peer} is not on hold any more"
    return resumed if event.agreed else f"{resumed}, but could not be told"


RENDERERS: Final[Mapping[type[e.Event], Callable[[Any], list[Line]]]] = {
    **lines.RENDERERS,
    c.ClientReady: _ready,
    c.ClientReconnecting: _reconnecting,
    c.ClientFailedTold: _nothing,
    c.ClientSleeping: lambda event: [Line("asleep: a push about a call wakes this phone")],
    c.GroupJoined: lambda event: [Line(f"in the group {event.group} as {event.user_id}", "green")],
    c.GroupCallAdded: lambda event: [Line(f"{event.peer} is here", "green")],
    c.GroupCallRemoved: lambda event: [Line(f"{event.peer} is gone")],
    c.PushReceivedTold: lambda event: [Line(f"a push tells of a call by {named(event.peer, event.display_name)}", detail=not event.woke)],
    c.PushDroppedTold: lambda event: [Line(f"dropped: {event.reason}", "yellow")],
    e.CallOutgoing: _outgoing,
    e.CallIncoming: _incoming,
    e.CallProgressing: lambda event: [Line("progressing", detail=True)],
    e.CallRinging: lambda event: [Line("ringing")],
    e.CallAnswered: _answered,
    e.CallEstablished: _established,
    v.VideoPaused: lambda event: [Line("the picture is paused" if event.paused else "they see you again")],
    v.VideoCamera: lambda event: [Line(f"the camera {event.camera} {'runs' if event.running else 'is off'}")],
    v.VideoSeen: lambda event: [Line(f"{event.pictures} pictures seen, test pictures among them: {event.recognised}", detail=True)],
    e.CallMuted: lambda event: [Line("muted" if event.muted else "not muted any more")],
    e.CallHeld: lambda event: [Line(_held(event))],
    e.CallResumed: lambda event: [Line(_resumed(event))],
    p.ConferenceMembers: _nothing,
    p.CallTransferred: lambda event: [Line(f"you talk with {event.peer} now: the call was transferred", "green")],
    e.DigitsSentTold: lambda event: [Line(f"dialled {event.digits}")],
    e.DigitReceived: lambda event: [Line(f"the other side dialled {event.digit}")],
    e.PlayStartedTold: lambda event: [Line(f"playing {_source(event.path)}")],
    e.PlayFinishedTold: lambda event: [Line(f"played {_source(event.path)}")],
    e.Stats: lambda event: [Line(_stats(event), detail=True)],
    e.QualityTriggeredTold: lambda event: [Line(f"sound: {_QUALITY[event.name]}", "yellow")],
    e.QualityRecoveredTold: lambda event: [Line(f"sound: {_BETTER.get(event.name, f'better again ({_QUALITY[event.name]})')}")],
    e.DevicesChangedTold: lambda event: [Line(_devices_in_use(event), always=True)],
    e.CheckFinished: lambda event: [Line(_heard(event), result=True)],
    e.MessageSentTold: _sent,
    e.MessageDeliveredTold: lambda event: [Line(f"delivered to {event.recipient}", result=True)],
    e.MessageFailedTold: _not_delivered,
    e.MessageReceivedTold: lambda event: _written_by(event.sender, event.text),
    k.ControlDone: lambda event: [Line(f"{event.command}: done", detail=True)],
    k.ControlFailed: _control_failed,
    k.ControlClosed: lambda event: [Line(f"no more commands come: {event.reason}", "yellow")],
    x.ExchangeBackground: _background,
    x.ExchangeStatus: _exchange_status,
    x.ExchangeStopped: _exchange_stopped,
    x.ExchangeMoved: _exchange_moved,
    x.TextListed: _text,
    x.RecordingListed: lambda event: [Line(f"{event.at}  {event.bytes / 1000:.0f} kB  {event.name}", result=True)],
    x.UserListed: _user,
    t.TraceCallListed: _traced_call,
    t.TraceEventTold: _traced_event,
    x.SimulatedCallTold: _simulated_call,
    x.VerificationTold: _verification,
}
