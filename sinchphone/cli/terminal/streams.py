"""The three standard streams: what becomes of them where they are closed, full, stuck, or used by others too."""

import contextlib
import io
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any, Final, NoReturn, TextIO

from sinchphone.errors import OutputError

STUCK_S: Final = 1.0  # a write that takes longer waits for a reader who has stopped reading
_STDERR: Final = 2
_SELECTED: Final = 1024  # FD_SETSIZE


def takes_more(descriptor: int, seconds: float | None = 0.0) -> bool:
    """Whether a write takes something at once, be it an error; waits for it, ``None``: for ever. Any descriptor. Windows doesn't tell."""
    return sys.platform == "win32" or _is_ready(descriptor, select.POLLOUT, seconds)


def gives_more(descriptor: int, seconds: float) -> bool:
    """Whether a read gives something at once, be it an end or an error; waits for it. As ``takes_more``."""
    return sys.platform == "win32" or _is_ready(descriptor, select.POLLIN, seconds)


def is_read(stream: TextIO) -> bool:
    """Whether a write wouldn't wait, as far as anybody can know."""
    try:
        return takes_more(stream.fileno())
    except (OSError, ValueError):  # no file, as in tests
        return True


def _is_ready(descriptor: int, event: int, seconds: float | None) -> bool:
    """``select`` takes no descriptor above 1023; macOS's ``poll`` tells nothing of terminals (poll(2), BUGS)."""
    if descriptor < _SELECTED:
        wanted, none = [descriptor], list[int]()
        reading = event == select.POLLIN
        return any(select.select(wanted if reading else none, none if reading else wanted, [], seconds))
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(None if seconds is None else 1000 * seconds))


def fill_closed_streams() -> None:
    """Whoever started us with a closed standard stream (``2>&-``) gets nothing there, and no file of ours takes its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)  # the streams that take its place go on with the descriptor
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def wait_for_readers() -> None:
    """From now on nothing that is written to standard output and error is lost where these are non-blocking, see ``_WaitingFile``."""
    sys.stdout, sys.stderr = _waiting(sys.stdout), _waiting(sys.stderr)


class _WaitingFile(io.FileIO):
    """A descriptor that may be non-blocking, or become so at any time by whoever shares it: a write to it waits for the reader all the
    same. Nothing is queued. A signal ends the wait if its handler raises; a reader that goes away is an OSError."""

    def write(self, data: Any) -> int:
        """Write some of ``data``: how much."""
        while (written := super().write(data)) is None:
            takes_more(self.fileno(), None)
        return written


def _waiting(stream: TextIO) -> TextIO:
    """``stream`` on a file that waits, where it is one of ours. A peer's name may have letters that its encoding lacks."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _open(stream.fileno(), stream.encoding, line_buffering=stream.line_buffering, close=False)


def _open(descriptor: int, encoding: str, *, line_buffering: bool, close: bool) -> TextIO:
    file = io.BufferedWriter(_WaitingFile(descriptor, "w", closefd=close))
    return io.TextIOWrapper(file, encoding=encoding, errors="backslashreplace", line_buffering=line_buffering)


def hush(stream: TextIO) -> None:
    """From now on ``stream`` leads nowhere: nothing that is still buffered can fail, not even at the exit."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def hush_stuck() -> None:
    """Hush those of standard output and error whose reader has stopped reading, so that they take nothing now."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if not takes_more(stream.fileno()):
                hush(stream)


class StuckError(Exception):
    """Nobody reads, and we are told to end."""


class Writing:
    """Writes that may wait for a reader: once a signal told us to end, only for so long."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._told = False

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Writes happen inside. Raises StuckError out of the one that waits for a reader who has stopped reading."""
        self._since = time.monotonic()
        if self._told:
            self._look_in(STUCK_S)
        try:
            yield
        finally:
            self._since = None
            if self._told:
                self._look_in(0.0)

    def free(self, *_: object) -> None:
        """For a signal: end a write that waits for too long; one that hasn't yet, or that is still to come, is looked at again."""
        self._told = True
        if self._since is None:
            return
        if time.monotonic() - self._since > STUCK_S:
            raise StuckError
        self._look_in(STUCK_S)

    def _look_in(self, seconds: float) -> None:
        """0: no more."""
        if sys.platform != "win32":
            signal.signal(signal.SIGALRM, self.free)
            signal.setitimer(signal.ITIMER_REAL, seconds)


def flush_and_leave(code: int) -> NoReturn:
    """End the process now."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # full, gone, closed, or amid a write
            stream.flush()
    os._exit(code)


def unwritable(error: OSError) -> OutputError:
    """Standard output refused: a full disk, say. It's hushed from now on."""
    hush(sys.stdout)
    return OutputError(f"standard output can't be written: {error.strerror or error}", hint="is the disk full?")


def keep_stderr_to_ourselves() -> None:
    """From now on only ``sys.stderr`` leads to standard error, not descriptor 2: C libraries (PortAudio, ALSA) print their troubles
    there from threads of their own, in the middle of our screen. What they mean comes as an error of ours."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.fileno() != _STDERR:
            return
        ours, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        sys.stderr = _open(ours, sys.stderr.encoding, line_buffering=True, close=True)


def stdout_pipe() -> int | None:
    """The descriptor of standard output where that is a pipe."""
    try:
        descriptor = sys.stdout.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):
        return None
