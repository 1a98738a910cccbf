"""What one process changes of one application: collected, and committed in order, each batch once however often it has to be sent.

::

    add(change) -> pending -> flush: one script on the server -> ids, which are time tokens -> taken, with what others wrote before
    exclusive() -> our turn among all processes -> what others changed is known -> changes -> committed as the turn ends
                   (one turn for all who want it here at the same time)
"""

import asyncio
import contextlib
import itertools
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, TypeAlias

from sinchphone.exchange.store.redis.answers import Word
from sinchphone.exchange.store.redis.changes import Change, read_entry, token_of, write_batch
from sinchphone.exchange.store.redis.connection import key_of
from sinchphone.exchange.store.redis.pipeline import LuaScript, Pipeline, is_refusal, no_answer
from sinchphone.exchange.store.redis.scripts import ACQUIRE, COMMIT
from sinchphone.exchange.store.store import StoreError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

TURN_MS: Final = 2_000  # as a process that is missed: one that dies in its turn holds the others up no longer
PATIENCE_SECONDS: Final = 3.0  # for Redis, or our turn
_SHARED_TURN_SECONDS: Final = 0.5  # so long others may join a turn here
_COMMIT_AGAIN_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = (0.03, 0.06)  # how often we look whether a turn is ours, where nobody says so: the process before us died
_TRIM_SECONDS: Final = 1.0
_MAX_BATCH: Final = 500
_MAX_COMMITTED: Final = 500  # entries
_COMMIT: Final = LuaScript.of(COMMIT)
_ACQUIRE: Final = LuaScript.of(ACQUIRE)

_logger = logging.getLogger(__name__)

Take: TypeAlias = Callable[[Change, int, bool], None]  # a change, its token, whether this process made it


@quick_dataclass(frozen=True, slots=True)
class Bounds:
    """Of an application's feed: how old its entries get, and how much they weigh in all."""

    seconds: float
    size_bytes: int


@quick_dataclass(frozen=True, slots=True)
class _Pending:
    change: Change | None
    fence: str  # of the turn that it was changed in
    future: "asyncio.Future[int] | None"


@quick_dataclass(frozen=True, slots=True)
class _Turn:
    """That we have, until ``done`` says that it's committed, or lost."""

    fence: str
    began_at: float
    done: "asyncio.Future[None]"


class CommitQueue:
    """Of one application. ``take`` is handed all that is written there, in order. ``lost`` is called where a turn was over before its
    changes came through: what is known here is wrong then. ``is_reached``: whether Redis answers, as far as is known."""

    def __init__(
        self,
        pipeline: Pipeline,
        application: str,
        process: str,
        bounds: Bounds,
        *,
        take: Take,
        lost: Callable[[], None],
        is_reached: Callable[[], bool],
    ) -> None:
        self.application = application
        self.position, self.token = "0-0", 0  # how far the feed is known here
        self.known_at = float("-inf")  # when that was all of it
        self._pipeline = pipeline
        self._process = process
        self._bounds = bounds
        self._take = take
        self._lost = lost
        self._is_reached = is_reached
        self._pending: list[_Pending] = []
        self._sending = asyncio.Lock()
        self._fence = ""
        self._inside = asyncio.Lock()  # one at a time, of those who share a turn
        self._turn: _Turn | None = None
        self._wanted = 0  # how many wait for the lock
        self._turns = 0
        self._batches = 0
        self._trimmed_at = float("-inf")
        self._flushing: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._reading = asyncio.Lock()
        self._next_read: asyncio.Task[None] | None = None  # that hasn't begun
        self._is_awaited = False  # what was changed in our turn can't wait for its end
        self._awaited = ""  # the fence of a turn that we stand in line for
        self._handed_on = asyncio.Event()  # it's ours, as an entry said
        self._keys = [self.key(name) for name in ("feed", "clock", "turn", f"batch:{process}", "weight", "line")]

    def key(self, name: str) -> str:
        """A key of this application."""
        return key_of(self.application, name)

    def add(self, change: Change) -> None:
        """Commit a change soon: as our turn ends, or at once."""
        self._pending.append(_Pending(change, self._fence, None))
        if not self._fence:
            self._flush_soon()

    def post(self, change: Change) -> "asyncio.Future[int]":
        """Commit a change soon, as ``add`` does; its time token."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._pending.append(_Pending(change, self._fence, future))
        if not self._fence:
            self._flush_soon()
        return future

    def flush(self) -> None:
        """Commit at once what was changed in our turn until now: somebody waits for it."""
        self._is_awaited = True
        self._flush_soon()

    async def settle(self) -> None:
        """Return when everything so far is committed. Raises StoreError."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._pending.append(_Pending(None, self._fence, future))
        self.flush()
        await patiently(future)

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Our turn: nobody else changes what depends on what is there. Raises StoreError."""
        async with self._entered() as turn:
            self._fence = turn.fence
            try:
                yield
            finally:
                self._fence = ""  # what is changed from here on doesn't belong to it
        await patiently(asyncio.shield(turn.done))

    async def catch_up(self) -> None:
        """Know all that was written until now. Raises StoreError."""
        if self._next_read is None:
            self._next_read = start_task(self._read(), name=f"read {self.application}")
            self._next_read.add_done_callback(_seen)
        await patiently(asyncio.shield(self._next_read))

    def take_entries(self, entries: Sequence[Any]) -> None:
        """Entries of the feed, from wherever they come: those that are known are passed over."""
        for entry_id, members in entries:
            token = token_of(entry_id)
            if token <= self.token:
                continue
            if members[5:] == [self._awaited]:
                self._handed_on.set()
            try:
                self._hand_on(read_entry(members[3]), token, members[1] == self._process)
            except (ValueError, TypeError, KeyError, IndexError):
                _logger.exception("an entry of the exchange's feed can't be read")
            self.position, self.token = entry_id, token

    def reach(self, entry_id: str) -> None:
        """Everything up to that entry is known here."""
        self.position, self.token = entry_id, token_of(entry_id)

    def close(self) -> None:
        """Send nothing any more."""
        for task in (self._flushing, self._next_read, *self._ending):
            if task is not None:
                task.cancel()

    # Our turn

    @contextlib.asynccontextmanager
    async def _entered(self) -> AsyncIterator[_Turn]:
        """Raises StoreError where our turn doesn't come."""
        self._wanted += 1
        try:
            await patiently(self._inside.acquire(), self._without_turn)
        finally:
            self._wanted -= 1
        try:
            turn = self._turn = self._turn or await patiently(self._acquired(), self._without_turn)
            try:
                yield turn
            finally:
                if not self._wanted or time.monotonic() - turn.began_at > _SHARED_TURN_SECONDS:
                    self._turn = None
                    self._end_soon(turn)
        finally:
            self._inside.release()

    def _without_turn(self) -> StoreError:
        """Why it didn't come."""
        if not self._is_reached():
            return unreached()
        return StoreError(f"too many want something of the exchange at once: this one's turn didn't come within {PATIENCE_SECONDS:g} s")

    async def _acquired(self) -> _Turn:
        self._turns += 1
        self._awaited, self._handed_on = f"{self._process}-{self._turns}", asyncio.Event()
        fence, line = self._awaited, self.key("line")
        keys = [*(self.key(name) for name in ("turn", "clock", "feed")), line]
        try:
            while True:
                taken, entries, complete = await self._pipeline.run(_ACQUIRE, keys, [fence, TURN_MS, self.position])
                if taken:
                    break
                await self._handed()
        except BaseException:
            self._pipeline.ask("LREM", line, 0, fence)
            raise
        finally:
            self._awaited = ""
        self.take_entries(entries)
        self.known_at = time.monotonic()
        if not complete:
            await self._read()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_seen)
        return _Turn(fence, time.monotonic(), done)

    async def _handed(self) -> None:
        """Wait until we were told that the turn is ours, or for a moment: who had it may be gone."""
        self._handed_on.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(*_LOOK_SECONDS)):
                await self._handed_on.wait()

    def _end_soon(self, turn: _Turn) -> None:
        start_task(self._end(turn), name=f"commit {self.application}", among=self._ending)

    async def _end(self, turn: _Turn) -> None:
        """Send what was changed in a turn, and end it in the same step."""
        try:
            async with self._sending:
                while not self._is_last_run(turn.fence):
                    await self._send_first(self._pending[0].fence)
                await self._send_first(turn.fence, release=True)
        except StoreError as error:
            if not turn.done.done():
                turn.done.set_exception(error)
        else:
            if not turn.done.done():
                turn.done.set_result(None)
        if self._pending:
            self._flush_soon()

    def _is_last_run(self, fence: str) -> bool:
        """Whether nothing of that turn is pending behind what doesn't belong to it."""
        behind = itertools.dropwhile(lambda one: one.fence == fence, self._pending)
        return all(one.fence != fence for one in behind)

    # What we write

    def _flush_soon(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = start_task(self._flush_all(), name=f"commit {self.application}")

    async def _flush_all(self) -> None:
        while self._pending and (self._is_awaited or not self._is_of_open_turn()):
            with contextlib.suppress(StoreError):  # who waits is told
                async with self._sending:
                    if self._pending:
                        await self._send_first(self._pending[0].fence)
        self._is_awaited = False

    def _is_of_open_turn(self) -> bool:
        """Whether what is pending first goes out as our turn ends."""
        return self._turn is not None and self._pending[0].fence == self._turn.fence

    async def _send_first(self, fence: str, *, release: bool = False) -> None:
        """Send what is pending, as far as it belongs together. Raises StoreError where its turn was over."""
        pending = list(itertools.takewhile(lambda one: one.fence == fence, self._pending))[: None if release else _MAX_BATCH]
        self._pending = self._pending[len(pending) :]
        changes = [one.change for one in pending if one.change is not None]
        if not changes and not release:
            _resolve(pending, [])
            return
        batch = write_batch(changes, len(self._keys) + 1)
        keys = [*self._keys, *(self.key(f"rows:{name}") for name in batch.tables)]
        outcome, ids, others, complete = await self._sent(keys, batch.words, fence, release=release)
        if outcome != "done":
            error = StoreError("the exchange lost its turn at the store; try again")
            _resolve(pending, error)
            self._lost()
            raise error
        self.take_entries(others)
        written = [(entry_id, token_of(entry_id)) for entry_id in ids.split()]
        if complete:
            self.known_at = time.monotonic()
            for (entry_id, token), entry in zip(written, batch.entries, strict=True):
                if token > self.token:
                    self._hand_on(entry, token, True)
                    self.position, self.token = entry_id, token
        _resolve(pending, [written[place][1] for place in batch.places])

    async def _sent(self, keys: list[str], words: list[str], fence: str, *, release: bool) -> tuple[str, str, list[Any], int]:
        """The server's answer; it's asked again until it gives one."""
        self._batches += 1
        age, limit, now = int(self._bounds.seconds * 1_000_000), self._bounds.size_bytes, time.monotonic()
        must_trim, is_said = now - self._trimmed_at > _TRIM_SECONDS, False
        self._trimmed_at = now if must_trim else self._trimmed_at
        while True:
            known: list[Word] = [self._process, self._batches, fence, int(release), self.position, age, limit, int(must_trim)]
            try:
                outcome, ids, others, complete = await self._pipeline.run(_COMMIT, keys, [*known, *words])
            except no_answer() as error:
                if is_refusal(error) and not is_said:
                    _logger.warning("the exchange's store on Redis doesn't take changes: %s", error)
                    is_said = True
                await asyncio.sleep(_COMMIT_AGAIN_SECONDS)
            else:
                return str(outcome), str(ids), others, int(complete)

    # What others write

    async def _read(self) -> None:
        async with self._reading:
            self._next_read = None
            while True:
                entries = await self._pipeline.ask("XRANGE", self._keys[0], f"({self.position}", "+", "COUNT", _MAX_COMMITTED)
                self.take_entries(entries)
                self.known_at = time.monotonic()
                if len(entries) < _MAX_COMMITTED:
                    return

    def _hand_on(self, entry: Sequence[Change], token: int, own: bool) -> None:
        for change in entry:
            self._take(change, token, own)


def unreached() -> StoreError:
    """What somebody is told who asks while Redis can't be reached."""
    return StoreError("the exchange can't reach what it shares with others (Redis) at the moment", hint="see its log")


async def patiently(work: Any, why: Callable[[], StoreError] = unreached) -> Any:
    """What somebody waits for, as long as one waits for Redis. Raises StoreError: that which ``why`` gives."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await work
    except no_answer() as error:
        raise why() from error


def _resolve(pending: Sequence[_Pending], outcome: Sequence[int] | StoreError) -> None:
    """Tell those who wait their tokens, or why there are none."""
    tokens = iter(()) if isinstance(outcome, StoreError) else iter(outcome)
    for one in pending:
        token = 0 if one.change is None or isinstance(outcome, StoreError) else next(tokens)
        if one.future is not None and not one.future.done():
            one.future.set_exception(outcome) if isinstance(outcome, StoreError) else one.future.set_result(token)


def _seen(future: "asyncio.Future[Any]") -> None:
    """An error that nobody waits for is no error of the loop."""
    if not future.cancelled():
        future.exception()
