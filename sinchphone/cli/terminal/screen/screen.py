"""ALL rendering for people: lines of text, with the status line below them, and whatever a peer sent escaped.

Progress, warnings and errors go to standard error, results to standard output.
"""

import contextlib
import logging
import os
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from sinchphone.cli.terminal.keyboard.posix import in_foreground
from sinchphone.cli.terminal.output.lines import RENDERERS, Line
from sinchphone.cli.terminal.output.results import CallEnded
from sinchphone.cli.terminal.screen.attention import Attention
from sinchphone.cli.terminal.screen.status_line import ERASE, Status, StatusLine
from sinchphone.cli.terminal.service import is_journal, with_level
from sinchphone.cli.terminal.streams import hush, is_read
from sinchphone.cli.terminal.text.charset import in_ascii, takes_drawing
from sinchphone.cli.terminal.text.escape import escape
from sinchphone.cli.terminal.text.palette import Palette
from sinchphone.cli.terminal.text.wrapping import wrapped
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.cli.terminal.output.events.events import Event
    from sinchphone.picture.graphics.drawing import Cell

_LEAST_COLUMNS, _LEAST_ROWS = 16, 4  # of a picture
_LINE_BEFORE = "\x1b[A\r\x1b[K"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a screen writes. ``watched``: standard error is a terminal that somebody looks at, or listens to; ``live``: a line may be
    redrawn there too; ``plain``: only whole lines are written; ``structured``: JSON is, to standard error."""

    quiet: bool = False
    verbose: bool = False
    color: bool = False  # of standard error
    color_results: bool = False  # of standard output
    watched: bool = False
    live: bool = False
    plain: bool = False
    structured: bool = False


class Screen:
    """Writes events for a person."""

    def __init__(self, out: TextIO | None, err: TextIO, **manner: bool) -> None:
        """``out`` is ``None`` where standard output carries JSON; ``manner``: fields of Manner."""
        self._out = out
        self._err = err
        self._manner = how = Manner(**manner)
        self._palette = Palette()
        self._watched = (how.live or how.watched) and not how.quiet
        self._status_line = StatusLine(err) if how.live and not how.quiet else None
        self._attention = Attention(err) if self._watched else None
        self._timed = False
        self._status: Status | None = None  # that was drawn last
        self._renews = False  # the line before may be written again
        self._is_journal = is_journal(err)

    def tell(self, event: "Event", *, aside: bool = False) -> None:
        """Write the lines of an event; ``aside`` of the result, to standard error. Raises BrokenPipeError where nobody reads standard
        output any more."""
        if self._out is None and isinstance(event, CallEnded):
            return  # its hint would stand there without what it belongs to
        self._call_attention(event)
        written = lines_of(event)
        if self._manner.structured:
            written = self._in_one(written, getattr(event, "call_id", None))
        self.write([replace(line, result=False, always=True) for line in written] if aside else written)

    def _in_one(self, written: Iterable[Line], call_id: str | None) -> list[Line]:
        """The lines of an event as they are logged: what goes to standard error is one entry."""
        shown = [line for line in written if not line.result and self._is_shown(line)]
        text = "\n".join(line.text for line in shown)
        logged = [Line(text, always=True, facts=(("call", call_id or ""),))] if shown else []
        return [*(line for line in written if line.result), *logged]

    def show_times(self) -> None:
        """From now on each line on a terminal begins with the time of day: somebody may read it hours later."""
        self._timed = self._watched

    def _call_attention(self, event: "Event") -> None:
        """A call that comes in rings on the terminal, too."""
        if self._attention is None or not self._is_ours():
            return
        from sinchphone.cli.terminal.output.events.events import CallAnswered, CallIncoming  # told of, so that it's loaded

        with self._dropping():
            if isinstance(event, CallIncoming):
                self._attention.ring(event.call_id, event.contact or event.peer)
            elif isinstance(event, CallAnswered | CallEnded):
                self._attention.over(event.call_id)

    def write(self, wanted: Iterable[Line]) -> None:
        """Write those lines that the verbosity lets through."""
        for line in wanted:
            if line.result:
                self._print(line)
            elif self._is_shown(line):
                self._say(line)

    def _is_shown(self, line: Line) -> bool:
        return line.always or not (self._manner.quiet or (line.detail and not self._manner.verbose))

    def log(self, record: logging.LogRecord, *, debug: bool) -> None:
        """Write a log record, with ``debug`` its traceback too."""
        text = record.getMessage()
        if self._manner.structured:
            from sinchphone.cli.terminal.output.structured import facts_of

            self.write([Line(text, always=True, facts=tuple(facts_of(record, debug=debug).items()))])
            return
        self.write([Line(f"{record.levelname.lower()} {record.name}: {text}", "dim", always=True)])
        if debug and record.exc_info and record.exc_info[1] is not None:
            self.show_traceback(record.exc_info[1])

    def show_traceback(self, error: BaseException) -> None:
        """For who asked for what happens inside."""
        if self._manner.structured:
            from sinchphone.cli.terminal.output.structured import trace

            self.write([Line(f"error: {type(error).__name__}", always=True, facts=(("error", trace(error)),))])
            return
        self.close()
        traceback.print_exception(error)

    def _print(self, line: Line) -> None:
        if self._out is not None:
            self._erase()
            text = self._set(line, self._out, color=self._manner.color_results)
            over = _LINE_BEFORE if line.renews and self._renews and self._out.isatty() else ""
            self._renews = line.renews and self.is_live and "\n" not in text
            self._out.write(over + text + "\n")
            self._out.flush()

    def _set(self, line: Line, stream: TextIO, *, color: bool) -> str:
        """A line as it's written there: harmless, in lines of whole words, with signs that can be shown, in colour."""
        stamp = time.strftime("%H:%M:%S ") if self._timed else ""
        text = stamp + escape(line.text, line.limit)
        if not (line.whole or self._manner.plain):
            text = wrapped(text, stream, len(stamp) + line.hanging or None)
        if not takes_drawing(stream):
            text = in_ascii(text)
        if not color:
            return text
        end = len(stamp) + line.styled if line.styled else len(text)
        return self._palette.painted(text[:end], line.style) + text[end:]

    def note(self, text: str) -> None:
        """Write a remark of ours to standard error."""
        self.write([Line(text)])

    def draw(self, status: Status) -> None:
        """Redraw the status line, on a terminal that is ours: a job in the background would write into another's screen."""
        self._status = status
        if self._status_line is None:
            return
        if not self._is_ours():
            self._status_line.forget()
            return
        with self._dropping():
            self._status_line.draw(status)

    @property
    def is_live(self) -> bool:
        """Whether there is a status line."""
        return self._status_line is not None

    @property
    def picture_rows(self) -> int:
        """Rows of the picture that stands on the screen; 0: none does."""
        return 0 if self._status_line is None else self._status_line.picture_rows

    def picture_room(self) -> tuple[int, int] | None:
        """Columns and rows that a picture may have; ``None`` where there is no terminal that is ours, or no room on it."""
        if self._status_line is None or not self._is_ours():
            return None
        columns, rows = self._status_line.room()
        return (columns, rows) if columns >= _LEAST_COLUMNS and rows >= _LEAST_ROWS else None

    def cell(self) -> "Cell | None":
        """How large a cell of the terminal is, where it says so."""
        return None if self._status_line is None else self._status_line.cell()

    def ask(self, question: str) -> None:
        """Write what the terminal replies to, if it is ours."""
        if self._status_line is not None and self._is_ours():
            with self._dropping():
                self._err.write(question)
                self._err.flush()

    def begin_picture(self, rows: int, clear: str) -> bool:
        """Have room for a picture of so many rows above the status line; whether it may be drawn now, by ``write_picture``, which is to
        follow. A terminal that takes nothing now is left alone. ``clear``: what takes the picture away, beside erasing its cells."""
        line, status = self._status_line, self._status
        if line is None or status is None or not self._is_ours() or not is_read(self._err):
            return False
        with self._dropping():
            line.make_room(rows, clear, status)
        return self._status_line is not None and line.begin_picture()

    def write_picture(self, rows: int, text: str) -> None:
        """Draw what changed of a picture. In a thread: a slow terminal holds up nobody else."""
        line = self._status_line
        if line is not None:
            with self._dropping():
                line.write_picture(rows, text)

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
            self._calm()
        except RuntimeError:  # a signal came amid a write to the same stream, which is full of it
            with contextlib.suppress(OSError):
                os.write(self._err.fileno(), (ERASE if self._status_line is None else self._status_line.erasure).encode())

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
            self._status_line = self._attention = None

    def _calm(self) -> None:
        if self._attention is not None:
            with self._dropping():
                self._attention.release()

    def close(self) -> None:
        """Take the status line away, give the cursor back and the window its title. May be called twice."""
        self._erase()
        self._calm()

    def _say(self, line: Line) -> None:
        self._erase()
        self._renews = False
        with self._dropping():
            text = self._object(line) if self._manner.structured else self._set(line, self._err, color=self._manner.color)
            level = dict(line.facts).get("level", line.text)
            self._err.write((with_level(text, level) if self._is_journal else text) + "\n")
            self._err.flush()

    @staticmethod
    def _object(line: Line) -> str:
        from sinchphone.cli.terminal.output.structured import write_object

        return write_object(line.text, dict(line.facts))


def lines_of(event: "Event") -> list[Line]:
    """The text of an event. What only calls tell is rendered by a file that only they load."""
    if type(event) in RENDERERS:
        return RENDERERS[type(event)](event)
    from sinchphone.cli.terminal.output import rendering

    return rendering.RENDERERS[type(event)](event)
