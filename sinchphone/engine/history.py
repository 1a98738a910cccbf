"""What was: calls and messages of one user, kept in SQLite in the state folder; also what tells a message that comes again.

::

    note_…() -> one thread with the connection -> history.db (0600, WAL: several processes of a user share it)
    entries() <-  the same
"""

import asyncio
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from sinchphone.engine.events import InstantMessage
from sinchphone.errors import ConfigError
from sinchphone.protocol.call.states import EndedBy

MAX_ENTRIES: Final = 50_000  # of each table and user; older ones are dropped
BUSY_S: Final = 5.0  # another process writes

# One entry for each version of the tables; a file is brought up to the last one when it's opened.
_MIGRATIONS: Final = (
    """
    CREATE TABLE calls (
        account TEXT NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL, outbound INTEGER NOT NULL, peer TEXT NOT NULL,
        domain TEXT NOT NULL, at REAL NOT NULL, answered INTEGER NOT NULL, duration_ms INTEGER, cause TEXT NOT NULL, ended_by TEXT,
        PRIMARY KEY (account, device, id, outbound)) WITHOUT ROWID;
    CREATE INDEX calls_at ON calls (account, at);
    CREATE TABLE messages (
        account TEXT NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL, outbound INTEGER NOT NULL, sender TEXT NOT NULL,
        recipients TEXT NOT NULL, text TEXT NOT NULL, headers TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (account, device, id, outbound)) WITHOUT ROWID;
    CREATE INDEX messages_at ON messages (account, at);
    CREATE TABLE receipts (
        account TEXT NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL, channel TEXT NOT NULL, name TEXT NOT NULL,
        delivered_at REAL, failed TEXT,
        PRIMARY KEY (account, device, id, channel)) WITHOUT ROWID;
    """,
)

BUSY: Final = "busy"  # beside the causes: declined because somebody was on the phone
_NOT_MISSED: Final = ("other_device_answered", "denied")

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call that's over. ``at`` is its start [s since the epoch]; ``duration_ms`` is ``None`` where sound never flowed."""

    id: str
    outbound: bool
    peer: str
    domain: str
    at: float
    answered: bool
    duration_ms: int | None
    cause: str
    ended_by: str | None

    @property
    def is_missed(self) -> bool:
        """Whether somebody called and nobody answered, here or on another device."""
        if self.outbound or self.answered or self.cause in _NOT_MISSED:
            return False
        return self.cause == BUSY or self.ended_by != EndedBy.US


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A message that was sent or received ``at`` [s since the epoch]. Recipients' receipts: delivered at, or ``None``."""

    id: str
    outbound: bool
    sender: str
    recipients: tuple[str, ...]
    text: str = field(repr=False)
    at: float
    delivered: Mapping[str, float | None] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


Past = PastCall | PastMessage


def hint_of(error: Exception) -> str:
    """What to do about a database that can't be used: only one that is damaged is in the way."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "another program holds it: try again when that has ended"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return "check who owns it and its folder, and whether they may be written"
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return "check the disk, and the space on it"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return "it is damaged: move it away to begin a new one"
        case _ if isinstance(error, OSError):
            return "check who owns it and its folder, and whether they may be written"
        case _:
            return "move it away to begin a new one"


class History:
    """The history of one user. Writing never fails a call or a message: what the disk refuses is a warning in the log.

    ``account`` tells users of different platforms apart. ``device`` is the device that notes: two processes of a user are two
    devices, and each of them shows a message once.
    """

    def __init__(self, path: Path, account: str, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._account = account
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "history")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file, and make it where there's none. Raises ConfigError where that can't be done."""
        try:
            self._connection = await self._run(self._connect)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"the history {self._path} can't be used: {error}", hint=hint_of(error)) from error

    async def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._run(connection.close)
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    # Noting

    async def note_call(self, device: str, call: PastCall) -> None:
        """A call is over."""
        row = (call.id, call.outbound, call.peer, call.domain, call.at, call.answered, call.duration_ms, call.cause, call.ended_by)
        await self._note(
            lambda base: base.execute("INSERT OR IGNORE INTO calls VALUES (?,?,?,?,?,?,?,?,?,?,?)", (self._account, device, *row)), None
        )

    async def note_sent(self, device: str, message: InstantMessage, channels: Mapping[str, str]) -> bool:
        """A message goes to the users of these channels (channel to name), from here or from another device of ours; whether that's
        news."""

        def note(base: sqlite3.Connection) -> bool:
            rows = [(self._account, device, message.id, channel, name) for channel, name in channels.items()]
            base.executemany("INSERT OR IGNORE INTO receipts (account, device, id, channel, name) VALUES (?,?,?,?,?)", rows)
            return self._insert(base, device, message, outbound=True)

        return await self._note(note, True)

    async def note_received(self, device: str, message: InstantMessage) -> bool:
        """A message came; whether for the first time."""
        return await self._note(lambda base: self._insert(base, device, message, outbound=False), True)

    async def note_delivered(self, device: str, message_id: str, channel: str) -> str | None:
        """A receipt came from a channel: the recipient's name where that's news."""
        key = (self._account, device, message_id, channel)

        def note(base: sqlite3.Connection) -> str | None:
            where = "account=? AND device=? AND id=? AND channel=? AND delivered_at IS NULL"
            found = base.execute(f"SELECT name FROM receipts WHERE {where}", key).fetchone()  # noqa: S608 - no value is in it
            base.execute(f"UPDATE receipts SET delivered_at=? WHERE {where}", (self._clock(), *key))  # noqa: S608
            return str(found[0]) if found else None

        return await self._note(note, None)

    async def note_failed(self, device: str, message_id: str, recipient: str, reason: str) -> None:
        """A message couldn't be sent to a recipient."""
        key = (reason, self._account, device, message_id, recipient)
        await self._note(
            lambda base: base.execute("UPDATE receipts SET failed=? WHERE account=? AND device=? AND id=? AND name=?", key), None
        )

    # Looking back

    async def entries(self, *, since: float = 0.0, limit: int = 100) -> list[Past]:
        """Calls and messages from ``since`` on [s since the epoch], oldest first; of more than ``limit`` of each kind the newest.
        Raises ConfigError where the file can't be read."""
        base = self._connection
        assert base is not None, "open comes first"
        try:
            return await self._run(lambda: self._look_back(base, since, limit))
        except (sqlite3.Error, ValueError) as error:
            raise ConfigError(f"the history {self._path} can't be read: {error}", hint="move it away to begin a new one") from error

    def _look_back(self, base: sqlite3.Connection, since: float, limit: int) -> list[Past]:
        key = (self._account, since, limit)
        rows = base.execute(
            "SELECT id, outbound, peer, domain, min(at), max(answered), max(duration_ms), cause, ended_by FROM calls"
            " WHERE account=? AND at>=? GROUP BY id, outbound ORDER BY at DESC LIMIT ?",
            key,
        )
        calls: list[Past] = [PastCall(row[0], bool(row[1]), row[2], row[3], row[4], bool(row[5]), *row[6:]) for row in rows]
        rows = base.execute(
            "SELECT id, outbound, sender, recipients, text, min(at) FROM messages"
            " WHERE account=? AND at>=? GROUP BY id, outbound ORDER BY at DESC LIMIT ?",
            key,
        )
        messages: list[Past] = [self._message(base, *row) for row in rows]
        return sorted([*calls, *messages], key=lambda past: past.at)

    def _message(
        self, base: sqlite3.Connection, message_id: str, outbound: int, sender: str, recipients: str, text: str, at: float
    ) -> PastMessage:
        rows = base.execute(
            "SELECT name, min(delivered_at), max(failed) FROM receipts WHERE account=? AND id=? GROUP BY channel",
            (self._account, message_id),
        ).fetchall()
        delivered = {str(name): delivered_at for name, delivered_at, _ in rows}
        failed = tuple(str(name) for name, delivered_at, reason in rows if reason is not None and delivered_at is None)
        return PastMessage(message_id, bool(outbound), sender, tuple(json.loads(recipients)), text, at, delivered, failed)

    # The connection's thread

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's own would follow the umask
        self._path.chmod(0o600)
        base = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=NORMAL")
            _migrate(base)
            self._forget_oldest(base)
        except BaseException:
            base.close()
            raise
        return base

    def _forget_oldest(self, base: sqlite3.Connection) -> None:
        for table in ("calls", "messages"):
            sql = f"SELECT at FROM {table} WHERE account=? ORDER BY at DESC LIMIT 1 OFFSET ?"  # noqa: S608 - one of ours
            last = base.execute(sql, (self._account, MAX_ENTRIES)).fetchone()
            if last is not None:
                base.execute(f"DELETE FROM {table} WHERE account=? AND at<=?", (self._account, last[0]))  # noqa: S608
        base.execute("DELETE FROM receipts WHERE account=? AND id NOT IN (SELECT id FROM messages WHERE account=?)", (self._account,) * 2)

    def _insert(self, base: sqlite3.Connection, device: str, message: InstantMessage, *, outbound: bool) -> bool:
        recipients, headers = json.dumps(message.recipients), json.dumps(dict(message.headers))
        row = (self._account, device, message.id, outbound, message.sender, recipients, message.text, headers, message.at)
        return base.execute("INSERT OR IGNORE INTO messages VALUES (?,?,?,?,?,?,?,?,?)", row).rowcount == 1

    async def _note(self, note: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        base = self._connection
        if base is None:
            return otherwise
        try:
            return await self._run(lambda: _in_transaction(base, note))
        except sqlite3.Error as error:
            _log.warning("the history can't be written: %s", error)
            return otherwise

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _in_transaction(base: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    base.execute("BEGIN IMMEDIATE")
    try:
        outcome = work(base)
        base.execute("COMMIT")
    except BaseException:
        base.execute("ROLLBACK")
        raise
    return outcome


def _migrate(base: sqlite3.Connection) -> None:
    """Bring the tables up to date, one process at a time. Raises ConfigError where a newer program wrote them."""
    base.execute("BEGIN IMMEDIATE")
    try:
        version = int(base.execute("PRAGMA user_version").fetchone()[0])
        if version > len(_MIGRATIONS):
            raise ConfigError("the history was written by a newer sinchphone", hint="update sinchphone, or move the file away")
        for migration in _MIGRATIONS[version:]:
            for statement in filter(str.strip, migration.split(";")):
                base.execute(statement)
        base.execute(f"PRAGMA user_version={len(_MIGRATIONS)}")
        base.execute("COMMIT")
    except BaseException:
        base.execute("ROLLBACK")
        raise
