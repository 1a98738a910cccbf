"""What an exchange remembers: written in order, all or nothing, readable when it's opened again."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from sinchphone.exchange.store import Store, StoreError
from sinchphone.tasks import start_task

PUT = "INSERT INTO identities (application, kind, endpoint, user_id) VALUES (?, ?, ?, ?)"
ALL = "SELECT endpoint FROM identities ORDER BY rowid"


async def opened(path: Path | None) -> Store:
    store = Store(path)
    await store.open()
    return store


async def test_what_is_settled_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    for number in range(100):
        store.write(PUT, "acme", "username", f"user-{number}", "x")
    await store.settle()
    with sqlite3.connect(tmp_path / "x.sqlite3") as other:  # as after a crash: nobody closed it
        assert [row[0] for row in other.execute(ALL)] == [f"user-{number}" for number in range(100)]
    await store.close()


async def test_closing_writes_what_is_left(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    store.write(PUT, "acme", "username", "ada", "ada")
    await store.close()
    again = await opened(tmp_path / "x.sqlite3")
    assert await again.read(ALL) == [("ada",)]
    await again.close()


async def test_without_a_path_nothing_is_left(tmp_path: Path) -> None:
    store = await opened(None)
    store.write(PUT, "acme", "username", "ada", "ada")
    await store.settle()
    assert await store.read(ALL) == [("ada",)]
    await store.close()
    assert list(tmp_path.iterdir()) == []


async def test_what_can_not_be_written_is_told_to_who_waits_for_it(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    store.write(PUT, "acme", "username", "ada", "ada")
    await store.settle()
    store.write(PUT, "acme", "username", "ada", "again")
    with pytest.raises(StoreError):
        await store.settle()
    store.write(PUT, "acme", "username", "bob", "bob")
    await store.settle()  # the next ones are not harmed
    assert await store.read(ALL) == [("ada",), ("bob",)]
    await store.close()


async def test_who_gives_up_waiting_harms_nobody(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    store.write(PUT, "acme", "username", "ada", "ada")
    waiting = start_task(store.settle(), name="settle")
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await store.settle()
    await store.close()


@pytest.mark.parametrize("content", [b"this is no database", b"SQLite format 3\x00 cut short" + b"x" * 4096])
async def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.sqlite3").write_bytes(content)
    with pytest.raises(StoreError, match=r"x\.sqlite3"):
        await opened(tmp_path / "x.sqlite3")


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.sqlite3") as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer"):
        await opened(tmp_path / "x.sqlite3")
