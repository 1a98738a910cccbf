"""The status line of a running call: what it says, which of that where there is little room, and how it's drawn in place.

The cursor rests at the line's beginning. So a terminal that reflows its lines when its window narrows keeps it there, and erasing
from the cursor on takes away all rows that the line has become.
"""

import itertools
import math
import os
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TextIO

from sinchphone.cli.terminal.screen.statistics_panel import Panel, panel_lines
from sinchphone.cli.terminal.text.charset import takes_drawing
from sinchphone.cli.terminal.text.escape import escape
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.picture.graphics.drawing import Cell

MAX_OTHER_CELLS: Final = 20
MAX_WAITING_NAME: Final = 12  # cells of the name of who waits
_METER_CELLS: Final = 8
_METER_FLOOR_DBFS: Final = -60.0
_METER_STEPS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_METER_STEPS: Final = "." + "-" * 4 + "#" * 4
_MORE, _ASCII_MORE = "…", "~"  # where something is missing
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"  # a name may be wider than we think: then the last column takes the rest
_ERASE_BELOW: Final = "\x1b[J"
_ERASE_ROW: Final = "\x1b[K"
ERASE: Final = f"\r{_ERASE_BELOW}{_SHOW_CURSOR}"  # takes the line away and gives the cursor back
_END_STRING: Final = "\x1b\\"
_PICTURE_SECONDS: Final = 1.0  # that a picture which is being written is waited for
_USUAL_COLUMNS: Final = 80
_ROWS_LEFT: Final = 4  # beside a picture: the status line, and what is told last


@quick_dataclass(frozen=True, slots=True)
class KeyHints:
    """What keys do now, in three lengths."""

    full: str
    short: str
    letters: str


KEYS_IN_CALL: Final = KeyHints("q hang up   m mute   ? help", "q hang up   m mute   ? help", "q m ?")
KEYS_RINGING: Final = KeyHints("a or Enter answer   x decline   i silence   ? help", "a answer   x decline   i silence", "a x i ?")
KEYS_WAITING: Final = KeyHints("a hold here and answer   x decline   i no tone   ? help", "a answer   x decline   i no tone", "a x i ?")


def hints_of_waiting(peer: str) -> KeyHints:
    """The keys for a second call, from ``peer``."""
    named = f"{cut_to(escape(peer), MAX_WAITING_NAME)} calls: "
    return KeyHints(named + KEYS_WAITING.full, named + KEYS_WAITING.short, named + KEYS_WAITING.letters)


@quick_dataclass(frozen=True, slots=True)
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
    keys: KeyHints | None = None
    held_by_us: bool = False
    held_by_peer: bool = False
    panel: Panel | None = None  # of statistics, above the line
    other: str = ""  # the other call
    camera: str | None = None  # that runs

    @property
    def hold(self) -> str:
        """Who holds the call, in place of how loud it is."""
        match self.held_by_us, self.held_by_peer:
            case True, True:
                return "BOTH HOLD"
            case True, False:
                return "ON HOLD"
            case False, True:
                return "THEY HOLD"
            case _:
                return ""


@quick_dataclass(frozen=True, slots=True)
class _Detail:
    """How much of a status is written."""

    codec: bool = True
    meter_cells: int = _METER_CELLS
    keys: Callable[[KeyHints], str] = lambda keys: keys.full
    state: bool = True  # the word, where a timer says it too
    round_trip: bool = True
    loss: bool = True
    peer_cells: int = 1_000
    digits: int = 1_000
    camera: bool = True
    other_cells: int = MAX_OTHER_CELLS


# What helps least goes first, whole facts each; the peer, digits and keys stay long, and the time and who is muted or holds to the end.
_LESS: Final[tuple[Callable[[_Detail], _Detail], ...]] = (
    lambda detail: replace(detail, codec=False),
    lambda detail: replace(detail, meter_cells=4),
    lambda detail: replace(detail, keys=lambda keys: keys.short),
    lambda detail: replace(detail, state=False),
    lambda detail: replace(detail, round_trip=False),
    lambda detail: replace(detail, loss=False),
    lambda detail: replace(detail, peer_cells=16),
    lambda detail: replace(detail, meter_cells=0),
    lambda detail: replace(detail, peer_cells=9),
    lambda detail: replace(detail, keys=lambda keys: keys.letters),
    lambda detail: replace(detail, digits=4),
    lambda detail: replace(detail, camera=False),
    lambda detail: replace(detail, peer_cells=5),
    lambda detail: replace(detail, other_cells=5),
    lambda detail: replace(detail, digits=0),
    lambda detail: replace(detail, other_cells=0),
    lambda detail: replace(detail, keys=lambda _: ""),
    lambda detail: replace(detail, peer_cells=0),
)
_DETAILS: Final = tuple(itertools.accumulate(_LESS, lambda detail, less: less(detail), initial=_Detail()))


def status_text(status: Status, columns: int = 1_000, *, ascii_only: bool = False) -> str:
    """The status line, in at most ``columns`` cells."""
    text = ""
    for detail in _DETAILS:
        text = _written(status, detail, ascii_only=ascii_only)
        if cells(text) <= columns:
            return text
    return cut_to(text, columns, mark="")


def _written(status: Status, detail: _Detail, *, ascii_only: bool) -> str:
    def shown(name: str, width: int) -> str:
        text = escape(name)
        text = text.encode("ascii", "backslashreplace").decode() if ascii_only else text
        return cut_to(text, width, _ASCII_MORE if ascii_only else _MORE) if width else ""

    talks = status.seconds is not None
    peer = shown(status.peer, detail.peer_cells)
    first = [" ".join(part for part in ("" if talks and not detail.state else status.state, peer) if part)]
    if status.seconds is not None:
        first[0] = f"{first[0]} {clock(status.seconds)}".lstrip()
        first.append(status.hold or _loudness(status, detail.meter_cells, ascii_only=ascii_only))
    other = shown(status.other, min(detail.other_cells, detail.peer_cells))
    facts = [escape(status.codec)] if status.codec and detail.codec and talks else []
    facts += [f"loss {status.lost_percent:.1f} %"] if status.lost_percent is not None and detail.loss else []
    facts += [f"{status.round_trip_ms:.0f} ms"] if status.round_trip_ms is not None and detail.round_trip else []
    facts += [f"camera {shown(status.camera, MAX_WAITING_NAME)}"] if status.camera is not None and detail.camera else []
    digits = f"dialled {status.digits[-detail.digits :]}" if status.digits and detail.digits else ""
    keys = detail.keys(status.keys) if status.keys is not None else ""
    text = " | ".join(part for part in (*first, other, ", ".join(facts), digits, keys) if part)
    if not ascii_only:
        return text
    return text.replace(_MORE, _ASCII_MORE).encode("ascii", "backslashreplace").decode()  # a hint may name somebody


def _loudness(status: Status, width: int, *, ascii_only: bool) -> str:
    near = "MUTED" if status.muted else meter(status.near_dbfs, width, ascii_only=ascii_only)
    far = meter(status.far_dbfs, width, ascii_only=ascii_only)
    return " ".join(part for part in (near and (f"you {near}" if far else near), far and f"far {far}") if part)


def clock(seconds: float) -> str:
    """``0:05``, ``12:34``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def meter(dbfs: float, width: int = _METER_CELLS, *, ascii_only: bool = False) -> str:
    """A bar of loudness, from -60 dBFS (empty) to 0 dBFS (full)."""
    share = min(1.0, max(0.0, 1 - dbfs / _METER_FLOOR_DBFS)) if math.isfinite(dbfs) else 0.0
    eighths = round(share * width * 8)
    steps = _ASCII_METER_STEPS if ascii_only else _METER_STEPS
    return "".join(steps[min(8, max(0, eighths - 8 * cell))] for cell in range(width))


def cells(text: str) -> int:
    """How many columns a terminal gives to ``text``, as far as anybody can know."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut_to(text: str, width: int, mark: str = _MORE) -> str:
    """The beginning of ``text`` that fits into ``width`` cells, with a mark where something is missing."""
    if cells(text) <= width:
        return text
    end = len(text)
    while end and cells(text[:end] + mark) > width:
        end -= 1
    return text[:end] + mark


def end_of(text: str, width: int) -> str:
    """The end of ``text`` that fits into ``width`` cells, with a mark where something is missing."""
    if cells(text) <= width:
        return text
    start = 0
    while start < len(text) and cells(_MORE + text[start:]) > width:
        start += 1
    return _MORE + text[start:]


class StatusLine:
    """Draws a status on a terminal, below everything that was written, and again when it has changed. Raises OSError."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._ascii_only = not takes_drawing(stream)
        self._drawn: str | None = None
        self.picture_rows = 0  # above the line, that a picture stands in
        self._clear = ""  # what takes it away beside erasing its rows
        self._writing = threading.Lock()  # of a picture, in a thread: nothing else is written meanwhile

    def make_room(self, rows: int, clear: str, status: Status) -> None:
        """Have ``rows`` rows above the line for a picture, and the line below it."""
        if self.picture_rows != rows:
            self.erase()
            self._write("\n" * rows)
            self.picture_rows = rows
        self._clear = clear
        self.draw(status)

    def begin_picture(self) -> bool:
        """Whether a picture may be written now; then ``write_picture`` is to follow. All others wait for it."""
        return self._writing.acquire(blocking=False)

    def write_picture(self, rows: int, text: str) -> None:
        """Write ``text`` at the first of the rows above the line, which it leaves again, in one piece. In any thread."""
        writing = self._writing
        try:
            self._write(f"\x1b[{rows}A\r{_NO_WRAP}{text}{_WRAP}\x1b[{rows}B\r")
        finally:
            writing.release()

    def draw(self, status: Status) -> None:
        """Show ``status``, unless a picture is being written: then the next one is."""
        if self._writing.locked():
            return
        columns = self._columns() - 1
        panel = panel_lines(status.panel, columns, ascii_only=self._ascii_only) if status.panel is not None else []
        rows = [*panel, status_text(status, columns, ascii_only=self._ascii_only)]
        text = f"{_ERASE_ROW}\r\n".join(rows)
        if text != self._drawn:
            begin = _HIDE_CURSOR if self._drawn is None else ""
            self._drawn = text
            up = f"\x1b[{len(panel)}A" if panel else ""
            self._write(f"{begin}\r{_NO_WRAP}{text}{_WRAP}{_ERASE_BELOW}\r{up}")

    def erase(self) -> None:
        """Take it away and give the cursor back. May be called twice."""
        if self._drawn is not None or self.picture_rows:
            rows, clear = self.picture_rows, self._clear
            self.forget()
            if self._writing.acquire(timeout=_PICTURE_SECONDS):
                self._writing.release()
            else:
                self._writing = threading.Lock()  # the terminal takes nothing, or the picture was given up
            self._write((f"{clear}\x1b[{rows}A" if rows else "") + ERASE)

    @property
    def erasure(self) -> str:
        """What takes it away amid a write that was broken off."""
        return (f"{_END_STRING}{self._clear}" if self._clear else "") + ERASE

    def forget(self) -> None:
        """It's no longer on the screen, or the screen no longer ours: draw it anew next time, and erase nothing."""
        self._drawn, self.picture_rows, self._clear = None, 0, ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def room(self) -> tuple[int, int]:
        """Columns and rows for a picture."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):  # not a terminal, as in tests
            return 0, 0
        return size.columns - 1, size.lines - _ROWS_LEFT

    def cell(self) -> "Cell | None":
        """How large a cell is, where the terminal says so."""
        return _cell_of(self._stream)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _USUAL_COLUMNS
        except (OSError, ValueError):  # not a terminal, as in tests
            return _USUAL_COLUMNS


def _cell_of(stream: TextIO) -> "Cell | None":
    from sinchphone.picture.graphics.drawing import cell_of

    try:
        import fcntl  # not on Windows
        import termios

        size = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, bytes(8))
    except (ImportError, OSError, ValueError):
        return None
    rows, columns, width, height = struct.unpack("HHHH", size)
    return cell_of(columns, rows, width, height)
