"""Single key presses from the terminal; the terminal is always given back as it was."""

import asyncio
import contextlib
import importlib
import os
import re
from types import TracebackType
from typing import Any, Final, Self, TextIO

_CHUNK: Final = 64
_SEQUENCE: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|.)?")  # arrows and function keys (ECMA-48 5.4), Alt and a key
MAX_WAITING: Final = 32  # key presses nobody has taken yet


class Keys:
    """``with Keys(sys.stdin) as keys: key = await keys.press()``. Without a terminal no key ever comes, and nothing is read."""

    def __init__(self, stream: TextIO | None) -> None:
        """``stream`` is standard input, or ``None`` where something else reads it. Needs a running loop once it's entered."""
        self._stream = stream
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self._before: list[Any] | None = None
        self._descriptor = -1

    @property
    def usable(self) -> bool:
        """Whether keys can be pressed."""
        return self._before is not None

    def __enter__(self) -> Self:
        descriptor = _terminal(self._stream)
        if descriptor is not None:
            termios, tty = importlib.import_module("termios"), importlib.import_module("tty")
            self._descriptor = descriptor
            self._before = termios.tcgetattr(descriptor)
            tty.setcbreak(descriptor, termios.TCSANOW)  # no echo, no line; Ctrl-C is still a signal
            asyncio.get_running_loop().add_reader(descriptor, self._read)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(RuntimeError):  # there is no loop any more when we leave at once
            if self.usable:
                asyncio.get_running_loop().remove_reader(self._descriptor)
        self.restore()

    def restore(self) -> None:
        """Give the terminal back. May be called at any time, more than once."""
        before, self._before = self._before, None
        if before is not None:
            termios = importlib.import_module("termios")
            with contextlib.suppress(termios.error, OSError):  # the terminal is gone
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)

    async def press(self) -> str:
        """The next key: one character, ``"\\n"`` for Enter. Cancelling is safe."""
        return await self._waiting.get()

    def forget(self) -> None:
        """Drop what was pressed before anybody asked."""
        while not self._waiting.empty():
            self._waiting.get_nowait()

    def _read(self) -> None:
        try:
            raw = os.read(self._descriptor, _CHUNK)
        except OSError:  # the terminal is gone
            raw = b""
        if not raw:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            return
        for key in _SEQUENCE.sub("", raw.decode(errors="ignore")).replace("\r", "\n"):
            if not self._waiting.full():
                self._waiting.put_nowait(key)


def _terminal(stream: TextIO | None) -> int | None:
    """The descriptor of a terminal that we may read: its job is in the foreground (reading elsewhere would stop us)."""
    try:
        if stream is None or not stream.isatty() or os.name != "posix":
            return None
        descriptor = stream.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):  # closed, or not a file
        return None
