"""Where commands come from: standard input, a descriptor that we were given, a FIFO or a file; read by a thread, so that nothing waits.

::

    program -> - , fd:N or PATH -> thread -> LineSplitter -> [at most 64 lines] -> lines()   (the engine's loop)
"""

import asyncio
import contextlib
import os
import queue
import stat
import threading
from collections.abc import AsyncIterator
from typing import Final

from sinchphone.cli.control.lines import LineSplitter
from sinchphone.cli.terminal.streams import gives_more
from sinchphone.errors import ControlError

_READ_BYTES: Final = 65_536
_WAITING_LINES: Final = 64  # a program that is faster waits
_POLL_SECONDS: Final = 0.1
_HINT: Final = "name a FIFO (mkfifo), fd:N, or - for standard input"


class ControlStream:
    """One stream of commands. ``lines`` has one reader."""

    def __init__(self, source: str) -> None:
        """``source``: ``-``, ``fd:N`` or a path. Opens it without waiting for a writer. Raises ControlError and AudioFileError."""
        self.name = "standard input" if source in ("-", "fd:0") else source
        self.end = "it was closed here"  # why there are no more lines, once there are none
        self._descriptor = _open(source)
        self._lines: queue.Queue[bytes | None] = queue.Queue(_WAITING_LINES)
        self._closed = self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._more = asyncio.Event()
        self._thread = threading.Thread(target=self._read_all, name="sinchphone control", daemon=True)

    async def lines(self) -> AsyncIterator[bytes | None]:
        """Each line, ``None`` for one that was too long; ends with the stream. Cancelling is safe."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        while True:
            try:
                yield self._lines.get_nowait()
            except queue.Empty:
                if self._ended and self._lines.empty():
                    return
                self._more.clear()
                await self._more.wait()

    def close(self) -> None:
        """Read no more. May be called twice."""
        self._closed = True
        if self._thread.ident is None and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read_all(self) -> None:
        splitter = LineSplitter()
        try:
            while not self._closed:
                chunk = self._read()
                if chunk is None:
                    continue
                if not self._hand_over(splitter.push(chunk) if chunk else splitter.finish()):
                    return
                if not chunk:
                    self.end = "nobody writes to it any more"
                    return
        except OSError as error:
            self.end = f"it can't be read: {error.strerror or error}"
        finally:
            os.close(self._descriptor)
            self._ended = True
            self._wake()

    def _read(self) -> bytes | None:
        """What there is, nothing at the end; ``None`` where nothing came for a moment."""
        if not gives_more(self._descriptor, _POLL_SECONDS):
            return None
        try:
            return os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:  # another reader of the same pipe was faster
            return None

    def _hand_over(self, lines: list[bytes | None]) -> bool:
        """Waits for room; False where it was closed."""
        for line in lines:
            while True:
                if self._closed:
                    return False
                with contextlib.suppress(queue.Full):
                    self._lines.put(line, timeout=_POLL_SECONDS)
                    break
            self._wake()
        return True

    def _wake(self) -> None:
        assert self._loop is not None, "the thread is started on a loop"
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._more.set)


def open_stream(source: str | None) -> ControlStream | None:
    """The stream that an option names, if it does. Raises ControlError and AudioFileError."""
    return ControlStream(source) if source is not None else None


def _open(source: str) -> int:
    from sinchphone.media.local_audio.descriptors import claim

    given = claim("fd:0" if source == "-" else source, "read", inherited=True)
    if not isinstance(given, str):
        return given.number
    try:
        mode = os.stat(given).st_mode  # noqa: PTH116 - the same error for all of it
        if stat.S_ISDIR(mode):
            raise ControlError(f"{source} is a folder", hint=_HINT)
        # Open for both, a FIFO never ends: a writer may go and another one come.
        return os.open(given, os.O_RDWR | os.O_NONBLOCK if stat.S_ISFIFO(mode) else os.O_RDONLY)
    except (OSError, ValueError) as error:
        raise ControlError(f"{source} can't be read: {getattr(error, 'strerror', None) or error}", hint=_HINT) from error
