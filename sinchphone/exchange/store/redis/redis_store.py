"""What several processes of one exchange remember together: rows on Redis, of which each has all at hand, and a feed of what changes.

::

    put, drop, post -> queue -> one script: rows and feed -> every process reads the feed -> changed, gone, receive
    exclusive       -> our turn, all that others changed is known here -> the rules, as with one process -> committed

What others wrote comes with the answer to all that is asked of Redis; a blocking read tells when there is more.
"""

import asyncio
import base64
import contextlib
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.feed import FeedMessage, Receive
from sinchphone.exchange.store.redis.changes import Change, Key, RowChange, name_of, read_entry, read_row, token_of
from sinchphone.exchange.store.redis.checks import check
from sinchphone.exchange.store.redis.commit_queue import Bounds, CommitQueue, patiently, unreached
from sinchphone.exchange.store.redis.connection import check_names, common_key, key_of
from sinchphone.exchange.store.redis.pipeline import LuaScript, Pipeline, is_refusal, no_answer, reason_of
from sinchphone.exchange.store.redis.redis_limits import RedisLimits
from sinchphone.exchange.store.redis.scripts import BEAT_SCRIPT
from sinchphone.exchange.store.redis.servers import Servers
from sinchphone.exchange.store.redis.shared_counts import RedisCounts
from sinchphone.exchange.store.store import Changed, Gone, StoreError
from sinchphone.exchange.store.tables import DEVICES, MESSAGES, SEEN, SHARED, Row, Table
from sinchphone.tasks import start_task

BEAT_SECONDS: Final = 0.5
DEAD_SECONDS: Final = 2.0  # a process that hasn't been heard of for so long
_LATE: Final = 0.75  # of that: who comes so late itself misses nobody yet
_BURIAL_SECONDS: Final = 10.0  # so long somebody has to take on what a process left behind, before the next one is told
_BLOCK_MS: Final = 1_000  # shorter than the connection's own limit
_PAUSE_SECONDS: Final = 0.01  # since all was known: who writes much learns what others write by that, and needn't be woken
_MAX_READ: Final = 500
_LENT_SECONDS: Final = 30
_READ_AGAIN_SECONDS: Final = 0.2
_MAX_FEED_BYTES: Final = 64 * 1024 * 1024
_BEAT: Final = LuaScript.of(BEAT_SCRIPT)

_logger = logging.getLogger(__name__)

Departed: TypeAlias = Callable[[str, str, bool], None]  # an application's process is gone; whether it said so itself


class RedisStore:
    """One process's end of it. ``open``, then the rooms ``read``, then ``start``."""

    def __init__(
        self, address: StoreAddress, applications: Mapping[str, bytes], history_seconds: float, *, beside_others: bool = False
    ) -> None:
        """``applications``: their keys and secrets. ``beside_others``: there may be only others yet, whose exchange will serve these too.
        Raises ConfigError or StoreError."""
        self._beside_others = beside_others
        check_names(applications)
        self.process = secrets.token_hex(8)
        self._address = address
        self._secrets = applications
        self._servers = Servers(address)
        self._bounds = Bounds(history_seconds, _MAX_FEED_BYTES)
        self._boxes: dict[str, CommitQueue] = {}
        self._rows: dict[str, dict[Key, tuple[int, Row]]] = {name_of(table): {} for table in SHARED}
        self._ours: dict[tuple[str, Key], RowChange] = {}  # what we changed last, as long as it isn't in the feed
        self._followers: dict[str, tuple[Changed, Gone]] = {}
        self._receive: Receive = lambda message, token, own: None
        self._departed: Departed = lambda application, process, was_said: None
        self._history: list[tuple[FeedMessage, int]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._unreached: set[Pipeline] = set()  # those that read a feed
        self._taken_for_dead_at: dict[str, float] = {}  # by the others of an application, unless a heartbeat comes through before
        self._unheard: set[str] = set()  # applications whose heartbeats are refused, as the log says
        self._contents: dict[str, str] = {}  # the name of what Redis keeps of an application: another one where it forgot
        self._must_look: set[str] = set()  # applications of which we know something wrong

    # Store

    async def open(self) -> None:
        """Look whether it can be used, and read what is there. Raises StoreError."""
        await self._check()
        for one in self._secrets:
            lose = partial(self._must_look.add, one)
            box = self._boxes[one] = CommitQueue(
                self.pipeline(one),
                one,
                self.process,
                self._bounds,
                take=self._take,
                lost=lose,
                is_reached=lambda: self.is_reached,
            )
            self._contents[one] = await patiently(self._name_contents(box))
            await patiently(self._read_all(box))

    async def _check(self) -> None:
        await check(self._servers, self._address, self._secrets, beside_others=self._beside_others)

    def pipeline(self, application: str) -> Pipeline:
        """To whoever has an application's keys."""
        return self._servers.pipeline(key_of(application, ""), "store")

    async def read(self, table: Table) -> list[Row]:
        """All rows of a table, in the order in which they first came."""
        return [row for _, row in sorted(self._rows[name_of(table)].values(), key=lambda one: one[0])]

    def put(self, table: Table, *row: Any) -> None:
        """Have a row written soon, in place of the one of that key."""
        rows, key = self._rows[name_of(table)], row[: len(table.key)]
        order = rows[key][0] if key in rows else time.time_ns()
        rows[key] = (order, row)
        self._change(row[0], RowChange(name_of(table), key, row, order))

    def drop(self, table: Table, *key: Any) -> None:
        """Have the row of that key forgotten soon, with its parts."""
        for one in (table, *([SEEN] if table == DEVICES else [])):
            self._rows[name_of(one)].pop(key, None)
            self._change(key[0], RowChange(name_of(one), key, None))

    def _change(self, application: str, change: RowChange) -> None:
        self._ours[change.table, change.key] = change
        self._boxes[application].add(change)

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

    def mark(self) -> int:
        """Who settles here learns of what is settled alone."""
        return 0

    async def settle(self, since: int = 0) -> None:
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
        await self._servers.close()

    def exclusive(self, application: str) -> AbstractAsyncContextManager[None]:
        """Our turn to change what depends on what is there; all that others changed is known here, and what we change is written at its
        end. Raises StoreError."""
        self._check_reached()
        return self._boxes[application].exclusive()

    async def catch_up(self) -> None:
        """Know all that others changed until now. Raises StoreError."""
        self._check_reached()
        for box in self._boxes.values():
            await box.catch_up()

    async def agree(self, name: str, value: str) -> str:
        """What all processes have under that name: this, where none had anything. Raises StoreError."""
        self._check_reached()
        key = common_key(name)
        pipeline = self._servers.pipeline(key, "store")
        await patiently(pipeline.ask("SET", key, value, "NX"))
        return str(await patiently(pipeline.ask("GET", key)))

    async def use_once(self, application: str, name: str, seconds: float) -> bool:
        """Whether no process has used that name within so long; it has from now on. Raises StoreError."""
        self._check_reached()
        key = key_of(application, f"used-once:{name}")
        return await patiently(self.pipeline(application).ask("SET", key, "1", "NX", "PX", round(seconds * 1000))) is not None

    def limits(self, signature_seconds: float) -> RedisLimits:
        """What counts over all processes; ``signature_seconds``: for how long a signature is good."""
        return RedisLimits(self.pipeline, signature_seconds)

    @property
    def counts(self) -> RedisCounts:
        """Numbers that each process has."""
        return RedisCounts(self.pipeline, self.process)

    def follow(self, table: Table, changed: Changed, gone: Gone) -> None:
        """Tell what others change of a table."""
        self._followers[name_of(table)] = (changed, gone)

    async def lend(self, application: str, content: bytes) -> str:
        """Put bytes where another process can take them away, soon; under which name. Raises StoreError."""
        name = f"piece:{secrets.token_hex(8)}"
        text = base64.b64encode(content).decode()
        await patiently(self.pipeline(application).ask("SET", key_of(application, name), text, "EX", _LENT_SECONDS))
        return name

    async def borrow(self, application: str, name: str) -> bytes:
        """Take them away: none where they aren't there any more. Raises StoreError."""
        return base64.b64decode(await patiently(self.pipeline(application).ask("GETDEL", key_of(application, name))) or "")

    @property
    def is_reached(self) -> bool:
        """Whether Redis answers, and the others know that we live: who is taken for dead promises nothing."""
        return not self._unreached and time.monotonic() < min(self._taken_for_dead_at.values(), default=math.inf)

    @property
    def trouble(self) -> str:
        """Why it's not reached, where it isn't."""
        return "Redis takes no changes" if self._unheard else "Redis can't be reached"

    # Feed

    def post(self, message: FeedMessage) -> "asyncio.Future[int]":
        """Have a message put in order soon: its time token."""
        return self._boxes[message.application].post(message)

    async def publish(self, messages: Sequence[FeedMessage]) -> list[int]:
        """Put messages in order and return when they are safe: their time tokens. Raises StoreError."""
        self._check_reached()
        posted = [self.post(one) for one in messages]
        for one in {message.application for message in messages}:
            self._boxes[one].flush()
        found: list[int] = await patiently(posted[0] if len(posted) == 1 else asyncio.gather(*posted))
        return [found] if isinstance(found, int) else found

    @property
    def token(self) -> int:
        """The time token of the last entry that is known here."""
        return max(box.token for box in self._boxes.values())

    def receive(self, receive: Receive) -> None:
        """Hand on all messages to that one."""
        self._receive = receive

    def departures(self, departed: Departed) -> None:
        """Tell which process is gone, of an application's: each to one process that is left, and after a while to the next one, until it
        is ``buried``."""
        self._departed = departed

    async def buried(self, application: str, process: str) -> None:
        """What a process that is gone left behind is taken on. Raises StoreError."""
        await self.settle()
        await patiently(self.pipeline(application).ask("HDEL", self._boxes[application].key("alive"), process))

    def start(self) -> None:
        """Hand on the messages of the last minutes, and from now on all that comes."""
        for message, token in self._history:
            self._receive(message, token, False)
        self._history.clear()
        self._taken_for_dead_at = dict.fromkeys(self._boxes, time.monotonic() + DEAD_SECONDS)
        self._tasks = [start_task(self._follow_feed(*one), name="exchange feed") for one in self._feeds()]
        self._tasks += [start_task(self._live(box), name="exchange heartbeat") for box in self._boxes.values()]

    def _feeds(self) -> list[tuple[Pipeline, list[CommitQueue]]]:
        """Who reads what: one all that are in one slot, or in the one server."""
        feeds: dict[Pipeline, list[CommitQueue]] = {}
        for box in self._boxes.values():
            feeds.setdefault(self._servers.pipeline(box.key("feed"), "store's feed"), []).append(box)
        return list(feeds.items())

    def _check_reached(self) -> None:
        if not self.is_reached:
            raise unreached()

    # What comes

    async def _read_all(self, box: CommitQueue) -> None:
        """All rows, and the messages of the feed so far."""
        pipeline = self.pipeline(box.application)
        seconds, micros = map(int, await pipeline.ask("TIME"))
        await pipeline.ask("SET", box.key("clock"), f"{seconds * 1_000_000 + micros}-0", "NX")  # tokens are never 0
        clock = str(await pipeline.ask("GET", box.key("clock")))
        await self._read_rows(box)
        for entry_id, members in await pipeline.ask("XRANGE", box.key("feed"), "-", clock):
            for change in read_entry(members[3]):
                if isinstance(change, FeedMessage):
                    self._history.append((replace(change, kept_for=""), token_of(entry_id)))
        box.reach(clock)

    async def _read_rows(self, box: CommitQueue) -> None:
        """What differs from what is known here, changes here."""
        for ours in [ours for ours in self._ours if ours[1][0] == box.application]:
            del self._ours[ours]  # what we changed counts once more, as it comes
        for name, rows in self._rows.items():
            kept = iter(await self.pipeline(box.application).ask("HGETALL", box.key(f"rows:{name}")))
            found = [read_row(name, field, value) for field, value in zip(kept, kept, strict=True)]
            for key in [key for key in rows.keys() - {one.key for one in found} if key[0] == box.application]:
                self._dropped(name, key)
            for change in sorted(found, key=lambda one: one.order):
                self._changed(change)

    async def _follow_feed(self, reader: Pipeline, boxes: Sequence[CommitQueue]) -> None:
        """Of all that are in one server, or in one slot of a cluster."""
        while True:
            try:
                if wrong := [box for box in boxes if box.application in self._must_look]:
                    await self._check()
                    for box in wrong:
                        await self._read_rows(box)
                        self._must_look.discard(box.application)
                await self._read_feed(reader, boxes)
            except no_answer(StoreError) as error:
                self._must_look.update(box.application for box in boxes)
                if not self._unreached:
                    _logger.error("the exchange can't reach its store, and answers 503 until it does: %s", reason_of(error))
                self._unreached.add(reader)
                await asyncio.sleep(_READ_AGAIN_SECONDS)
            else:
                if reader in self._unreached:
                    self._unreached.discard(reader)
                    if not self._unreached:
                        _logger.warning("the exchange reaches its store again")

    async def _read_feed(self, reader: Pipeline, boxes: Sequence[CommitQueue]) -> None:
        pause = min(box.known_at for box in boxes) + _PAUSE_SECONDS - time.monotonic()  # since all was known here
        if pause > 0:
            await asyncio.sleep(pause)
            return
        feeds = {box.key("feed"): box for box in boxes}
        known = [box.position for box in feeds.values()]
        answer: Any = await reader.ask("XREAD", "COUNT", _MAX_READ, "BLOCK", _BLOCK_MS, "STREAMS", *feeds, *known)
        for key, entries in answer or ():
            feeds[key].take_entries(entries)
            feeds[key].known_at = time.monotonic()

    def _take(self, change: Change, token: int, own: bool) -> None:
        if isinstance(change, FeedMessage):
            if change.kept_for:
                row = (change.application, change.kept_for, token, change.transport_id, change.payload, change.publisher)
                self._rows[name_of(MESSAGES)][row[:3]] = (0, row)
            self._receive(change, token, own)
        elif (last := self._ours.get((change.table, change.key))) is not None:
            if own and change == last:  # until then what we changed comes later, and is what counts
                del self._ours[change.table, change.key]
        elif change.row is None:
            self._dropped(change.table, change.key)
        else:
            self._changed(change)

    def _changed(self, change: RowChange) -> None:
        rows = self._rows.get(change.table)
        if rows is None or change.row is None or rows.get(change.key, (0, None))[1] == change.row:
            return
        rows[change.key] = (change.order, change.row)
        if change.table in self._followers:
            self._followers[change.table][0](change.row)

    def _dropped(self, name: str, key: Key) -> None:
        if self._rows.get(name, {}).pop(key, None) is not None and name in self._followers:
            self._followers[name][1](key)

    # That we live

    async def _live(self, box: CommitQueue) -> None:
        """Who couldn't say so for a while doesn't know yet who else couldn't, but lives: the others have as long again to say it."""
        misses_from, said_at = 0.0, time.monotonic()
        while True:
            began = time.monotonic()
            try:
                departed = await self._beat(box, misses=began >= misses_from)
            except no_answer() as error:
                self._refused(box.application, error)
            else:
                for process, was_said in departed:
                    self._departed(box.application, process, was_said)
                self._taken_for_dead_at[box.application] = began + DEAD_SECONDS
                self._heard(box.application)
                now = time.monotonic()
                misses_from = now + DEAD_SECONDS if now - said_at > DEAD_SECONDS * _LATE else misses_from
                said_at = now
            await asyncio.sleep(BEAT_SECONDS)

    def _refused(self, application: str, error: Exception) -> None:
        """Redis is there, and doesn't take a heartbeat: its memory is full, or its disk."""
        if is_refusal(error) and application not in self._unheard:
            self._unheard.add(application)
            _logger.error("the exchange's store takes no changes, and requests are answered 503 until it does: %s", error)

    def _heard(self, application: str) -> None:
        if application in self._unheard:
            self._unheard.discard(application)
            _logger.warning("the exchange's store takes changes again")

    async def _beat(self, box: CommitQueue, *, leaving: bool = False, misses: bool = True) -> list[tuple[str, bool]]:
        """Who is gone, and whether it said so."""
        late = DEAD_SECONDS * _LATE if misses else -1
        name = secrets.token_hex(8)
        words = [self.process, "0" if leaving else str(DEAD_SECONDS), str(_BURIAL_SECONDS), str(late), name]
        keys = [box.key("alive"), box.key("turn"), box.key("contents")]
        contents, dead, left = await self.pipeline(box.application).run(_BEAT, keys, words)
        if contents != self._contents.get(box.application):
            self._forget(box.application, str(contents))
        return [(str(one), one in left) for one in (*dead, *left)]

    def _forget(self, application: str, contents: str) -> None:
        """Redis was emptied while we run: so far as it forgot, we do."""
        self._contents[application] = contents
        self._must_look.add(application)
        _logger.error("the exchange's store was emptied: what was kept of %s is forgotten here, too", application)

    async def _name_contents(self, box: CommitQueue) -> str:
        """What Redis keeps gets a name where it has none."""
        pipeline, key = self.pipeline(box.application), box.key("contents")
        await pipeline.ask("SET", key, secrets.token_hex(8), "NX")
        return str(await pipeline.ask("GET", key))
