"""ALL rendering for people: lines of text, the live status line, and the escaping of whatever a peer sent.

Progress, warnings and errors go to standard error, results to standard output.
"""

import contextlib
import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from sinchphone.cli.terminal import events as e
from sinchphone.cli.terminal.streams import hush

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

KEYS_IN_CALL: Final = "q hang up   m mute   ? help"
HELP_IN_CALL: Final = "q hang up   m mute   0-9 * # dial   d next sound device   ? help"
KEYS_RINGING: Final = "a or Enter answer   x decline   i silence   ? help"
KEYS_WAITING: Final = "a hang up here and answer   x decline   i no tone   ? help"
MAX_TEXT: Final = 1_000  # characters of one line
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
_METER_CELLS: Final = 8
_METER_FLOOR_DBFS: Final = -60.0
_METER_STEPS: Final = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Line:
    """A line to be written; ``result`` lines go to standard output, ``always`` lines are written under -q too."""

    text: str
    style: str = ""
    result: bool = False
    always: bool = False
    detail: bool = False  # with -v only
    limit: int = MAX_TEXT  # characters


@dataclass(frozen=True, slots=True)
class Status:
    """What the status line of a running call shows. Levels in dBFS, ``-inf`` for silence."""

    state: str
    peer: str
    seconds: float | None
    near_dbfs: float = -math.inf
    far_dbfs: float = -math.inf
    muted: bool = False
    codec: str | None = None
    lost_percent: float | None = None
    round_trip_ms: float | None = None
    digits: str = ""  # that were dialled last
    keys: str = ""


def escape(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` in one line, with nothing in it that moves a cursor, changes colours, hides or turns the direction of text.

    Control and format characters (C0, C1, bidirectional marks), separators, surrogates and private characters become ``\\x1b`` or
    ``\\u202e``. Longer text is cut.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(one if _is_harmless(one) else _written(one) for one in cut)


def _is_harmless(character: str) -> bool:
    return character == " " or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _written(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clock(seconds: float) -> str:
    """``0:05``, ``12:34``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
            return [Line(f"another device of yours wrote to {', '.join(event.recipients)}", detail=True)]
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
    return f"heard the echo: no, {'only silence' if event.packets_received else 'no packet of sound arrived'}"


def _device(event: e.DeviceFound) -> str:
    uses = [name for name, there in (("input", event.inputs), ("output", event.outputs)) if there]
    defaults = [name for name, there in (("input", event.default_input), ("output", event.default_output)) if there]
    note = f", default {' and '.join(defaults)}" if defaults else ""
    return f"{event.index:>3}  {event.name}, {event.host} ({' and '.join(uses) or 'no channels'}{note})"


def meter(dbfs: float) -> str:
    """A bar of loudness, from -60 dBFS (empty) to 0 dBFS (full)."""
    share = min(1.0, max(0.0, 1 - dbfs / _METER_FLOOR_DBFS)) if math.isfinite(dbfs) else 0.0
    eighths = round(share * _METER_CELLS * 8)
    return "".join(_METER_STEPS[min(8, max(0, eighths - 8 * cell))] for cell in range(_METER_CELLS))


def status_text(status: Status) -> str:
    """The status line."""
    parts = [f"{status.state} {escape(status.peer)}"]
    if status.seconds is not None:
        parts[0] += f" {clock(status.seconds)}"
        parts.append(f"you {'MUTED' if status.muted else meter(status.near_dbfs)} far {meter(status.far_dbfs)}")
    facts = [escape(status.codec)] if status.codec else []
    facts += [f"loss {status.lost_percent:.1f} %"] if status.lost_percent is not None else []
    facts += [f"{status.round_trip_ms:.0f} ms"] if status.round_trip_ms is not None else []
    parts += [", ".join(facts)] if facts else []
    parts += [f"dialled {status.digits}"] if status.digits else []
    return " | ".join([*parts, status.keys] if status.keys else parts)


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
        self._console = _console(err, color=color) if color or live else None
        self._may_draw = live and not quiet
        self._live: Live | None = None

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
        """Redraw the status line, on a terminal."""
        if not self._may_draw or self._console is None:
            return
        from rich.live import Live
        from rich.text import Text

        text = Text(status_text(status), no_wrap=True, overflow="crop")
        with self._dropping():
            if self._live is None:
                options: dict[str, Any] = {"auto_refresh": False, "transient": True, "redirect_stdout": False, "redirect_stderr": False}
                self._live = Live(text, console=self._console, **options)
                self._live.start()
            self._live.update(text, refresh=True)

    def _erase(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            with self._dropping():
                live.stop()

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        """Where standard error takes nothing (a full disk, a terminal that is gone) nobody can be told: we go on without it."""
        try:
            yield
        except OSError:
            hush(self._err)
            self._console = self._live = None

    def close(self) -> None:
        """Take the status line away and give the cursor back. May be called twice."""
        self._erase()

    def _say(self, line: Line) -> None:
        text = escape(line.text, line.limit)
        with self._dropping():
            if self._console is None:
                self._err.write(text + "\n")
                self._err.flush()
                return
            from rich.text import Text

            self._console.print(Text(text, style=line.style), soft_wrap=True)


def _console(stream: TextIO, *, color: bool) -> "Console":
    from rich.console import Console

    class Ours(Console):
        """Leaves it to us what happens when nobody reads; Rich would end the program."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    options: dict[str, Any] = {} if color else {"color_system": None}
    return Ours(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False, **options)
