"""From a file to Redis: what an exchange of one process remembered, for several that share it.

::

    file -> rows of an application -> those that aren't there yet -> Redis, and its feed: processes that run there know them at once

It may be done again: what came by then is added, and what was forgotten since at Redis doesn't come back.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.redis.changes import TICKS_A_MICROSECOND, token_of
from sinchphone.exchange.store.redis.commit_queue import patiently
from sinchphone.exchange.store.redis.connection import key_of
from sinchphone.exchange.store.redis.pipeline import LuaScript, Pipeline
from sinchphone.exchange.store.redis.redis_store import RedisStore
from sinchphone.exchange.store.sqlite import SqliteStore, check_unused
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.store.tables import (
    ACCOUNTS,
    DEVICES,
    IDENTITIES,
    MAILBOXES,
    MESSAGES,
    OUTLASTING,
    SEEN,
    TAKEN_NAMES,
    TIME_TOKENS,
    Row,
    Table,
)
from sinchphone.quick_dataclass import quick_dataclass

_MAX_ROWS_MOVING: Final = 200  # rows that are on their way
_OF_USERS: Final = (DEVICES, ACCOUNTS, TAKEN_NAMES, IDENTITIES)

Rows = Mapping[Table, Sequence[Row]]


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MoveCounts:
    """What was moved. ``frames``: of instant messages that wait; ``rows``: all, these among them; ``known``: rows that were there, or had
    been."""

    users: int
    devices: int
    frames: int
    rows: int
    known: int


async def move(file: Path, address: StoreAddress, application: str, secret: bytes, history_seconds: float) -> MoveCounts:
    """Move what the file has of an application. The file stays as it is. Raises StoreError before anything is written where one of the two
    can't be used, an exchange uses the file, or the file has nothing of the application."""
    rows, highest = await _read(file, application)
    store = RedisStore(address, {application: secret}, history_seconds, beside_others=True)
    try:
        await store.open()
        marker = _Marker(store.pipeline(application), application)
        before, digest = await patiently(marker.read()), _digest(rows)
        known = {table: await store.read(table) for table in rows}
        new = {table: _unknown(table, found, known[table], before) for table, found in rows.items()} if before.digest != digest else {}
        if any(new.values()):
            await patiently(marker.raise_clock(highest))
            await _write(store, new)
        await patiently(marker.write(_Before(digest, max(before.token, highest))))
    finally:
        await store.close()
    return _counted(rows, new, known)


@quick_dataclass(frozen=True, slots=True)
class _Before:
    """What the last move moved: a digest of all, and the highest time token."""

    digest: str = ""
    token: int = 0


class _Marker:
    """That there was a move; and the clock, whose tokens are above those of messages that came by it."""

    def __init__(self, pipeline: Pipeline, application: str) -> None:
        self._pipeline = pipeline
        self._keys = [key_of(application, name) for name in ("moved", "clock")]

    async def read(self) -> _Before:
        found: Any = await self._pipeline.ask("GET", self._keys[0])
        return _Before(*json.loads(found)) if found else _Before()

    async def write(self, done: _Before) -> None:
        await self._pipeline.ask("SET", self._keys[0], json.dumps([done.digest, done.token]))

    async def raise_clock(self, token: int) -> None:
        await self._pipeline.run(_RAISE, self._keys[1:], [*divmod(token, TICKS_A_MICROSECOND)])
        assert token_of(str(await self._pipeline.ask("GET", self._keys[1]))) >= token


_RAISE: Final = LuaScript.of("""
local micros, tick = string.match(redis.call('GET', KEYS[1]) or '0-0', '^(%d+)%-(%d+)$')
local higher = tonumber(ARGV[1]) > tonumber(micros) or (tonumber(ARGV[1]) == tonumber(micros) and tonumber(ARGV[2]) > tonumber(tick))
if higher then redis.call('SET', KEYS[1], ARGV[1] .. '-' .. ARGV[2]) end
""")


async def _read(file: Path, application: str) -> tuple[Rows, int]:
    """The application's rows, and the highest time token that was handed out."""
    check_unused(file)
    store = SqliteStore(file)
    await store.open()
    try:
        everything = {table: await store.read(table) for table in OUTLASTING}
        marks = [mark for _, mark in await store.read(TIME_TOKENS)]
    finally:
        await store.close()
    rows = {table: [row for row in found if _application(table, row) == application] for table, found in everything.items()}
    others = {_application(table, row) for table, found in everything.items() for row in found} - {application}
    if others and not any(rows.values()):
        known = ", ".join(sorted(others)[:5])
        hint = "name that one's key and secret: --application-key, --application-secret-file"
        raise StoreError(f"{file} has nothing of the application {application}, but of {known}", hint=hint)
    tokens = [row[table.columns.index("token")] for table, found in rows.items() for row in found if "token" in table.columns]
    return rows, max((0, *marks, *tokens, *(row[-1] for table in (SEEN, MAILBOXES) for row in rows[table])))


def _application(table: Table, row: Row) -> str:
    return str(row[table.columns.index("application")])


def _unknown(table: Table, rows: Sequence[Row], known: Sequence[Row], before: _Before) -> list[Row]:
    """Those whose place is empty; a message that an earlier move brought was delivered where it isn't there any more."""
    count = len(table.key)
    there = {row[:count] for row in known}
    return [row for row in rows if row[:count] not in there and not (table is MESSAGES and row[2] <= before.token)]


async def _write(store: RedisStore, new: Rows) -> None:
    pending = 0
    for table, rows in new.items():
        for row in rows:
            store.put(table, *row)
            pending += 1
            if pending % _MAX_ROWS_MOVING == 0:
                await store.settle()
    await store.settle()


def _digest(rows: Rows) -> str:
    everything = [(table.name, found) for table, found in rows.items()]
    return hashlib.sha256(json.dumps(everything, default=bytes.hex).encode()).hexdigest()


def _counted(rows: Rows, new: Rows, known: Rows) -> MoveCounts:
    count, moved = sum(map(len, rows.values())), sum(map(len, new.values()))
    users = len(_users(new) - _users(known))
    return MoveCounts(users=users, devices=len(new.get(DEVICES, ())), frames=len(new.get(MESSAGES, ())), rows=moved, known=count - moved)


def _users(rows: Rows) -> set[str]:
    return {row[table.columns.index("user_id")] for table in _OF_USERS for row in rows.get(table, ())}
