"""Key presses for whoever asks for the next one; the terminal is always given back as it was.

::

    terminal --bytes--> PosixKeyboard   --\\
    console  --chars--> WindowsKeyboard --> KeyParser --presses--> press()
"""

import asyncio
import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO, TypeAlias

from sinchphone.cli.terminal.keyboard.parser import KeyParser, Press
from sinchphone.cli.terminal.keyboard.posix import PosixKeyboard, terminal_of
from sinchphone.cli.terminal.keyboard.windows import Console, WindowsKeyboard, console_of
from sinchphone.quick_dataclass import quick_dataclass

MAX_KEYS_WAITING: Final = 1_024  # presses nobody has taken yet


@quick_dataclass(frozen=True, slots=True)
class Dropped:
    """Presses that came faster than they were taken, beyond what waits."""

    count: int


Pressed: TypeAlias = Press | Dropped


class Keys:
    """``with Keys(sys.stdin) as keys: key = await keys.press()``. Without a terminal no key ever comes, and nothing is read."""

    def __init__(self, stream: TextIO | None, *, console: Console | None = None) -> None:
        """``stream`` is standard input, or ``None`` where something else reads it; ``console`` where keys come from Windows's. Needs a
        running loop once it's entered."""
        self._stream = stream
        self._console = console
        self._parser = KeyParser()
        self._waiting: asyncio.Queue[Press] = asyncio.Queue(MAX_KEYS_WAITING)
        self._dropped = 0
        self._keyboard: PosixKeyboard | WindowsKeyboard | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answered: Callable[[], object] = lambda: None

    @property
    def usable(self) -> bool:
        """Whether keys can be pressed now: a job in the background gets none until it comes to the foreground."""
        return self._keyboard is not None and self._keyboard.is_ours

    @property
    def expected(self) -> bool:
        """Whether keys may ever be pressed: there is a terminal, whoever is in its foreground."""
        return self._keyboard is not None

    def __enter__(self) -> Self:
        self._keyboard = self._find_keyboard()
        if self._keyboard is not None:
            self._keyboard.open()
        return self

    def _find_keyboard(self) -> PosixKeyboard | WindowsKeyboard | None:
        console = self._console or (console_of(self._stream) if os.name == "nt" else None)
        if console is not None:
            return WindowsKeyboard(console, self._read)
        descriptor = terminal_of(self._stream)
        return None if descriptor is None else PosixKeyboard(descriptor, self._read)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._keyboard is not None:
            self._keyboard.close()

    def release(self) -> None:
        """Give the terminal back for now. May be called at any time, more than once."""
        if self._keyboard is not None:
            self._keyboard.release()

    def reclaim(self) -> None:
        """Take the terminal again, where our job is in the foreground."""
        if self._keyboard is not None:
            self._keyboard.reclaim()

    async def press(self) -> Pressed:
        """The next key: one character, ``"\\n"`` for Enter. Or a paste, or how many were dropped. Cancelling is safe."""
        if self._dropped and self._waiting.empty():
            count, self._dropped = self._dropped, 0
            return Dropped(count)
        return await self._waiting.get()

    async def ask(self, send: Callable[[], object], is_last: Callable[[str], bool], seconds: float) -> list[str]:
        """What the terminal replies to what ``send`` writes to it, up to the last reply, or for that long at most. Where no key can come
        nothing is asked. No reply is ever a key. Cancelling is safe."""
        if not self.usable:
            return []
        replies: list[str] = []
        answered = asyncio.Event()
        self._parser.replies, self._answered = replies, lambda: answered.set() if any(map(is_last, replies)) else None
        try:
            send()
            async with asyncio.timeout(seconds):
                await answered.wait()
        except TimeoutError:
            pass
        finally:
            self._parser.replies, self._answered = None, lambda: None
        return replies

    def forget(self) -> None:
        """Drop what was pressed before anybody asked."""
        self._dropped = 0
        while not self._waiting.empty():
            self._waiting.get_nowait()

    def _read(self, raw: bytes) -> None:
        self._put(self._parser.feed(raw, time.monotonic()))
        self._answered()

    def _expire(self) -> None:
        self._put(self._parser.expire(time.monotonic()))

    def _put(self, pressed: list[Press]) -> None:
        for press in pressed:
            if self._waiting.full():
                self._dropped += 1
            else:
                self._waiting.put_nowait(press)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._parser.deadline
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline - time.monotonic()), self._expire)
