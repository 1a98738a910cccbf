"""Calls and messages that were, as the history's file has them: read and deleted here, without a loop; ``history`` writes them.

::

    look_back(path, account) -> entries, oldest first           forget(path, account, entries)
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import field
from pathlib import Path
from typing import Final, TypeVar

from sinchphone.database import connect, connect_to_read, hint_of, in_transaction, reason_of
from sinchphone.errors import ConfigError
from sinchphone.protocol.call.states import EndedBy
from sinchphone.quick_dataclass import quick_dataclass

BUSY: Final = "busy"  # beside the causes: declined because somebody was on the phone
_NOT_MISSED: Final = ("other_device_answered", "denied")

MIGRATIONS: Final = (
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
    "ALTER TABLE calls ADD COLUMN code INTEGER; ALTER TABLE calls ADD COLUMN reason TEXT",
)

# How a call ended is told by the device that took it, else by one that knows why it wasn't missed, else by one at which it was ended.
_CALLS: Final = """
    WITH chosen AS (
        SELECT id, outbound, min(at) AS began_at, max(duration_ms) AS longest_ms FROM calls
        WHERE account=?1 AND at>=?2 GROUP BY id, outbound ORDER BY began_at DESC LIMIT ?5)
    SELECT id, outbound, peer, domain, began_at, answered, longest_ms, cause, ended_by, code, reason FROM (
        SELECT *, row_number() OVER (PARTITION BY id, outbound
            ORDER BY answered DESC, cause IN (?3, ?4) DESC, coalesce(ended_by = 'us', 0) DESC, at, device) AS place
        FROM calls JOIN chosen USING (id, outbound) WHERE account=?1 AND at>=?2)
    WHERE place = 1 ORDER BY began_at DESC"""

T = TypeVar("T")


@quick_dataclass(frozen=True, slots=True)
class PastCall:
    """A call that's over. ``at`` is its start [s since the epoch]; ``duration_ms`` is ``None`` where sound never flowed; ``code`` and
    ``reason`` are what the peer, the platform or this end said of a failure."""

    id: str
    outbound: bool
    peer: str
    domain: str
    at: float
    answered: bool
    duration_ms: int | None
    cause: str
    ended_by: str | None
    code: int | None = None
    reason: str | None = None

    @property
    def is_missed(self) -> bool:
        """Whether somebody called and nobody answered, here or on another device."""
        if self.outbound or self.answered or self.cause in _NOT_MISSED:
            return False
        return self.cause == BUSY or self.ended_by != EndedBy.US

    @property
    def peers(self) -> tuple[str, ...]:
        """With whom it was."""
        return (self.peer,)


@quick_dataclass(frozen=True, slots=True)
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

    @property
    def peers(self) -> tuple[str, ...]:
        """With whom it was."""
        return self.recipients if self.outbound else (self.sender,)


Past = PastCall | PastMessage


def look_back(path: Path, account: str, *, since: float = 0.0, limit: int = 100) -> list[Past]:
    """Calls and messages of an account from ``since`` on [s since the epoch], oldest first; of more than ``limit`` of each kind the
    newest. Raises ConfigError where the file can't be read; where there's none, nothing was."""
    return _with_file(path, lambda base: read_entries(base, account, since=since, limit=limit), [])


def accounts(path: Path) -> list[str]:
    """Whose entries there are. Raises ConfigError."""
    sql = "SELECT account FROM calls UNION SELECT account FROM messages"
    return _with_file(path, lambda base: [str(account) for (account,) in base.execute(sql)], [])


def peers(path: Path, account: str, *, limit: int) -> list[tuple[str, str]]:
    """With whom this account's last ``limit`` calls and messages were: their id or number, and the domain, or "message"; the latest
    first. Raises ConfigError."""

    def work(base: sqlite3.Connection) -> list[tuple[str, str]]:
        key = (account, limit)
        found = [
            (float(at), str(peer), str(domain))
            for peer, domain, at in base.execute("SELECT peer, domain, at FROM calls WHERE account=? ORDER BY at DESC LIMIT ?", key)
        ]
        sql = "SELECT outbound, sender, recipients, at FROM messages WHERE account=? ORDER BY at DESC LIMIT ?"
        for outbound, sender, recipients, at in base.execute(sql, key):
            found += [(float(at), str(peer), "message") for peer in (_recipients(recipients) if outbound else (sender,))]
        return [(peer, domain) for _, peer, domain in sorted(found, key=lambda one: -one[0])]

    return _with_file(path, work, [])


def forget(path: Path, account: str, entries: Iterable[Past]) -> None:
    """Delete these entries of an account, on all of its devices, and what is known of their receipts. Raises ConfigError."""
    kinds: dict[type[Past], list[tuple[str, str, bool]]] = {PastCall: [], PastMessage: []}
    for entry in entries:
        kinds[type(entry)].append((account, entry.id, entry.outbound))

    def delete(base: sqlite3.Connection) -> None:
        base.executemany("DELETE FROM calls WHERE account=? AND id=? AND outbound=?", kinds[PastCall])
        base.executemany("DELETE FROM messages WHERE account=? AND id=? AND outbound=?", kinds[PastMessage])
        forget_receipts(base, account)

    def work(base: sqlite3.Connection) -> None:
        in_transaction(base, delete)
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log has it no longer either, unless another process reads just now

    _with_file(path, work, None, open_file=connect)


def forget_receipts(base: sqlite3.Connection, account: str) -> None:
    """Those of messages that are gone."""
    base.execute("DELETE FROM receipts WHERE account=? AND id NOT IN (SELECT id FROM messages WHERE account=?)", (account,) * 2)


def read_entries(base: sqlite3.Connection, account: str, *, since: float, limit: int) -> list[Past]:
    """``look_back`` on a connection. Raises sqlite3.Error, and ValueError for what nobody of us wrote."""
    rows = base.execute(_CALLS, (account, since, *_NOT_MISSED, limit))
    calls: list[Past] = [PastCall(row[0], bool(row[1]), row[2], row[3], row[4], bool(row[5]), *row[6:]) for row in rows]
    rows = base.execute(
        "SELECT id, outbound, sender, recipients, text, min(at) FROM messages"
        " WHERE account=? AND at>=? GROUP BY id, outbound ORDER BY min(at) DESC LIMIT ?",
        (account, since, limit),
    )
    messages: list[Past] = [_message(base, account, *row) for row in rows]
    return sorted([*calls, *messages], key=lambda past: past.at)


def _recipients(written: str) -> list[str]:
    import json  # where somebody has written a message

    found: list[str] = json.loads(written)
    return found


def _message(
    base: sqlite3.Connection, account: str, message_id: str, outbound: int, sender: str, recipients: str, text: str, at: float
) -> PastMessage:
    rows = base.execute(
        "SELECT max(name), min(delivered_at), max(failed) FROM receipts WHERE account=? AND id=? GROUP BY channel", (account, message_id)
    ).fetchall()
    delivered = {str(name): delivered_at for name, delivered_at, _ in rows}
    failed = tuple(str(name) for name, delivered_at, reason in rows if reason is not None and delivered_at is None)
    return PastMessage(message_id, bool(outbound), sender, tuple(_recipients(recipients)), text, at, delivered, failed)


def _with_file(
    path: Path,
    work: Callable[[sqlite3.Connection], T],
    otherwise: T,
    *,
    open_file: Callable[[Path, Sequence[str]], sqlite3.Connection] = connect_to_read,
) -> T:
    try:
        if not path.exists():
            return otherwise
        with closing(open_file(path, MIGRATIONS)) as base:
            return work(base)
    except (OSError, sqlite3.Error, ValueError) as error:
        raise ConfigError(f"the history {path} can't be used: {reason_of(error)}", hint=hint_of(error)) from error
    except ConfigError as error:
        raise ConfigError(f"the history {path} can't be used: {error}", hint=error.hint) from error
