"""What an exchange remembered in a file goes on at Redis: devices, names, messages that wait; once, however often it's moved."""

import base64
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.store.redis.connection import connect
from sinchphone.exchange.store.redis.moving import MoveCounts, move
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.store.tables import OUTLASTING
from tests.exchange.conftest import SECRETS, LegacyPhone, StartExchange
from tests.exchange.shared.conftest import Join, RedisServer

SECRET = base64.b64decode(SECRETS["acme"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "exchange.sqlite3"


async def moved(file: Path, server: RedisServer) -> MoveCounts:
    return await move(file, server.address, "acme", SECRET, 600.0)


async def written(start_exchange: StartExchange, http: aiohttp.ClientSession, file: Path, *texts: str) -> tuple[Any, Any, list[Any]]:
    """Two who registered at an exchange of one process, and what one wrote to the other, who was away; it has ended."""
    exchange = await start_exchange(store=file)
    ada, bob = await LegacyPhone(http, exchange.url, "ada").started(), await LegacyPhone(http, exchange.url, "bob").started()
    frames = [await ada.write_to("bob", text=text) for text in texts]
    await exchange.close()
    return ada, bob, frames


async def test_devices_and_their_waiting_messages_go_on_at_redis(
    start_exchange: StartExchange, join: Join, redis: RedisServer, http: aiohttp.ClientSession, file: Path
) -> None:
    ada, bob, frames = await written(start_exchange, http, file, "one", "two")
    found = await moved(file, redis)
    assert (found.users, found.devices, found.frames, found.known) == (2, 2, 2, 0)
    exchange = await join(redis.address)
    there = replace(bob, url=exchange.url)
    came, token = await there.poll((await there.poll())[1])
    assert came == frames
    later = await replace(ada, url=exchange.url).write_to("bob", text="three")
    assert (await there.poll(token))[0] == [later]


async def test_moved_again_it_moves_only_what_is_new_and_brings_nothing_back(
    start_exchange: StartExchange, join: Join, redis: RedisServer, http: aiohttp.ClientSession, file: Path
) -> None:
    _, bob, frames = await written(start_exchange, http, file, "one")
    first = await moved(file, redis)
    assert await moved(file, redis) == MoveCounts(users=0, devices=0, frames=0, rows=0, known=first.rows)
    exchange = await join(redis.address)
    there = replace(bob, url=exchange.url)
    came, token = await there.poll((await there.poll())[1])
    assert came == frames
    _, _, more = await written(start_exchange, http, file, "two")  # somebody had the old one run once more
    second = await moved(file, redis)
    assert (second.users, second.frames) == (0, 1)
    await exchange._store.catch_up()
    assert (await there.poll(token))[0] == more


async def test_processes_that_run_there_know_it_at_once(
    start_exchange: StartExchange, join: Join, redis: RedisServer, http: aiohttp.ClientSession, file: Path
) -> None:
    exchange = await join(redis.address)
    _, bob, frames = await written(start_exchange, http, file, "one")
    await moved(file, redis)
    there = replace(bob, url=exchange.url)
    assert (await there.poll((await there.poll())[1]))[0] == frames


async def test_time_tokens_go_on_above_those_of_a_clock_that_was_ahead(
    start_exchange: StartExchange, join: Join, redis: RedisServer, http: aiohttp.ClientSession, file: Path
) -> None:
    ada, bob, frames = await written(start_exchange, http, file, "one")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE messages SET token = token + 300000000")  # half a minute
    await moved(file, redis)
    exchange = await join(redis.address)
    there = replace(bob, url=exchange.url)
    came, token = await there.poll((await there.poll())[1])
    assert came == frames
    later = await replace(ada, url=exchange.url).write_to("bob", text="two")
    assert (await there.poll(token))[0] == [later]


async def everything(server: RedisServer) -> dict[str, str]:
    client = connect(server.address)
    found = {key: str(await client.dump(key)) async for key in client.scan_iter()}
    await client.aclose()
    return found


async def test_what_cannot_be_moved_is_refused_before_anything_is_written(
    start_exchange: StartExchange, redis: RedisServer, http: aiohttp.ClientSession, file: Path
) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        await moved(file, redis)
    exchange = await start_exchange(store=file)
    with pytest.raises(StoreError, match="an exchange may use it"):
        await moved(file, redis)
    await LegacyPhone(http, exchange.url, "ada").started()
    await exchange.close()
    with pytest.raises(StoreError, match="nothing of the application other, but of acme"):
        await move(file, redis.address, "other", SECRET, 600.0)
    assert await everything(redis) == {}
    client = connect(redis.address)
    await client.set("sessions:1", "somebody's")
    await client.aclose()
    before = await everything(redis)
    with pytest.raises(StoreError, match="the database isn't empty"):
        await moved(file, redis)
    assert await everything(redis) == before


async def test_every_table_that_is_shared_is_one_that_a_file_has(file: Path) -> None:
    store = SqliteStore(file)
    await store.open()
    for table in OUTLASTING:
        assert await store.read(table) == []
    await store.close()
