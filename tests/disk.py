"""A disk that is full, as far as this process sees one, or a database that takes some change no longer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file takes more than so many bytes. Not on Windows."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def refusing(database: Path, table: str, change: str = "INSERT") -> Iterator[None]:
    """The database takes no such change of that table, as on a full disk."""
    with closing(sqlite3.connect(database, isolation_level=None)) as base:
        base.execute(f"CREATE TRIGGER full_{table} BEFORE {change} ON {table} BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
        try:
            yield
        finally:
            base.execute(f"DROP TRIGGER full_{table}")
