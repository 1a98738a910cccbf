"""ALL rendering for people: lines of text, with the status line below them, and whatever a peer sent escaped.

Progress, warnings and errors go to standard error, results to standard output.
"""

import contextlib
import os
import select
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from sinchphone.cli.terminal.attention import Attention
from sinchphone.cli.terminal.escape import escape
from sinchphone.cli.terminal.keyboard.posix import in_foreground
from sinchphone.cli.terminal.output.lines import Line, lines
from sinchphone.cli.terminal.output.results import CallEnded
from sinchphone.cli.terminal.service import is_journal, with_level
from sinchphone.cli.terminal.status_line import ERASE, Status, StatusLine
from sinchphone.cli.terminal.streams import hush
from sinchphone.cli.terminal.wrapping import wrapped

if TYPE_CHECKING:
    from rich.console import Console

    from sinchphone.cli.terminal.output.events import Event
    from sinchphone.picture.graphics.drawing import Cell

_LEAST_COLUMNS, _LEAST_ROWS = 16, 4  # of a picture


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
        self._attention = Attention(err) if live and not quiet else None
        self._timed = False
        self._status: Status | None = None  # that was drawn last
        self._is_journal = is_journal(err)

    def tell(self, event: "Event", *, aside: bool = False) -> None:
        """Write the lines of an event; ``aside`` of the result, to standard error. Raises BrokenPipeError where nobody reads standard
        output any more."""
        if self._out is None and isinstance(event, CallEnded):
            return  # its hint would stand there without what it belongs to
        self._call_attention(event)
        written = lines(event)
        self.write([replace(line, result=False, always=True) for line in written] if aside else written)

    def show_times(self) -> None:
        """From now on each line on a terminal begins with the time of day: somebody may read it hours later."""
        self._timed = self._status_line is not None

    def _call_attention(self, event: "Event") -> None:
        """A call that comes in rings on the terminal, too."""
        if self._attention is None or not self._is_ours():
            return
        with self._dropping():
            match event.NAME:
                case "call.incoming":
                    self._attention.ring(getattr(event, "call_id", ""), str(getattr(event, "contact", None) or getattr(event, "peer", "")))
                case "call.answered" | "call.ended":
                    self._attention.over(getattr(event, "call_id", ""))

    def _stamped(self, text: str) -> str:
        return f"{time.strftime('%H:%M:%S')} {text}" if self._timed else text

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
            self._out.write(self._stamped(text) + "\n")
            self._out.flush()

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
        if line is None or status is None or not self._is_ours() or not _takes_more(self._err):
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
            self._console = self._status_line = self._attention = None

    def _calm(self) -> None:
        if self._attention is not None:
            with self._dropping():
                self._attention.release()

    def close(self) -> None:
        """Take the status line away, give the cursor back and the window its title. May be called twice."""
        self._erase()
        self._calm()

    def _say(self, line: Line) -> None:
        text = wrapped(self._stamped(escape(line.text, line.limit)), self._err)
        self._erase()
        with self._dropping():
            if self._console is None:
                self._err.write((with_level(text) if self._is_journal else text) + "\n")
                self._err.flush()
                return
            from rich.text import Text

            self._console.print(Text(text, style=line.style), soft_wrap=True)


def _takes_more(stream: TextIO) -> bool:
    """Whether a write wouldn't wait, as far as anybody can know."""
    try:
        return bool(select.select([], [stream.fileno()], [], 0)[1])
    except (OSError, ValueError):  # no file, as in tests
        return True


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    class Ours(Console):
        """Leaves it to us what happens when nobody reads; Rich would end the program."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Ours(file=stream, force_terminal=True, no_color=False, highlight=False, markup=False, emoji=False)
