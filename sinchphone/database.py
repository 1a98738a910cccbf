"""Small databases of this machine's user, in SQLite: made for the owner's eyes only, brought up to date, shared by several processes."""

import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from sinchphone.errors import ConfigError

BUSY_S: Final = 5.0  # another process writes

T = TypeVar("T")


def connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open the file, and make it where there's none (0600, its folder 0700). ``migrations``: one entry for each version of the tables.
    Raises ConfigError where a newer program wrote it, OSError and sqlite3.Error."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's own would follow the umask
    path.chmod(0o600)
    base = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        base.execute("PRAGMA secure_delete=ON")  # what somebody deletes isn't left in the file
        _migrate(base, migrations)
    except BaseException:
        base.close()
        raise
    return base


def connect_to_read(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """``connect`` to a file that is there; where it or its folder can't be written (a read-only disk), only to read. Raises the same, and
    ConfigError for a file that would have to be brought up to date first."""
    try:
        return connect(path, migrations)
    except (OSError, sqlite3.OperationalError) as error:
        if not _is_unwritable(error):
            raise
        has_log = path.with_name(f"{path.name}-wal").exists()  # without one SQLite needs no other files beside this
        uri = f"{path.absolute().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}"
        base = sqlite3.connect(uri, timeout=BUSY_S, isolation_level=None, check_same_thread=False, uri=True)
        try:
            if _version(base, migrations) != len(migrations):
                raise ConfigError("it was written by an older sinchphone, and can't be brought up to date here") from error
        except BaseException:
            base.close()
            raise
        return base


def _is_unwritable(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def in_transaction(base: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """All that ``work`` writes, or nothing of it."""
    base.execute("BEGIN IMMEDIATE")
    try:
        outcome = work(base)
        base.execute("COMMIT")
    except BaseException:
        if base.in_transaction:  # on a full disk SQLite has taken it back itself
            base.execute("ROLLBACK")
        raise
    return outcome


def reason_of(error: Exception) -> str:
    """Why a database can't be used, in words: without the number and the path with which Python writes an OSError."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


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


def _version(base: sqlite3.Connection, migrations: Sequence[str]) -> int:
    """How many of them it has had. Raises ConfigError where that's more than there are."""
    version = int(base.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations):
        raise ConfigError("it was written by a newer sinchphone", hint="update sinchphone, or move the file away")
    return version


def _migrate(base: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Bring the tables up to date, one process at a time."""

    def migrate(base: sqlite3.Connection) -> None:
        version = _version(base, migrations)
        for migration in migrations[version:]:
            for statement in filter(str.strip, migration.split(";")):
                base.execute(statement)
        base.execute(f"PRAGMA user_version={len(migrations)}")

    if _version(base, migrations) != len(migrations):
        in_transaction(base, migrate)
