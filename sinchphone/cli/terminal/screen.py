"""ALL rendering for people: lines of text, with the status line below them, and whatever a peer sent escaped.

Progress, warnings and errors go to standard error, results to standard output.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, TextIO

from sinchphone.cli.terminal import events as e
from sinchphone.cli.terminal.escape import MAX_TEXT, escape
from sinchphone.cli.terminal.keyboard.posix import in_foreground
from sinchphone.cli.terminal.status_line import ERASE, Status, StatusLine, clock
from sinchphone.cli.terminal.streams import hush

if TYPE_CHECKING:
    from rich.console import Console

MAX_MESSAGE: Final = 24_576  # characters of a line of a message: no message is longer
_QUALITY: Final = {
    "HighRemoteInboundRtt": "the way there and back takes more than 300 ms",
    "HighInboundJitter": "packets come unevenly",
    "HighInboundPacketLoss": "packets are lost on the way here",
    "MissingMediaStream": "the connection is interrupted",
    "ConstantOutboundAudioLevel": "the microphone's level never changes",
    "ConstantInboundAudioLevel": "the other side's level never changes",
    "ZeroOutboundAudioLevel": "the microphone gives no sound at all: is it switched off?",
    "ZeroInboundAudioLevel": "the other side sends no sound at all",
    "SilentInboundAudio": "the other side sends silence only",
    "ClippedOutboundAudio": "the microphone is too loud: turn it down, or sit further away",
}


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
    """The text of an event; what came from elsewhere is escaped by whoever writes the lines."""
    match event:
        case e.ClientReady(again=True):
            return [Line(f"connected again ({place(event.environment, event.hosted_here)})", "green", always=True)]
        case e.ClientReady():
            return [Line(f"registered as {event.user_id} ({place(event.environment, event.hosted_here)})", detail=True)]
        case e.ClientReconnecting():
            return [Line(f"reconnecting: {event.reason}; connected calls go on, others wait", "yellow", always=True)]
        case e.ClientFailed():
            return []  # the error that ends the command says it
        case _:
            return _call_lines(event)


def _call_lines(event: e.Event) -> list[Line]:
    match event:
        case e.CallOutgoing():
            verb = "joining" if event.domain == "conference" else "calling"
            return [Line(f"{verb} {event.peer} as {event.user_id} ({place(event.environment, event.hosted_here)})")]
        case e.CallIncoming():
            return [Line(f"{event.peer} calls", "bold")]
        case e.CallProgressing():
            return [Line("progressing", detail=True)]
        case e.CallRinging():
            return [Line("ringing")]
        case e.CallAnswered():
            return [Line("answered" if event.after_ms is None else f"answered after {event.after_ms / 1000:.1f} s")]
        case e.CallEstablished():
            return [Line(f"connected ({_path(event)}), 0:00", "green")]
        case e.CallMuted():
            return [Line("muted" if event.muted else "not muted any more")]
        case e.DigitsSent():
            return [Line(f"dialled {event.digits}")]
        case e.DigitReceived():
            return [Line(f"the other side dialled {event.digit}")]
        case e.CallEnded(outbound=True, cause="failure", duration_ms=None):
            return []  # the error that ends the command says it
        case e.CallEnded():
            return [_ended(event), *_hint(event.hint)]
        case _:
            return _sound_lines(event)


def _sound_lines(event: e.Event) -> list[Line]:
    match event:
        case e.PlayStarted():
            return [Line(f"playing {_source(event.path)}")]
        case e.PlayFinished():
            return [Line(f"played {_source(event.path)}")]
        case e.RecordStarted():
            return [Line(f"recording to {event.path}")]
        case e.RecordFinished():
            return [Line(f"recorded {clock(event.duration_s)} to {event.path}")]
        case e.Stats():
            return [Line(_stats(event), detail=True)]
        case e.QualityTriggered():
            return [Line(f"sound: {_QUALITY.get(event.name, event.name)}", "yellow")]
        case e.QualityRecovered():
            return [Line(f"sound: better again ({_QUALITY.get(event.name, event.name)})")]
        case e.DevicesChanged():
            return [Line(_devices_in_use(event), always=True)]
        case e.CheckFinished():
            return [Line(_heard(event), result=True)]
        case _:
            return _other_lines(event)


def _other_lines(event: e.Event) -> list[Line]:
    match event:
        case e.MessageReceived() | e.MessageSent() | e.MessageDelivered() | e.MessageFailed() | e.HistoryEntry():
            return message_lines(event)
        case e.Warned():
            return [Line(f"warning: {event.message}", "yellow", always=True), *_hint(event.hint)]
        case e.ExchangeStarted():
            key = f"application key {event.application_key}"
            tls = [f"exchange {event.tls_url}"] if event.tls_url else []
            authority = [f"certificate authority {event.authority}"] if event.authority else []
            sip = [f"sip {address}" for address in (event.sip, event.sip_tls and f"{event.sip_tls} (TLS)") if address]
            return [Line(text, result=True) for text in (f"exchange {event.url}", key, *tls, *authority, *sip)]
        case e.DeviceFound():
            return [Line(_device(event), result=True)]
        case e.Result(error=e.Problem() as problem):
            return [Line(f"error: {problem.message}", "bold red", always=True), *_hint(problem.hint)]
        case _:
            return []


def message_lines(event: e.MessageReceived | e.MessageSent | e.MessageDelivered | e.MessageFailed | e.HistoryEntry) -> list[Line]:
    """The text of an event about messages, or of the past."""
    match event:
        case e.MessageReceived():
            return _written_by(event.sender, event.text)
        case e.MessageSent(elsewhere=True):
            return _written_by(f"you to {', '.join(event.recipients)}, on another device", event.text or "")
        case e.MessageSent():
            return [Line(f"sent to {', '.join(event.recipients)}{' by SMS' if event.via == 'sms' else ''}")]
        case e.MessageDelivered():
            return [Line(f"delivered to {event.recipient}", result=True)]
        case e.MessageFailed():
            return [Line(f"not delivered to {event.recipient}: {event.reason}", "yellow", always=True), *_hint(event.hint)]
        case e.HistoryEntry():
            return [Line(_past(event), result=True, limit=MAX_MESSAGE)]


def _written_by(sender: str, text: str) -> list[Line]:
    """A message, with its own lines below each other. Each line's beginning is ours: no text can look like another sender's."""
    first, *more = text.split("\n")
    return [
        Line(f"{sender}: {first}", result=True, limit=MAX_MESSAGE),
        *(Line(f"  {line}", result=True, limit=MAX_MESSAGE) for line in more),
    ]


def _past(event: e.HistoryEntry) -> str:
    arrow = "->" if event.outbound else "<-"
    at = datetime.fromisoformat(event.at).astimezone()
    head = f"{at:%Y-%m-%d %H:%M:%S}  {event.kind:<7}  {arrow} {', '.join(event.peers)}"
    if event.kind == "message":
        return f"{head}  {event.status}: {(event.text or '').replace(chr(10), ' ↵ ')}"
    length = "" if event.duration_ms is None else f", {clock(event.duration_ms / 1000)}"
    return f"{head}  {'missed, ' if event.missed else ''}{event.status}{length}"


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


def _device(event: e.DeviceFound) -> str:
    uses = [name for name, there in (("input", event.inputs), ("output", event.outputs)) if there]
    defaults = [name for name, there in (("input", event.default_input), ("output", event.default_output)) if there]
    note = f", default {' and '.join(defaults)}" if defaults else ""
    return f"{event.index:>3}  {event.name}, {event.host} ({' and '.join(uses) or 'no channels'}{note})"


class Screen:
    """Writes events for a person."""

    def __init__(
        self, out: TextIO | None, err: TextIO, *, quiet: bool = False, verbose: bool = False, color: bool = False, live: bool = False
    ) -> None:
        """``out`` is ``None`` where standard output carries JSON; ``live``: standard error is a terminal on which a line may be redrawn."""
        self._out = out
        self._err = err
        self._quiet = quiet
        self._verbose = verbose
        self._console = _console(err) if color else None
        self._status_line = StatusLine(err) if live and not quiet else None

    def tell(self, event: e.Event, *, aside: bool = False) -> None:
        """Write the lines of an event; ``aside`` of the result, to standard error. Raises BrokenPipeError where nobody reads standard
        output any more."""
        if self._out is None and isinstance(event, e.CallEnded):
            return  # its hint would stand there without what it belongs to
        written = lines(event)
        self.write([replace(line, result=False, always=True) for line in written] if aside else written)

    def write(self, wanted: Iterable[Line]) -> None:
        """Write those lines that the verbosity lets through."""
        for line in wanted:
            if line.result:
                self._print(escape(line.text, line.limit))
            elif line.always or not (self._quiet or (line.detail and not self._verbose)):
                self._say(line)

    def _print(self, text: str) -> None:
        if self._out is not None:
            self._erase()
            self._out.write(text + "\n")
            self._out.flush()

    def note(self, text: str) -> None:
        """Write a remark of ours to standard error."""
        self.write([Line(text)])

    def draw(self, status: Status) -> None:
        """Redraw the status line, on a terminal that is ours: a job in the background would write into another's screen."""
        if self._status_line is None:
            return
        if not self._is_ours():
            self._status_line.forget()
            return
        with self._dropping():
            self._status_line.draw(status)

    def _is_ours(self) -> bool:
        try:
            return in_foreground(self._err.fileno()) is not False
        except (OSError, ValueError):  # no file, as in tests
            return True

    def _erase(self) -> None:
        if self._status_line is not None:
            with self._dropping():
                self._status_line.erase()

    def release(self) -> None:
        """Leave the terminal for now as we found it: the status line is drawn again when somebody says what is in it."""
        if not self._is_ours():
            return
        try:
            self._erase()
        except RuntimeError:  # a signal came amid a write to the same stream, which is full of it
            with contextlib.suppress(OSError):
                os.write(self._err.fileno(), ERASE.encode())

    def reclaim(self) -> None:
        """Others have written meanwhile."""
        if self._status_line is not None:
            self._status_line.forget()

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        """Where standard error takes nothing (a full disk, a terminal that is gone) nobody can be told: we go on without it."""
        try:
            yield
        except OSError:
            hush(self._err)
            self._console = self._status_line = None

    def close(self) -> None:
        """Take the status line away and give the cursor back. May be called twice."""
        self._erase()

    def _say(self, line: Line) -> None:
        text = escape(line.text, line.limit)
        self._erase()
        with self._dropping():
            if self._console is None:
                self._err.write(text + "\n")
                self._err.flush()
                return
            from rich.text import Text

            self._console.print(Text(text, style=line.style), soft_wrap=True)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    class Ours(Console):
        """Leaves it to us what happens when nobody reads; Rich would end the program."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Ours(file=stream, force_terminal=True, no_color=False, highlight=False, markup=False, emoji=False)
