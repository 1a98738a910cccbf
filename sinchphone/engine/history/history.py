"""What was: calls and messages of one user, kept in SQLite in the state folder; also what tells a message that comes again.

::

    note_…() -> one thread with the connection -> history.db (0600, WAL: several processes of a user share it)
    ``past`` reads it
"""

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from sinchphone.database import connect, hint_of, in_transaction, reason_of
from sinchphone.engine.calls.call import Call
from sinchphone.engine.events.events import InstantMessage
from sinchphone.engine.history.past import BUSY, MIGRATIONS, PastCall, forget_receipts
from sinchphone.errors import ConfigError
from sinchphone.protocol.call.states import Cause

MAX_ENTRIES: Final = 50_000  # of each table and user; older ones are dropped
MAX_REASON_CHARACTERS: Final = 200

_CALL_COLUMNS: Final = tuple(column.name for column in fields(PastCall))

_log = logging.getLogger(__name__)

T = TypeVar("T")


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
            raise ConfigError(f"the history {self._path} can't be used: {reason_of(error)}", hint=hint_of(error)) from error

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
        row = (self._account, device, *(getattr(call, column) for column in _CALL_COLUMNS))
        marks = ",".join("?" * len(row))
        sql = f"INSERT OR IGNORE INTO calls (account, device, {', '.join(_CALL_COLUMNS)}) VALUES ({marks})"  # noqa: S608 - no value is in it
        await self._note(lambda base: base.execute(sql, row), None)

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

    # The connection's thread

    def _connect(self) -> sqlite3.Connection:
        base = connect(self._path, MIGRATIONS)
        try:
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
        forget_receipts(base, self._account)

    def _insert(self, base: sqlite3.Connection, device: str, message: InstantMessage, *, outbound: bool) -> bool:
        recipients, headers = json.dumps(message.recipients), json.dumps(dict(message.headers))
        row = (self._account, device, message.id, outbound, message.sender, recipients, message.text, headers, message.at)
        return base.execute("INSERT OR IGNORE INTO messages VALUES (?,?,?,?,?,?,?,?,?)", row).rowcount == 1

    async def _note(self, note: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        base = self._connection
        if base is None:
            return otherwise
        try:
            return await self._run(lambda: in_transaction(base, note))
        except sqlite3.Error as error:
            _log.warning("the history can't be written: %s", error)
            return otherwise

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def past_call(call: Call) -> PastCall:
    """What is noted of a call that's over."""
    details, failure = call.details, call.details.failure
    reason = failure.message if failure is not None else str(details.error) if details.error is not None else ""
    return PastCall(
        call.id,
        call.outbound,
        call.peer,
        call.domain.value,
        details.started_at,
        details.answered_at is not None,
        None if details.established_at is None else details.duration_ms,
        BUSY if call.met_busy else str(details.cause or Cause.FAILURE),
        details.ended_by,
        failure.code if failure is not None else None,
        reason[:MAX_REASON_CHARACTERS] or None,
    )
