"""The console's keyboard on Windows, through the C runtime (``msvcrt``): polled, since no event loop waits for a console."""

import asyncio
import importlib
import signal
from collections.abc import Callable
from typing import Final, Protocol, TextIO, cast

POLL_S: Final = 0.03
_MAX_AT_ONCE: Final = 256  # characters of one poll: a paste comes as fast as it's read
_SPECIAL: Final = ("\x00", "\xe0")  # a function key: its code follows
_CTRL_C: Final = "\x03"


class Console(Protocol):
    """What we need of ``msvcrt``."""

    def kbhit(self) -> bool:
        """Whether a key waits."""

    def getwch(self) -> str:
        """The next character; of a function key the first call gives ``"\\x00"`` or ``"\\xe0"``, the second its code."""


def console_of(stream: TextIO | None) -> Console | None:
    """The console where ``stream`` is one."""
    try:
        if stream is None or not stream.isatty():
            return None
    except ValueError:  # closed
        return None
    return cast(Console, importlib.import_module("msvcrt"))


class WindowsKeyboard:
    """Gives ``read`` what is typed, in UTF-8. Needs a running loop from ``open`` on."""

    def __init__(self, console: Console, read: Callable[[bytes], None]) -> None:
        self._console = console
        self._read = read
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_ours(self) -> bool:
        """Whether keys can come now."""
        return self._timer is not None

    def open(self) -> None:
        """Begin to poll."""
        self._timer = asyncio.get_running_loop().call_later(POLL_S, self._poll)

    def close(self) -> None:
        """Poll no more. May be called more than once."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def release(self) -> None:
        """There are no modes to give back: ``getwch`` sets them for as long as it reads."""

    def reclaim(self) -> None:
        """A console has no jobs."""

    def _poll(self) -> None:
        typed: list[str] = []
        while len(typed) < _MAX_AT_ONCE and self._console.kbhit():
            character = self._console.getwch()
            if character in _SPECIAL and self._console.kbhit():
                self._console.getwch()
            elif character == _CTRL_C:
                signal.raise_signal(signal.SIGINT)
            else:
                typed.append(character)
        if typed:
            self._read("".join(typed).encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode())
        if self._timer is not None:
            self.open()
