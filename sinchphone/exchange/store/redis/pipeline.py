"""One connection to Redis: what is asked for at the same time goes out together, and is answered in order.

::

    ask, run -> asked -> pump: connect; all that was asked meanwhile in one write -> answers -> futures
             -> from then on over ``AnsweringConnection``, until that fails
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from sinchphone.exchange.store.redis.answers import AnsweringConnection, Asked, Word, packed
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection
    from redis.exceptions import MovedError

_MOVED_SECONDS: Final = 0.005  # nodes may not agree at once who has something
_REDIS_ANSWER_SECONDS: Final = 5.0  # longer than any blocking read; a connection that is silent for so long is none

_Batch: TypeAlias = "list[Asked]"


@quick_dataclass(frozen=True, slots=True)
class LuaScript:
    """A Lua script, by its text and its name on the server."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "LuaScript":
        """A script of that text."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class ServerRoute(Protocol):
    """To the server that has the keys of a pipeline."""

    async def connected(self) -> "AbstractConnection":
        """A new connection. Raises as Redis answers, or doesn't."""

    def follow(self, moved: "MovedError") -> None:
        """Another node has the keys, as that one says which had them."""

    def fail(self) -> None:
        """That server doesn't answer: it may be another one by now."""


class Pipeline:
    """It connects when it's asked for something, and again after an error."""

    def __init__(self, route: ServerRoute, name: str) -> None:
        self._route = route
        self._name = name
        self._asked: _Batch = []
        self._connection: AbstractConnection | None = None  # that is being made, or tried
        self._serving: AnsweringConnection | None = None  # that was
        self._pumping: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def ask(self, *command: Word) -> "asyncio.Future[Any]":
        """The answer to a command: a RedisError, OSError or TimeoutError where there is none."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        serving = self._serving
        if serving is not None and serving.is_open:
            serving.send((command, future))
        else:
            self._asked.append((command, future))
            if serving is None:
                self._pump_soon()
        return future

    def _pump_soon(self) -> None:
        if self._pumping is None or self._pumping.done():
            self._pumping = start_task(self._pump(), name=self._name)

    async def run(self, script: LuaScript, keys: Sequence[str], words: Sequence[Word]) -> Any:
        """What a script returns; its text is sent only where the server doesn't know it. Raises as ``ask`` answers."""
        try:
            return await self.ask("EVALSHA", script.sha, len(keys), *keys, *words)
        except _unknown_script():
            return await self.ask("EVAL", script.text, len(keys), *keys, *words)

    async def close(self) -> None:
        """Disconnect; who waits for an answer is told that there's none."""
        pumping, self._pumping = self._pumping, None
        if pumping is not None:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)
        serving, self._serving = self._serving, None
        if serving is not None:
            _fail([*await serving.close(), *self._asked], ConnectionError("the connection was closed"))
            self._asked = []
        await asyncio.gather(*self._closing)
        await self._disconnect()

    async def _pump(self) -> None:
        while self._asked:
            batch, self._asked = self._asked, []
            try:
                async with asyncio.timeout(_REDIS_ANSWER_SECONDS):
                    await self._exchange(batch)
            except no_answer() as error:
                self._route.fail()
                await self._disconnect()
                _fail(batch, error)
            except BaseException:
                _fail([*batch, *self._asked], ConnectionError("the connection was closed"))
                self._asked = []
                raise
        connection, self._connection = self._connection, None
        if connection is not None:
            self._serving = AnsweringConnection(connection, _REDIS_ANSWER_SECONDS, self._failed)

    def _failed(self, unanswered: _Batch, error: Exception) -> None:
        """The connection serves no more: all that was asked may be asked again over a new one, but where Redis said nothing for long."""
        serving, self._serving = self._serving, None
        if serving is not None:
            start_task(_closed(serving), name=self._name, among=self._closing)
        if isinstance(error, _moved()):
            self._route.follow(error)
        elif isinstance(error, TimeoutError):
            self._route.fail()
            _fail(unanswered, error)
            unanswered = []
        self._asked = [*unanswered, *self._asked]
        if self._asked:
            self._pump_soon()

    async def _exchange(self, batch: _Batch) -> None:
        """Over a connection that may have been closed meanwhile, as by a restart; then over a new one: all that is asked may be asked
        again."""
        if self._connection is not None:
            try:
                batch = await self._served(self._connection, batch)
            except no_answer():
                await self._disconnect()
                batch = [(command, future) for command, future in batch if not future.done()]
        while batch:
            connection = self._connection = await self._route.connected()
            connection.socket_timeout = None  # ours is for all of a batch
            batch = await self._served(connection, batch)

    async def _served(self, connection: "AbstractConnection", batch: _Batch) -> _Batch:
        """Ask; what another node has to be asked for. Then this connection is no more."""
        moved, error = await _serve(connection, batch)
        if error is not None:
            self._route.follow(error)
            await self._disconnect()
            await asyncio.sleep(_MOVED_SECONDS)
        return moved

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _closed(serving: AnsweringConnection) -> None:
    await serving.close()


async def _serve(connection: "AbstractConnection", batch: _Batch) -> tuple[_Batch, "MovedError | None"]:
    """Ask, and tell the answers; what another node has, as this one says."""
    moved: _Batch = []
    error_of_move: MovedError | None = None
    await connection.send_packed_command([packed(command) for command, _ in batch], check_health=False)
    for command, future in batch:
        try:
            answer = await connection.read_response()
        except _moved() as error:
            error_of_move = error
            moved.append((command, future))
        except _refused() as error:
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(answer)
    return moved, error_of_move


def no_answer(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """The errors where there is no answer to use, and ``others``: for ``except``, which asks only when there is one."""
    from redis.exceptions import RedisError

    return RedisError, OSError, TimeoutError, *others


def reason_of(error: Exception) -> str:
    """What it says, and where it says nothing that nobody answered."""
    return str(error) or "no answer came in time"


def is_refusal(error: Exception) -> bool:
    """Whether Redis answered that it won't."""
    return isinstance(error, _refused())


def _refused() -> type[Exception]:
    from redis.exceptions import ResponseError

    return ResponseError


def _moved() -> "type[MovedError]":
    from redis.exceptions import MovedError

    return MovedError


def _unknown_script() -> type[Exception]:
    from redis.exceptions import NoScriptError

    return NoScriptError


def _fail(batch: _Batch, error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


def _seen(future: "asyncio.Future[Any]") -> None:
    """An error that nobody waits for is no error of the loop."""
    if not future.cancelled():
        future.exception()
