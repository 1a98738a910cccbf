"""What several processes of one exchange remember together: rows on Redis, of which each has all at hand, and a feed of what changes.

::

    put, drop, post -> outbox -> one script: rows and feed -> every process reads the feed -> changed, gone, receive
    exclusive       -> our turn, all that others changed is known here -> the rules, as with one process -> committed
"""

import asyncio
import contextlib
import json
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.feed import FeedMessage, Receive
from sinchphone.exchange.store.redis.changes import (
    Change,
    Key,
    name_of,
    read_key,
    read_message,
    read_row,
    token_of,
    write_drop,
    write_message,
    write_put,
)
from sinchphone.exchange.store.redis.commit_queue import Bounds, CommitQueue, patiently
from sinchphone.exchange.store.redis.connection import check, check_names, connect
from sinchphone.exchange.store.redis.scripts import BEAT
from sinchphone.exchange.store.store import Changed, Gone, StoreError
from sinchphone.exchange.store.tables import DEVICES, MESSAGES, SEEN, SHARED, Row, Table
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from redis.asyncio import Redis

BEAT_SECONDS: Final = 0.5
DEAD_SECONDS: Final = 2.0  # a process that hasn't been heard of for so long
_BLOCK_MS: Final = 1_000  # shorter than the connection's own limit
_AT_ONCE: Final = 500
_AGAIN_SECONDS: Final = 0.2
_MAX_FEED_BYTES: Final = 64 * 1024 * 1024

_logger = logging.getLogger(__name__)


class RedisStore:
    """One process's end of it. ``open``, then the rooms ``read``, then ``start``."""

    is_shared: Final = True

    def __init__(self, address: StoreAddress, applications: Mapping[str, bytes], history_seconds: float) -> None:
        """``applications``: their keys and secrets. Raises ConfigError or StoreError."""
        check_names(applications)
        self.process = secrets.token_hex(8)
        self._address = address
        self._secrets = applications
        self._client: Redis = connect(address)
        self._reader: Redis = connect(address)
        bounds = Bounds(history_seconds, _MAX_FEED_BYTES)
        self._boxes = {one: CommitQueue(self._client, one, self.process, bounds, self._lose) for one in applications}
        self._rows: dict[str, dict[Key, tuple[int, Row]]] = {name_of(table): {} for table in SHARED}
        self._followers: dict[str, tuple[Changed, Gone]] = {}
        self._receive: Receive = lambda message, token, own: None
        self._departed: Callable[[str, str], None] = lambda application, process: None
        self._history: list[tuple[FeedMessage, int]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._is_reached = True
        self._taken_for_dead_at = math.inf  # by the others, unless a heartbeat comes through before
        self._must_look = False

    # Store

    async def open(self) -> None:
        """Look whether it can be used, and read what is there. Raises StoreError."""
        await check(self._client, self._address, self._secrets)
        for box in self._boxes.values():
            await patiently(self._read_all(box))

    async def read(self, table: Table) -> list[Row]:
        """All rows of a table, in the order in which they first came."""
        return [row for _, row in sorted(self._rows[name_of(table)].values(), key=lambda one: one[0])]

    def put(self, table: Table, *row: Any) -> None:
        """Have a row written soon, in place of the one of that key."""
        rows, key = self._rows[name_of(table)], row[: len(table.key)]
        order = rows[key][0] if key in rows else time.time_ns()
        rows[key] = (order, row)
        self._boxes[row[0]].add(write_put(table, row, order))

    def drop(self, table: Table, *key: Any) -> None:
        """Have the row of that key forgotten soon, with its parts."""
        for one in (table, *([SEEN] if table == DEVICES else [])):
            self._rows[name_of(one)].pop(key, None)
            self._boxes[key[0]].add(write_drop(one, key))

    def drop_where(self, table: Table, **equal: Any) -> None:
        """Have all rows forgotten whose columns are so."""
        for _, row in tuple(self._rows[name_of(table)].values()):
            members = dict(zip(table.columns, row, strict=True))
            if all(members[column] == value for column, value in equal.items()):
                self.drop(table, *row[: len(table.key)])

    async def keep(self, table: Table, *rows: Row) -> None:
        """Write these rows, and return when all are written. Raises StoreError."""
        for row in rows:
            self.put(table, *row)
        await self.settle()

    async def settle(self) -> None:
        """Return when everything so far is written. Raises StoreError."""
        self._check_reached()
        for box in self._boxes.values():
            await box.settle()

    async def close(self) -> None:
        """Write what is left, say goodbye and close. May be called twice."""
        tasks, self._tasks = self._tasks, []
        if tasks:
            with contextlib.suppress(StoreError):
                await self.settle()
                for box in self._boxes.values():
                    await patiently(self._beat(box, leaving=True))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for box in self._boxes.values():
            box.close()
        await self._client.aclose()
        await self._reader.aclose()

    def exclusive(self, application: str) -> AbstractAsyncContextManager[None]:
        """Our turn to change what depends on what is there; all that others changed is known here, and what we change is written at its
        end. Raises StoreError."""
        self._check_reached()
        return self._boxes[application].exclusive()

    async def catch_up(self) -> None:
        """Know all that others changed until now. Raises StoreError."""
        self._check_reached()
        for box in self._boxes.values():
            await box.position.reached(await patiently(box.clock()))

    def follow(self, table: Table, changed: Changed, gone: Gone) -> None:
        """Tell what others change of a table."""
        self._followers[name_of(table)] = (changed, gone)

    @property
    def is_reached(self) -> bool:
        """Whether Redis answers, and the others know that we live: who is taken for dead promises nothing."""
        return self._is_reached and time.monotonic() < self._taken_for_dead_at

    # Feed

    def post(self, message: FeedMessage) -> "asyncio.Future[int]":
        """Have a message put in order soon: its time token."""
        return self._boxes[message.application].add(write_message(message))

    async def publish(self, messages: Sequence[FeedMessage]) -> list[int]:
        """Put messages in order and return when they are safe: their time tokens. Raises StoreError."""
        self._check_reached()
        found: list[int] = await patiently(asyncio.gather(*[self.post(one) for one in messages]))
        return found

    @property
    def token(self) -> int:
        """The time token of the last entry that is known here."""
        return max(box.position.token for box in self._boxes.values())

    def receive(self, receive: Receive) -> None:
        """Hand on all messages to that one."""
        self._receive = receive

    def departures(self, departed: Callable[[str, str], None]) -> None:
        """Tell which process is gone, of an application's: each to one process that is left."""
        self._departed = departed

    def start(self) -> None:
        """Hand on the messages of the last minutes, and from now on all that comes."""
        for message, token in self._history:
            self._receive(message, token, False)
        self._history.clear()
        self._tasks = [start_task(self._follow_feed(), name="exchange feed"), start_task(self._live(), name="exchange heartbeat")]

    def _check_reached(self) -> None:
        if not self.is_reached:
            raise StoreError("the exchange can't reach what it shares with others (Redis) at the moment", hint="See its log.")

    # What comes

    async def _read_all(self, box: CommitQueue) -> None:
        """All rows, and the messages of the feed so far."""
        seconds, micros = await self._client.time()
        await self._client.set(box.key("clock"), f"{seconds * 1_000_000 + micros}-0", nx=True)  # tokens are never 0
        clock = str(await self._client.get(box.key("clock")))
        await self._read_rows(box)
        entries: Any = await self._client.xrange(box.key("feed"), "-", clock)
        for entry_id, members in entries:
            change = _change(members)
            if "message" in change:
                self._history.append((replace(read_message(change), kept_for=""), token_of(entry_id)))
        box.position.reach(clock)

    async def _read_rows(self, box: CommitQueue) -> None:
        """What differs from what is known here, changes here."""
        for name, rows in self._rows.items():
            found = {key: value for key, value in rows.items() if key[0] == box.application}
            kept: Any = await self._client.hgetall(box.key(f"rows:{name}"))
            for key in found.keys() - {read_key(field) for field in kept}:
                self._dropped(name, key)
            for order, row, field in sorted((*read_row(field, value), field) for field, value in kept.items()):
                self._changed(name, read_key(field), order, row)

    async def _follow_feed(self) -> None:
        from redis.exceptions import RedisError

        while True:
            try:
                if self._must_look:
                    await check(self._client, self._address, self._secrets)
                    for box in self._boxes.values():
                        await self._read_rows(box)
                    self._must_look = False
                await self._read_feed()
            except (RedisError, OSError, TimeoutError, StoreError) as error:
                self._must_look = True
                if self._is_reached:
                    _logger.error("the exchange can't reach its store, and answers 503 until it does: %s", error)
                self._is_reached = False
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                if not self._is_reached:
                    _logger.warning("the exchange reaches its store again")
                self._is_reached = True

    async def _read_feed(self) -> None:
        feeds = {box.key("feed"): box for box in self._boxes.values()}
        positions: dict[Any, Any] = {key: box.position.id for key, box in feeds.items()}
        answer: Any = await self._reader.xread(positions, count=_AT_ONCE, block=_BLOCK_MS)
        for key, entries in answer or ():
            box = feeds[key]
            for entry_id, members in entries:
                try:
                    self._apply(members.get("o", ""), _change(members), token_of(entry_id))
                except (ValueError, TypeError, KeyError):
                    _logger.exception("an entry of the exchange's feed can't be read")
                box.position.reach(entry_id)

    def _apply(self, process: str, change: Change, token: int) -> None:
        if "message" in change:
            message = read_message(change)
            if message.kept_for:
                row = (message.application, message.kept_for, token, message.transport_id, message.payload, message.publisher)
                self._rows[name_of(MESSAGES)][row[:3]] = (0, row)
            self._receive(message, token, process == self.process)
        elif change["t"] not in self._rows:
            return
        elif "put" in change:
            order, row = read_row(change["put"], change["row"])
            self._changed(change["t"], read_key(change["put"]), order, row)
        else:
            self._dropped(change["t"], read_key(change["drop"]))

    def _changed(self, name: str, key: Key, order: int, row: Row) -> None:
        if self._rows[name].get(key, (0, None))[1] == row:
            return
        self._rows[name][key] = (order, row)
        if name in self._followers:
            self._followers[name][0](row)

    def _dropped(self, name: str, key: Key) -> None:
        if self._rows[name].pop(key, None) is not None and name in self._followers:
            self._followers[name][1](key)

    def _lose(self) -> None:
        self._must_look = True

    # That we live

    async def _live(self) -> None:
        from redis.exceptions import RedisError

        while True:
            began, has_failed = time.monotonic(), False
            for box in self._boxes.values():
                try:
                    for process in await self._beat(box):
                        self._departed(box.application, process)
                except (RedisError, OSError, TimeoutError):
                    has_failed = True
            if not has_failed:
                self._taken_for_dead_at = began + DEAD_SECONDS
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat(self, box: CommitQueue, *, leaving: bool = False) -> list[str]:
        beat = self._client.register_script(BEAT)
        found = await beat(keys=[box.key("alive")], args=[self.process, 0 if leaving else DEAD_SECONDS])
        return [str(one) for one in found]


def _change(members: Mapping[str, str]) -> Change:
    change: Change = json.loads(members["c"])
    return change
