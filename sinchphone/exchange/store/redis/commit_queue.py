"""What one process changes of one application: collected, and committed in order, each batch once however often it has to be sent.

::

    add(change) -> pending -> flush: one script on the server -> ids, which are time tokens
    exclusive() -> our turn among all processes -> what others changed is known -> changes -> committed as the turn ends
"""

import asyncio
import contextlib
import itertools
import json
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sinchphone.exchange.store.redis.changes import Change, token_of
from sinchphone.exchange.store.redis.connection import PREFIX, SCHEMA
from sinchphone.exchange.store.redis.scripts import ACQUIRE, COMMIT
from sinchphone.exchange.store.store import StoreError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from redis.asyncio import Redis

TURN_MS: Final = 5_000  # a process that dies in its turn holds up the others no longer
PATIENCE_SECONDS: Final = 3.0  # for Redis, or our turn
_AGAIN_SECONDS: Final = 0.2
_MAX_BATCH: Final = 500

_logger = logging.getLogger(__name__)


@quick_dataclass(frozen=True, slots=True)
class Bounds:
    """Of an application's feed: how old its entries get, and how much they weigh in all."""

    seconds: float
    size_bytes: int


@quick_dataclass(frozen=True, slots=True)
class _Pending:
    change: Change | None
    fence: str  # of the turn that it was changed in
    future: "asyncio.Future[int]"


@dataclass(slots=True)
class Position:
    """How far this process has read the feed."""

    token: int = 0
    id: str = "0-0"
    waiting: list[tuple[int, "asyncio.Future[None]"]] = field(default_factory=list)

    def reach(self, entry_id: str) -> None:
        """Everything up to that entry is known here."""
        self.id, self.token = entry_id, token_of(entry_id)
        due, self.waiting = [one for one in self.waiting if one[0] <= self.token], [one for one in self.waiting if one[0] > self.token]
        for _, future in due:
            if not future.done():
                future.set_result(None)

    async def reached(self, token: int) -> None:
        """Return when all up to that token is known here. Raises StoreError where that takes too long."""
        if token <= self.token:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((token, future))
        await patiently(future)


class CommitQueue:
    """Of one application. ``lost`` is called where a turn was over before its changes came through: what is known here is wrong then."""

    def __init__(self, client: "Redis", application: str, process: str, bounds: Bounds, lost: Callable[[], None]) -> None:
        self.application = application
        self.position = Position()
        self._client = client
        self._process = process
        self._bounds = bounds
        self._lost = lost
        self._pending: list[_Pending] = []
        self._sending = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._fence = ""
        self._turns = 0
        self._batches = 0
        self._flushing: asyncio.Task[None] | None = None
        self._script = client.register_script(COMMIT)
        self._acquire = client.register_script(ACQUIRE)

    def key(self, name: str) -> str:
        """A key of this application: all of them are in one slot of a cluster."""
        return f"{PREFIX}:{SCHEMA}:{{{self.application}}}:{name}"

    def add(self, change: Change) -> "asyncio.Future[int]":
        """Commit a change soon; its time token."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._pending.append(_Pending(change, self._fence, future))
        self._flush_soon()
        return future

    async def settle(self) -> None:
        """Return when everything so far is committed. Raises StoreError."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._pending.append(_Pending(None, self._fence, future))
        self._flush_soon()
        await patiently(future)

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Our turn: nobody else changes what depends on what is there. Raises StoreError."""
        async with self._turn:
            self._turns += 1
            fence = f"{self._process}-{self._turns}"
            clock = await patiently(self._acquired(fence))
            self._fence = fence
            try:
                await self.position.reached(token_of(clock))
                yield
            finally:
                self._fence = ""  # what is changed from here on doesn't belong to it
                await patiently(asyncio.shield(start_task(self._release(fence), name=f"commit {self.application}")))

    async def clock(self) -> int:
        """The token of the last entry of the feed."""
        found: Any = await self._client.get(self.key("clock"))
        return token_of(found or "")

    def close(self) -> None:
        """Send nothing any more."""
        if self._flushing is not None:
            self._flushing.cancel()

    async def _acquired(self, fence: str) -> str:
        while True:
            taken, clock = await self._acquire(keys=[self.key("turn"), self.key("clock")], args=[fence, TURN_MS])
            if taken:
                return str(clock)
            await asyncio.sleep(random.uniform(0.001, 0.004))

    def _flush_soon(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = start_task(self._flush_all(), name=f"commit {self.application}")

    async def _flush_all(self) -> None:
        while self._pending:
            with contextlib.suppress(StoreError):  # who waits is told
                await self._flush()

    async def _flush(self) -> None:
        """Send what is pending, as far as it belongs together. Raises StoreError where its turn was over."""
        async with self._sending:
            if self._pending:
                await self._send_first(self._pending[0].fence)

    async def _release(self, fence: str) -> None:
        """Send what was changed in a turn, and end it in the same step. Raises StoreError where it was over."""
        async with self._sending:
            while self._pending and self._pending[0].fence != fence:  # from before it
                await self._send_first(self._pending[0].fence)
            await self._send_first(fence, release=True)

    async def _send_first(self, fence: str, *, release: bool = False) -> None:
        batch = list(itertools.takewhile(lambda one: one.fence == fence, self._pending))[: None if release else _MAX_BATCH]
        self._pending = self._pending[len(batch) :]
        self._batches += 1
        changes = [one.change for one in batch if one.change is not None]
        outcome, ids = await self._sent(changes, fence, release=release)
        tokens = iter(token_of(one) for one in ids.split())
        error = None if outcome == "done" else StoreError("the exchange lost its turn at the store; try again")
        for one in batch:
            token = 0 if one.change is None or error is not None else next(tokens)
            if not one.future.done():
                one.future.set_exception(error) if error is not None else one.future.set_result(token)
        if error is not None:
            self._lost()
            raise error

    async def _sent(self, changes: list[Change], fence: str, *, release: bool) -> tuple[str, str]:
        """The server's answer; it's asked again until it gives one."""
        from redis.exceptions import ConnectionError as Gone
        from redis.exceptions import RedisError

        tables = list(dict.fromkeys(change["t"] for change in changes if "t" in change))
        named = {name: 6 + number for number, name in enumerate(tables)}
        texts = [json.dumps({**change, "at": named[change["t"]]} if "t" in change else change) for change in changes]
        fixed = ("feed", "clock", "turn", f"batch:{self._process}", "weight")
        keys = [self.key(name) for name in (*fixed, *(f"rows:{name}" for name in tables))]
        age, limit = int(self._bounds.seconds * 1_000_000), self._bounds.size_bytes
        args: list[Any] = [self._process, self._batches, fence, age, limit, int(release), *texts]
        while True:
            try:
                outcome, ids = await self._script(keys=keys, args=args)
            except (Gone, TimeoutError, OSError):
                await asyncio.sleep(_AGAIN_SECONDS)
            except RedisError as error:
                _logger.warning("the exchange's store on Redis doesn't take changes: %s", error)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return str(outcome), str(ids)


async def patiently(work: Any) -> Any:
    """What somebody waits for, as long as one waits for Redis. Raises StoreError."""
    from redis.exceptions import RedisError

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await work
    except (TimeoutError, OSError, RedisError) as error:
        raise StoreError("the exchange can't reach what it shares with others (Redis) at the moment", hint="See its log.") from error


def _seen(future: "asyncio.Future[int]") -> None:
    """An error that nobody waits for is no error of the loop."""
    if not future.cancelled():
        future.exception()
