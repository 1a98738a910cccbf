"""What one run of a command works with: its configuration, where it writes, the order to stop, and what will be the result."""

import contextlib
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TextIO

from sinchphone.cli.endings import Order
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.output.lines import Line
from sinchphone.cli.terminal.output.report import Report
from sinchphone.cli.terminal.output.results import (
    CallEnded,
    MessageStatus,
    Problem,
    RecordFinishedTold,
    RecordStartedTold,
    RequestOutcome,
    Result,
    Warned,
)
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.screen.status_line import Status
from sinchphone.cli.terminal.streams import StuckError, Writing, hush, hush_stuck, keep_stderr_to_ourselves, unwritable
from sinchphone.cli.terminal.text.escape import MAX_TEXT
from sinchphone.config import Configuration, in_ci
from sinchphone.options import Color, LogFormat, Options

if TYPE_CHECKING:
    import asyncio

    from sinchphone.cli.terminal.flags.common import CommonFlags
    from sinchphone.cli.terminal.jobs import TerminalUser
    from sinchphone.cli.terminal.output.events.events import Event


class Stop:
    """The order to end that comes from outside: a signal, or nobody who reads our output."""

    def __init__(self) -> None:
        self.order: Order | None = None
        self.more_seconds = 0.0  # beyond what any command has, for who ends things well
        self._given: asyncio.Event | None = None  # made where a loop waits: most commands have none
        self._pressed = False  # ordered again
        self._again: asyncio.Event | None = None
        self._takers = 0

    def give(self, order: Order) -> None:
        """Order the end; the first order counts, those after it only press."""
        if self.order is None:
            self.order = order
            if self._given is not None:
                self._given.set()
        else:
            self._pressed = True
            if self._again is not None:
                self._again.set()

    async def wait_again(self) -> None:
        """After the order: wait for another one. Cancelling is safe."""
        import asyncio

        if self._again is None:
            self._again = asyncio.Event()
        if not self._pressed:
            await self._again.wait()

    async def wait(self) -> Order:
        """Wait for the order. Cancelling is safe."""
        import asyncio

        if self._given is None:
            self._given = asyncio.Event()
        if self.order is None:
            await self._given.wait()
        assert self.order is not None
        return self.order

    @property
    def is_taken(self) -> bool:
        """Whether somebody waits for the order who will end things well."""
        return self._takers > 0

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """While inside, an order is only given and not enforced: there is a call that hangs up first."""
        self._takers += 1
        try:
            yield
        finally:
            self._takers -= 1


@dataclass(slots=True)
class Session:
    """One run of a command."""

    configuration: Configuration
    screen: Screen
    report: Report | None = None
    interactive: bool = False  # a person sits at a terminal
    stdin: TextIO | None = None
    debug: bool = False
    stop: Stop = field(default_factory=Stop)
    calls: list[CallEnded] = field(default_factory=list)
    recordings: list[str] = field(default_factory=list)
    recording: list[str] = field(default_factory=list)  # what is being recorded to
    sent_here: set[str] = field(default_factory=set)  # ids of messages
    messages: list[MessageStatus] = field(default_factory=list)
    requests: list[RequestOutcome] = field(default_factory=list)
    problem: Problem | None = None
    piped: dict[tuple[str, bool], int] = field(default_factory=dict)  # bytes of earlier calls, by pipe and whether it leads out
    hearers: list[Callable[["Event"], None]] = field(default_factory=list)  # who is told of each event too
    leaving: list[Callable[[], None]] = field(default_factory=list)  # what is done where we leave at once
    terminal_users: list["TerminalUser"] = field(default_factory=list)  # the screen, and who reads keys
    writing: Writing = field(default_factory=Writing)

    def __post_init__(self) -> None:
        self.terminal_users.append(self.screen)

    @property
    def options(self) -> Options:
        """The configuration's values."""
        return self.configuration.options

    def tell(self, event: "Event", *, aside: bool = False) -> None:
        """Something happened: write it, and remember what belongs to the result. ``aside``: it's not what the command is about."""
        if isinstance(event, CallEnded):
            self.calls.append(event)
        elif isinstance(event, RecordFinishedTold):
            if event.is_kept:
                self.recordings.append(event.path)
            self.recording = [path for path in self.recording if path != event.path]
        elif isinstance(event, RecordStartedTold):
            self.recording.append(event.path)
        with self._pipe():
            self.screen.tell(event, aside=aside)
            if self.report is not None:
                self.report.tell(event)
        for hear in self.hearers:
            hear(event)

    def note(self, text: str) -> None:
        """A remark for a person."""
        with self._pipe():
            self.screen.note(text)

    def print(self, text: str, *, limit: int = MAX_TEXT) -> None:
        """A line of the result that is no event, of at most ``limit`` characters."""
        with self._pipe():
            self.screen.write([Line(text, result=True, limit=limit, whole=True)])

    def draw(self, status: Status) -> None:
        """Redraw the status line."""
        with self._pipe():
            self.screen.draw(status)

    def finish(self, code: ExitCode) -> None:
        """Write the result, exactly once, last."""
        result = Result(
            ok=code == ExitCode.OK,
            exit_code=int(code),
            calls=list(self.calls),
            recordings=list(self.recordings),
            error=self.problem,
            messages=list(self.messages),
            requests=list(self.requests),
        )
        with self._pipe():
            self.screen.tell(result)
            if self.report is not None:
                self.report.tell(result if result.ok else replace(result, error=self.problem or self._last_words()))
        self.screen.close()

    def _last_words(self) -> Problem | None:
        if self.stop.order is not None:
            return Problem(message=self.stop.order.value, hint=None)
        last = self.calls[-1] if self.calls else None
        return Problem(message=last.reason, hint=last.hint) if last else None

    @contextlib.contextmanager
    def _pipe(self) -> Iterator[None]:
        """A reader that goes away (``| head``) ends the call quietly. Raises OutputError where nothing can be written."""
        try:
            with self.writing.going_on():
                yield
        except BrokenPipeError:
            hush(sys.stdout)
            self.stop.give(Order.STDOUT_CLOSED)
        except StuckError:
            hush_stuck()
        except OSError as error:
            if error.errno != errno.EIO or not self.interactive:
                raise unwritable(error) from error
            hush(sys.stdout)  # the terminal was closed; SIGHUP says so too
            hush(sys.stderr)
            self.stop.give(Order.TERMINATE)


def open_session(
    configuration: Configuration, *, json: bool | None = None, quiet: bool = False, verbose: bool = False, debug: bool = False
) -> Session:
    """A session on the process's own streams. ``json``: ``False`` for a command that has no such output."""
    options = configuration.options
    machine = options.json if json is None else json
    if not debug:
        keep_stderr_to_ourselves()
    terminal = _is_terminal(sys.stderr)
    structured = options.log_format is LogFormat.JSON
    color = options.color is Color.ALWAYS or (options.color is Color.AUTO and terminal)
    watched = terminal and not structured and not in_ci() and os.environ.get("TERM") not in ("dumb", "")
    screen = Screen(
        None if machine else sys.stdout,
        sys.stderr,
        quiet=quiet or machine,
        verbose=verbose or debug,
        color=color,
        color_results=options.color is not Color.NEVER and _is_terminal(sys.stdout),
        watched=watched,
        live=watched and not (options.plain or structured),
        plain=options.plain,
        structured=structured,
    )
    set_up_logging(screen, logging.DEBUG if debug else logging.INFO if verbose else None)
    return Session(
        configuration,
        screen,
        Report(sys.stdout) if machine else None,
        interactive=_is_terminal(sys.stdin) and terminal,
        stdin=sys.stdin,
        debug=debug,
    )


def session_of(flags: "CommonFlags") -> Session:
    """A session as the flags of a command say. Raises ConfigError."""
    return open_session(flags.load(), quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def set_up_logging(screen: Screen, level: int | None) -> None:
    """Our own log goes to the screen from ``level`` on; no library writes to our streams, whatever it has to say."""
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler()]
    logging.captureWarnings(capture=True)
    for name in ("sinchphone", "asyncio", "py.warnings"):
        shown = level is not None and (name == "sinchphone" or level <= logging.DEBUG)
        logger = logging.getLogger(name)
        logger.handlers[:] = [_ScreenLog(screen, debug=level == logging.DEBUG)] if shown else []
        logger.setLevel((level or logging.INFO) if name == "sinchphone" else logging.WARNING)
    threading.excepthook = partial(_tell_of_thread, screen, debug=level == logging.DEBUG)


def _tell_of_thread(screen: Screen, failed: threading.ExceptHookArgs, *, debug: bool) -> None:
    """A thread that fails is a bug, and says so in one line."""
    name = failed.thread.name if failed.thread else "a thread"
    screen.tell(
        Warned(message=f"a bug in sinchphone: {failed.exc_type.__name__} in {name}", hint=None if debug else "run it again with --debug")
    )
    if debug and failed.exc_value is not None:
        screen.show_traceback(failed.exc_value)


class _ScreenLog(logging.Handler):
    """Log records as lines on the screen, with ``debug`` also their tracebacks."""

    def __init__(self, screen: Screen, *, debug: bool) -> None:
        super().__init__()
        self._screen = screen
        self._debug = debug

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._screen.log(record, debug=self._debug)
