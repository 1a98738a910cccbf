"""What an exchange remembers: written in order, all or nothing, readable when it's opened again."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sinchphone.exchange.store import sqlite
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.exchange.store.store import StoreError, kept
from sinchphone.exchange.store.tables import DEVICES, IDENTITIES, SEEN, TIME_TOKENS
from sinchphone.tasks import start_task

ALL = "SELECT endpoint FROM identities ORDER BY rowid"
ADA, BOB = ("acme", "username", "ada", "ada"), ("acme", "username", "bob", "bob")


async def opened(path: Path | None) -> SqliteStore:
    store = SqliteStore(path)
    await store.open()
    return store


async def test_what_is_settled_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    for number in range(100):
        store.put(IDENTITIES, "acme", "username", f"user-{number}", "x")
    await store.settle()
    with sqlite3.connect(tmp_path / "x.sqlite3") as other:  # as after a crash: nobody closed it
        assert [row[0] for row in other.execute(ALL)] == [f"user-{number}" for number in range(100)]
    await store.close()


async def test_closing_writes_what_is_left(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    store.put(IDENTITIES, *ADA)
    await store.close()
    again = await opened(tmp_path / "x.sqlite3")
    assert await again.read(IDENTITIES) == [ADA]
    await again.close()


async def test_a_row_takes_the_place_of_the_one_of_its_key_and_goes_with_its_parts(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    device = ("acme", "phone-1", "ada", "d", 0, 0, "[]", "[]", None, 0)
    store.put(DEVICES, *device)
    store.put(SEEN, "acme", "phone-1", 7)
    store.put(SEEN, "acme", "unknown", 7)
    store.put(DEVICES, *device[:3], "e", *device[4:])
    await store.settle()
    assert [row[3] for row in await store.read(DEVICES)] == ["e"]
    assert await store.read(SEEN) == [("acme", "phone-1", 7)]
    store.drop(DEVICES, "acme", "phone-1")
    await store.settle()
    assert await store.read(SEEN) == []
    await store.close()


async def test_rows_are_dropped_by_any_of_their_columns(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    for row in (ADA, BOB, ("globex", "username", "ada", "ada")):
        store.put(IDENTITIES, *row)
    store.drop_where(IDENTITIES, application="acme", user_id="ada")
    await store.settle()
    assert await store.read(IDENTITIES) == [BOB, ("globex", "username", "ada", "ada")]
    await store.close()


async def test_without_a_path_nothing_is_left(tmp_path: Path) -> None:
    store = await opened(None)
    store.put(IDENTITIES, *ADA)
    await store.settle()
    assert await store.read(IDENTITIES) == [ADA]
    await store.close()
    assert list(tmp_path.iterdir()) == []


async def test_what_can_not_be_written_is_told_to_who_waits_for_it(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    store.put(IDENTITIES, *ADA)
    await store.settle()
    store.put(TIME_TOKENS, 1, None)
    with pytest.raises(StoreError):
        await store.settle()
    mark = store.mark()
    store.put(IDENTITIES, *BOB)
    await store.settle(mark)  # the next ones are not harmed
    assert await store.read(IDENTITIES) == [ADA, BOB]
    await store.close()


async def test_what_could_not_be_written_behind_is_not_told_to_who_asks_for_something_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The next request was answered 503, about somebody else's."""
    store = await opened(tmp_path / "x.sqlite3")
    store.put(TIME_TOKENS, 1, None)
    async with asyncio.timeout(5):
        while not caplog.messages:
            await asyncio.sleep(0.01)
    async with kept(store):
        store.put(IDENTITIES, *ADA)
    assert await store.read(IDENTITIES) == [ADA]
    await store.close()


async def test_what_is_no_value_for_the_database_harms_nothing_that_is_written_with_it(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    with closing(sqlite3.connect(tmp_path / "x.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # so that all is written at once
        store.put(IDENTITIES, *BOB)
        store.put(TIME_TOKENS, 1, None)
        async with kept(store):
            store.put(IDENTITIES, *ADA)
            other.execute("ROLLBACK")
    assert await store.read(IDENTITIES) == [BOB, ADA]
    await store.close()


async def test_what_could_not_be_written_is_told_however_long_what_was_asked_for_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    with pytest.raises(StoreError):
        async with kept(store) as undo:
            store.put(TIME_TOKENS, 1, None)
            async with asyncio.timeout(5):
                while not caplog.messages:
                    await asyncio.sleep(0.01)
            store.put(IDENTITIES, *ADA)
            undo.callback(store.drop, IDENTITIES, *ADA[:3])
    assert await store.read(IDENTITIES) == []
    await store.close()


async def test_while_the_disk_hangs_what_waits_to_be_written_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MAX_WAITING", 100)
    store = await opened(tmp_path / "x.sqlite3")
    with closing(sqlite3.connect(tmp_path / "x.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # as on a disk that doesn't answer
        store.put(IDENTITIES, "acme", "username", "user-0", "x")
        while store._orders.qsize():
            await asyncio.sleep(0.01)
        for number in range(1, 1_000):
            store.put(IDENTITIES, "acme", "username", f"user-{number}", "x")
        assert store._orders.qsize() <= 100
        with pytest.raises(StoreError, match="can't keep this"):
            async with kept(store):
                store.put(IDENTITIES, *ADA)
        other.execute("ROLLBACK")
    with pytest.raises(StoreError):
        await store.settle()
    async with kept(store):
        store.put(IDENTITIES, *ADA)
    rows = await store.read(IDENTITIES)
    assert rows == [("acme", "username", f"user-{number}", "x") for number in range(101)] + [ADA]
    await store.close()


async def test_who_gives_up_waiting_harms_nobody(tmp_path: Path) -> None:
    store = await opened(tmp_path / "x.sqlite3")
    store.put(IDENTITIES, *ADA)
    waiting = start_task(store.settle(), name="settle")
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await store.settle()
    assert await store.read(IDENTITIES) == [ADA]
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


@pytest.mark.parametrize("odd", [2**70, "\ud800"])
async def test_a_value_that_is_none_for_the_database_is_refused_and_the_store_goes_on(odd: object) -> None:
    store = await opened(None)
    store.put(IDENTITIES, "acme", "username", "odd", odd)
    async with asyncio.timeout(5):
        with pytest.raises(StoreError):
            await store.settle()
        mark = store.mark()
        store.put(IDENTITIES, *ADA)
        await store.settle(mark)
    assert await store.read(IDENTITIES) == [ADA]
    await store.close()
