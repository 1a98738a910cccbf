"""A terminal's keyboard on POSIX: ours while our job is in the foreground, and as it was whenever it isn't.

The shell moves the job without a word: ``fg`` of a job that runs in the background sends no signal. So the foreground group is asked
for a few times a second, and before each read.
"""

import contextlib
import importlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    import asyncio

FOREGROUND_S: Final = 0.25  # how often we ask whose the terminal is
_READ_BYTES: Final = 4096
_PASTE_ON, _PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"  # bracketed paste (xterm)


def _loop() -> "asyncio.AbstractEventLoop":
    """The running one; whoever only asks whose the terminal is needs none."""
    import asyncio

    return asyncio.get_running_loop()


def in_foreground(descriptor: int) -> bool | None:
    """Whether the terminal is our job's now; ``None`` where it controls no job of ours."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return None


def terminal_of(stream: TextIO | None) -> int | None:
    """The descriptor of ``stream`` where that is our controlling terminal."""
    try:
        if stream is None or os.name != "posix" or not stream.isatty() or in_foreground(stream.fileno()) is None:
            return None
        return stream.fileno()
    except (OSError, ValueError):  # closed, or not a file
        return None


class PosixKeyboard:
    """Gives ``read`` the bytes that are typed. Needs a running loop from ``open`` on."""

    def __init__(self, descriptor: int, read: Callable[[bytes], None]) -> None:
        self._descriptor = descriptor
        self._read = read
        self._before: list[Any] | None = None  # the terminal's modes, while it's ours
        self._watch: asyncio.TimerHandle | None = None
        self._termios: Any = importlib.import_module("termios")

    @property
    def is_ours(self) -> bool:
        """Whether keys can come now."""
        return self._before is not None

    def open(self) -> None:
        """Take the terminal as soon as it's ours, and follow whose it is."""
        self.settle()
        self._watch = _loop().call_later(FOREGROUND_S, self.open)

    def close(self) -> None:
        """Give the terminal back for good."""
        if self._watch is not None:
            self._watch.cancel()
        self.release()

    def settle(self) -> None:
        """Take the terminal where our job came to the foreground, leave it alone where it went to the background."""
        if not in_foreground(self._descriptor):
            self._leave()
        elif self._before is None:
            self._take()

    def reclaim(self) -> None:
        """After a stop: the shell may have set modes of its own."""
        if self._before is not None and in_foreground(self._descriptor):
            self._without_line_discipline()
        self.settle()

    def release(self) -> None:
        """Give the terminal back, where it's still ours to give. May be called at any time, more than once."""
        before, self._before = self._before, None
        self._stop_reading()
        if before is not None and in_foreground(self._descriptor):
            with contextlib.suppress(self._termios.error, OSError):  # the terminal is gone
                self._write(_PASTE_OFF)
                self._termios.tcsetattr(self._descriptor, self._termios.TCSANOW, before)

    def _take(self) -> None:
        try:
            self._before = self._termios.tcgetattr(self._descriptor)
            self._without_line_discipline()
        except (self._termios.error, OSError):  # the terminal is gone
            self._before = None
            return
        _loop().add_reader(self._descriptor, self._readable)

    def _leave(self) -> None:
        """Whoever has the terminal now has set its modes too: they stay."""
        self._before = None
        self._stop_reading()

    def _without_line_discipline(self) -> None:
        importlib.import_module("tty").setcbreak(self._descriptor, self._termios.TCSANOW)  # no echo, no line; Ctrl-C is still a signal
        self._write(_PASTE_ON)

    def _write(self, control: bytes) -> None:
        if os.environ.get("TERM") not in ("dumb", "", None):
            with contextlib.suppress(OSError):  # opened for reading only
                os.write(self._descriptor, control)

    def _stop_reading(self) -> None:
        with contextlib.suppress(RuntimeError):  # there is no loop any more when we leave at once
            _loop().remove_reader(self._descriptor)

    def _readable(self) -> None:
        if not in_foreground(self._descriptor):
            self._leave()
            return
        try:
            with _failing_in_background():
                raw = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # the terminal is gone, or it's another job's since a moment ago
            raw = b""
        if raw:
            self._read(raw)
        else:
            self._stop_reading()


@contextlib.contextmanager
def _failing_in_background() -> Iterator[None]:
    """A read in the background fails instead of stopping us (POSIX 11.1.4: where SIGTTIN is blocked)."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
