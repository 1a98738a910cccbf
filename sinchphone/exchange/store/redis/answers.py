"""A connection to Redis that was made, and serves: without a task, and in as few turns of the loop as there can be.

::

    send -> at the end of the loop's turn all in one write -> what comes -> hiredis -> futures
    closed, silent, or another node has the keys -> what has no answer yet goes back to whoever made it
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

Word: TypeAlias = str | int
Asked: TypeAlias = "tuple[tuple[Word, ...], asyncio.Future[Any]]"
Failed: TypeAlias = "Callable[[list[Asked], Exception], None]"  # what has no answer, and why

_LOST_ANSWERS: Final = ("LOADING", "NOAUTH", "WRONGPASS")  # as good as none: it's for whoever connects


class AnsweringConnection(asyncio.Protocol):
    """Takes ``connection`` over, whose answers have all been read. ``failed`` is called once, as it serves no more; not after ``close``."""

    def __init__(self, connection: "AbstractConnection", silent_seconds: float, failed: Failed) -> None:
        """``silent_seconds``: a connection that doesn't answer for so long is none."""
        import hiredis

        self._connection = connection
        self._silent_seconds = silent_seconds
        self._failed = failed
        self._reader = hiredis.Reader(replyError=_refusal, encoding="utf-8")
        self._waiting: deque[tuple[float, Asked]] = deque()
        self._moved: list[Asked] = []
        self._why_moved: Exception | None = None
        self._out: list[bytes] = []
        self._is_watched = False
        self.is_open = True
        writer = connection._writer  # redis-py has no other way to it
        assert writer is not None, "it's connected"
        self._transport: asyncio.WriteTransport = writer.transport
        self._transport.set_protocol(self)
        self._loop = asyncio.get_running_loop()

    def send(self, asked: Asked) -> None:
        """Ask; the future is told the answer, or comes back with ``failed``."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed(asked[0]))
        self._waiting.append((self._loop.time(), asked))
        if not self._is_watched:
            self._is_watched = True
            self._loop.call_later(self._silent_seconds, self._watch)

    async def close(self) -> list[Asked]:
        """Disconnect; what has no answer. May be called after it failed, too."""
        self.is_open, self._failed = False, _nothing
        await self._connection.disconnect(nowait=True)
        return self._unanswered()

    def data_received(self, data: bytes) -> None:
        """Answers, or parts of them (asyncio)."""
        import hiredis

        self._reader.feed(data)
        try:
            while self._failed is not _nothing and (answer := self._reader.gets()) is not False:
                self._take(answer)
        except (hiredis.HiredisError, UnicodeDecodeError, IndexError) as error:  # nothing that Redis would say
            self._fail(ConnectionError(str(error)))
            return
        if self._why_moved is not None and not self._waiting:
            self._fail(self._why_moved)

    def connection_lost(self, exc: Exception | None) -> None:
        """It was closed, by us or by others (asyncio)."""
        self._fail(exc or ConnectionError("the connection was closed"))

    def _take(self, answer: Any) -> None:
        from redis.exceptions import ConnectionError as NoConnectionError
        from redis.exceptions import MovedError

        _, asked = self._waiting.popleft()
        if isinstance(answer, MovedError):
            self._moved.append(asked)
            self._why_moved, self.is_open = answer, False
        elif isinstance(answer, NoConnectionError):
            self._waiting.appendleft((0.0, asked))
            self._fail(answer)
        elif asked[1].done():
            return
        elif isinstance(answer, Exception):
            asked[1].set_exception(answer)
        else:
            asked[1].set_result(answer)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _watch(self) -> None:
        """Look whether there are answers, as long as any are awaited."""
        self._is_watched = False
        if not self._waiting:
            return
        left = self._waiting[0][0] + self._silent_seconds - self._loop.time()
        if left <= 0:
            self._fail(TimeoutError("Redis doesn't answer"))
        else:
            self._is_watched = True
            self._loop.call_later(left, self._watch)

    def _fail(self, error: Exception) -> None:
        failed, self._failed = self._failed, _nothing
        if failed is _nothing:
            return
        self.is_open = False
        self._transport.abort()
        failed(self._unanswered(), self._why_moved or error)

    def _unanswered(self) -> list[Asked]:
        asked = [*self._moved, *(one for _, one in self._waiting)]
        self._moved.clear()
        self._waiting.clear()
        self._out.clear()
        return [one for one in asked if not one[1].done()]


def _nothing(asked: list[Asked], error: Exception) -> None:
    """It was told already."""


def packed(command: tuple[Any, ...]) -> bytes:
    """A command as it goes out. redis-py's own way, in Python, took as long as the answer."""
    import hiredis

    text: bytes = hiredis.pack_command(command)
    return text


def _refusal(text: str) -> Exception:
    """What Redis answers instead, as redis-py has it."""
    import redis.exceptions as refused

    code, _, about = text.partition(" ")
    if code == "MOVED":
        return refused.MovedError(about)
    if code in _LOST_ANSWERS:
        return refused.ConnectionError(text)
    known: dict[str, type[Exception]] = {
        "NOSCRIPT": refused.NoScriptError,
        "NOPERM": refused.NoPermissionError,
        "READONLY": refused.ReadOnlyError,
        "OOM": refused.OutOfMemoryError,
        "CLUSTERDOWN": refused.ClusterDownError,
    }
    return known.get(code, refused.ResponseError)(text)
