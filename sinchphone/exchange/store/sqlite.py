"""What an exchange remembers when it's not running: SQLite, written by a thread of its own, in order and many changes at a time.

::

    put(row), drop(key) -> queue -> thread: one transaction for all that wait -> settle() returns
"""

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, closing, nullcontext
from pathlib import Path
from typing import Any, Final, TypeAlias

from sinchphone.database import hint_of, reason_of
from sinchphone.exchange.store.store import Changed, Gone, StoreError
from sinchphone.exchange.store.tables import Row, Table
from sinchphone.quick_dataclass import quick_dataclass

FILE_NAME: Final = "exchange.sqlite3"
MAX_WAITING: Final = 100_000  # changes to be written, while the disk hangs
_MAX_BATCH: Final = 5_000  # changes in one transaction
_BUSY_SECONDS: Final = 5.0  # another exchange of this user may be writing
_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS devices (
    application TEXT, instance_id TEXT, user_id TEXT, device_id TEXT, legacy INTEGER, generation INTEGER, capabilities TEXT,
    software TEXT, expire_at REAL, limited INTEGER, seen_up_to INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (application, instance_id));
CREATE TABLE IF NOT EXISTS push_subscriptions (
    application TEXT, instance_id TEXT, endpoint TEXT, p256dh BLOB, auth BLOB, PRIMARY KEY (application, instance_id));
CREATE TABLE IF NOT EXISTS accounts (
    application TEXT, user_id TEXT, password TEXT, profile TEXT, PRIMARY KEY (application, user_id));
CREATE TABLE IF NOT EXISTS taken_names (
    application TEXT, user_id TEXT, proved_at REAL, PRIMARY KEY (application, user_id));
CREATE TABLE IF NOT EXISTS identities (
    application TEXT, kind TEXT, endpoint TEXT, user_id TEXT, PRIMARY KEY (application, kind, endpoint));
CREATE TABLE IF NOT EXISTS transports (
    application TEXT, id TEXT, members TEXT, opened_by TEXT, PRIMARY KEY (application, id));
CREATE TABLE IF NOT EXISTS messages (
    application TEXT, user_id TEXT, token INTEGER, transport_id TEXT, frame TEXT, publisher TEXT,
    PRIMARY KEY (application, user_id, token));
CREATE TABLE IF NOT EXISTS mailboxes (
    application TEXT, user_id TEXT, delivered_up_to INTEGER, PRIMARY KEY (application, user_id));
CREATE TABLE IF NOT EXISTS sessions (
    application TEXT, call_id TEXT, channels TEXT, until REAL, PRIMARY KEY (application, call_id));
CREATE TABLE IF NOT EXISTS usage (
    application TEXT, user_id TEXT, day INTEGER, calls INTEGER, seconds REAL, cost REAL, PRIMARY KEY (application, user_id));
CREATE TABLE IF NOT EXISTS text_messages (
    application TEXT, id TEXT, batch TEXT, sender TEXT, number TEXT, text TEXT, at REAL, PRIMARY KEY (application, id));
CREATE TABLE IF NOT EXISTS assigned_numbers (
    application TEXT, number TEXT, capability TEXT, PRIMARY KEY (number, capability));
CREATE UNIQUE INDEX IF NOT EXISTS assigned_to ON assigned_numbers (application, number, capability);
CREATE TABLE IF NOT EXISTS verifications (
    application TEXT, id TEXT, members TEXT, at REAL, PRIMARY KEY (application, id));
CREATE TABLE IF NOT EXISTS timetokens (id INTEGER PRIMARY KEY, mark INTEGER NOT NULL);
"""

_logger = logging.getLogger(__name__)


@quick_dataclass(frozen=True, slots=True)
class _Change:
    sql: str
    values: Sequence[Any]


@quick_dataclass(frozen=True, slots=True)
class _Behind:
    """A change that nobody waits for here, and how many there were with it."""

    change: _Change
    number: int


@quick_dataclass(frozen=True, slots=True)
class _Settled:
    """A request to say when everything before it is written, and changes of its own with it; an error of others counts where one came
    after that many."""

    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[None]"
    since: int
    changes: tuple[_Change, ...] = ()

    def tell(self, error: Exception | None) -> None:
        def resolve() -> None:
            if not self.future.done():
                self.future.set_exception(error) if error is not None else self.future.set_result(None)

        try:
            self.loop.call_soon_threadsafe(resolve)
        except RuntimeError:  # the loop is gone, and with it who waited
            return


_Order: TypeAlias = _Behind | _Settled | None


@quick_dataclass(frozen=True, slots=True)
class _Refusal:
    """What couldn't be written last of what was written behind: up to which number, and why."""

    number: int
    error: StoreError


class SqliteStore:
    """One file, or memory. ``open`` first; ``close`` writes what is left."""

    def __init__(self, path: Path | None) -> None:
        """``path`` is the database's file; without one everything is forgotten at the end."""
        self._path = path
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._count = 0  # of what was to be written behind
        self._left_out = 0  # the last of those for which there was no room
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open or make the database. Raises StoreError."""
        try:
            self._connection = await asyncio.to_thread(_connect, self._path)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self._path} can't be used: {reason_of(error)}", hint=hint_of(error)) from error
        self._thread = threading.Thread(target=self._work, args=(self._connection,), name="exchange store", daemon=True)
        self._thread.start()

    async def read(self, table: Table) -> list[Row]:
        """All rows of a table, in the order in which they first came; for the start, before anything is written. Raises StoreError."""
        if self._connection is None:
            raise StoreError("the exchange's store is not open")
        connection, sql = self._connection, f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY rowid"  # noqa: S608 - ours
        try:
            return await asyncio.to_thread(lambda: connection.execute(sql).fetchall())
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} can't be read: {error}", hint=hint_of(error)) from error

    def put(self, table: Table, *row: Any) -> None:
        """Have a row written soon, in place of the one of that key; changes are written in order."""
        self._write_behind(_written(table, row))

    def drop(self, table: Table, *key: Any) -> None:
        """Have the row of that key forgotten soon."""
        self.drop_where(table, **dict(zip(table.key, key, strict=True)))

    def drop_where(self, table: Table, **equal: Any) -> None:
        """Have all rows forgotten whose columns are so."""
        where = " AND ".join(f"{column} = ?" for column in equal)
        self._write_behind(_Change(f"DELETE FROM {table.name} WHERE {where}", tuple(equal.values())))  # noqa: S608 - ours

    def _write_behind(self, change: _Change) -> None:
        self._count += 1
        if self._orders.qsize() < MAX_WAITING:
            self._orders.put(_Behind(change, self._count))
            return
        if self._left_out < self._count - MAX_WAITING:
            _logger.error("the exchange's store could not be written: its disk hangs, and too much waits already")
        self._left_out = self._count

    def mark(self) -> int:
        """Where what is changed from here on begins: for ``settle``. Raises StoreError where the disk hangs."""
        if self._orders.qsize() > MAX_WAITING // 2:  # what is asked for has room to its end, and to be undone
            raise _too_much()
        return self._count

    async def keep(self, table: Table, *rows: Row) -> None:
        """Write these rows, and return when all are written; where they can't be, none ever is. Raises StoreError."""
        await self._settle(self.mark(), tuple(_written(table, row) for row in rows))

    async def settle(self, since: int = 0) -> None:
        """Return when everything so far is written. Raises StoreError where what was changed after that ``mark`` couldn't be. Cancelling is
        safe."""
        await self._settle(since, ())
        if self._left_out > since:
            raise _too_much()

    async def _settle(self, since: int, changes: tuple[_Change, ...]) -> None:
        if self._thread is None:
            return
        loop = asyncio.get_running_loop()
        settled = _Settled(loop, loop.create_future(), since, changes)
        self._orders.put(settled)
        await settled.future

    def exclusive(self, application: str) -> AbstractAsyncContextManager[None]:
        """It's always our turn: nobody else writes here."""
        return nullcontext()

    async def catch_up(self) -> None:
        """There is nothing that others change."""

    def follow(self, table: Table, changed: Changed, gone: Gone) -> None:
        """Nor anything to tell of it."""

    async def close(self) -> None:
        """Write what is left and close. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._orders.put(None)
            await asyncio.to_thread(thread.join)

    def _work(self, connection: sqlite3.Connection) -> None:
        refusal: _Refusal | None = None
        with closing(connection):
            while True:
                orders = [self._orders.get()]
                while len(orders) < _MAX_BATCH and not self._orders.empty():
                    orders.append(self._orders.get())
                for order, error in zip(orders, _write(connection, orders), strict=True):
                    if isinstance(order, _Behind) and error is not None:
                        refusal = _Refusal(order.number, error)
                    if isinstance(order, _Settled):
                        order.tell(error if order.changes else _refused_since(refusal, order.since))
                if None in orders:
                    return


def _refused_since(refusal: _Refusal | None, since: int) -> StoreError | None:
    """Why what was changed after that mark couldn't be written, if it couldn't."""
    return refusal.error if refusal is not None and refusal.number > since else None


def _too_much() -> StoreError:
    return StoreError("the exchange can't keep this at the moment: its disk hangs", hint="see whether its state folder can be written")


def _written(table: Table, row: Row) -> _Change:
    """The change that puts a row where one of that key may be."""
    if table.is_part:
        names, keys = (", ".join(f"{column} = ?" for column in table.values), " AND ".join(f"{column} = ?" for column in table.key))
        count = len(table.key)
        return _Change(f"UPDATE {table.name} SET {names} WHERE {keys}", (*row[count:], *row[:count]))  # noqa: S608 - ours
    columns, marks = ", ".join(table.columns), ", ".join("?" for _ in table.columns)
    news = ", ".join(f"{column} = excluded.{column}" for column in table.values)
    again = f"UPDATE SET {news}" if news else "NOTHING"
    sql = f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) ON CONFLICT ({', '.join(table.key)}) DO {again}"  # noqa: S608 - ours
    return _Change(sql, row)


def check_unused(path: Path) -> None:
    """Raises StoreError where there is no database, or an exchange has it open: it would write on."""
    if not path.is_file():
        raise StoreError(f"there is no database {path}", hint="an exchange keeps it in its state folder: sinchphone config path")
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        hint = "end it: Ctrl-C, or sinchphone exchange stop for one in the background"
        raise StoreError(f"{path} can't be had for ourselves, an exchange may use it: {error}", hint=hint) from error
    except sqlite3.Error as error:
        raise StoreError(f"{path} can't be used: {error}", hint=hint_of(error)) from error


def _connect(path: Path | None) -> sqlite3.Connection:
    """A connection to a database with our tables; the file is its owner's alone."""
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path or ":memory:", timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA_VERSION:
            raise sqlite3.DatabaseError("a newer sinchphone made it")
        connection.executescript(f"{_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION};")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _changes_of(order: _Order) -> tuple[_Change, ...]:
    match order:
        case None:
            return ()
        case _Behind():
            return (order.change,)
        case _Settled():
            return order.changes


def _write(connection: sqlite3.Connection, orders: Sequence[_Order]) -> list[StoreError | None]:
    """Write changes in one transaction; where a value is none for the database, each order in its own, and the others aren't harmed. Why
    each order couldn't be written, if it couldn't."""
    error = _transact(connection, [change for order in orders for change in _changes_of(order)])
    if error is None or isinstance(error, sqlite3.OperationalError):
        return [_refusal(error)] * len(orders)
    return [_refusal(_transact(connection, _changes_of(order))) for order in orders]


def _transact(connection: sqlite3.Connection, changes: Sequence[_Change]) -> Exception | None:
    """Write changes in one transaction, all or none."""
    if not changes:
        return None
    try:
        connection.execute("BEGIN IMMEDIATE")
        for change in changes:
            connection.execute(change.sql, change.values)
        connection.execute("COMMIT")
    except (sqlite3.Error, OverflowError, ValueError) as error:  # also a value that SQLite doesn't take
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return error
    return None


def _refusal(error: Exception | None) -> StoreError | None:
    if error is None:
        return None
    _logger.error("the exchange's store could not be written: %s", error)
    why = f": {error}" if isinstance(error, sqlite3.OperationalError) else ""  # of the disk, not of what was to be written
    return StoreError(f"the exchange can't keep this at the moment{why}", hint=hint_of(error))
