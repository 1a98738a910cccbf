"""A store that can't be used is refused with a sentence, before anything is written there."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sinchphone.credentials import read_exchange
from sinchphone.errors import ConfigError
from sinchphone.exchange.options import StoreAddress, read_store
from sinchphone.exchange.store.redis.connection import connect
from sinchphone.exchange.store.store import StoreError
from sinchphone.options import Options
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import Join, RedisServer


async def everything(address: StoreAddress) -> dict[str, str]:
    client = connect(address)
    found = {key: str(await client.dump(key)) async for key in client.scan_iter()}
    await client.aclose()
    return found


async def test_an_address_where_nobody_listens(join: Join) -> None:
    with pytest.raises(StoreError, match=r"redis://127\.0\.0\.1:1 can't be reached") as refused:
        await join(StoreAddress("redis://ada:geheim@127.0.0.1:1"))
    assert "geheim" not in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize("written", ["redis://{}/0", "redis://:wrong@{}/0", "redis://nobody:wrong@{}/0"])
async def test_a_wrong_password(own_server: Callable[..., RedisServer], join: Join, written: str) -> None:
    server = own_server(password="right")
    with pytest.raises(StoreError, match="user or password is wrong"):
        await join(StoreAddress(written.format(f"127.0.0.1:{server.port}")))
    assert await everything(server.address) == {}


async def test_the_right_password(own_server: Callable[..., RedisServer], join: Join) -> None:
    assert (await join(own_server(password="r:@/ght".replace(":@/", "ig")).address)).port


async def test_a_database_of_something_else(join: Join, redis: RedisServer) -> None:
    client = connect(redis.address)
    await client.set("sessions:1", "somebody's")
    await client.aclose()
    before = await everything(redis.address)
    with pytest.raises(StoreError, match="the database isn't empty"):
        await join(redis.address)
    assert await everything(redis.address) == before


async def test_a_database_of_another_version_of_sinchphone(join: Join, redis: RedisServer) -> None:
    client = connect(redis.address)
    await client.set("sinchphone:schema", "99")
    await client.aclose()
    with pytest.raises(StoreError, match="another version of sinchphone"):
        await join(redis.address)


async def test_two_exchanges_with_different_secrets_of_one_application(join: Join, redis: RedisServer) -> None:
    await join(redis.address)
    with pytest.raises(StoreError, match="the application acme has another secret there"):
        await join(redis.address, applications={"acme": base64.b64encode(b"x" * 16).decode()})


async def test_two_exchanges_with_different_applications(join: Join, redis: RedisServer) -> None:
    await join(redis.address)
    before = await everything(redis.address)
    with pytest.raises(StoreError, match="is another exchange's, with the application acme") as refused:
        await join(redis.address, applications={"globex": SECRETS["globex"]})
    assert "database of its own" in (refused.value.hint or "")
    assert {key: value for key, value in (await everything(redis.address)).items() if "globex" in key} == {}
    assert before.keys() <= (await everything(redis.address)).keys()


async def test_one_more_application_beside_those_that_are_served_there(join: Join, redis: RedisServer) -> None:
    await join(redis.address)
    assert (await join(redis.address, applications=SECRETS)).port


async def test_a_redis_that_is_too_old(join: Join) -> None:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = [(await reader.readline(), (await reader.readline()).decode().strip())[1] for _ in range(int(line[1:]))]
            asked.append(words[0].upper())
            text = b"# Server\r\nredis_version:6.2.7\r\n"
            writer.write(b"$%d\r\n%s\r\n" % (len(text), text) if words[0].upper() == "INFO" else b"+OK\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as old:
        port = old.sockets[0].getsockname()[1]
        with pytest.raises(StoreError, match=r"is Redis 6\.2\.7") as refused:
            await join(StoreAddress(f"redis://127.0.0.1:{port}"))
    assert refused.value.hint == "an exchange needs Redis 7.0 or newer"
    assert "SET" not in asked


@pytest.mark.parametrize(
    "written", ["", "redis:", "redis://", "http://127.0.0.1", "127.0.0.1:6379", "redis://h:x", "redis://h/name", "redis://h:6379/0?db=1", 7]
)
def test_what_is_no_address_is_refused_as_the_configuration_is_read(written: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        read_store(written)


@pytest.mark.parametrize("written", ["redis://h", "rediss://user:word@h:6380/3", "redis://[::1]:6379"])
def test_an_address_is_shown_without_its_password(written: str) -> None:
    assert "word" not in read_store(written).shown


def test_a_backend_and_a_dial_plan_serve_all_processes() -> None:
    options = replace(Options(), exchange=replace(Options().exchange, store=StoreAddress("redis://127.0.0.1")))
    assert read_exchange(replace(options, backend=replace(options.backend, url="http://127.0.0.1:3000"))).store is not None
    assert read_exchange(replace(options, dialplan={"reception": "user:ada"})).store is not None


async def test_an_application_key_that_would_break_the_slots_of_a_cluster(join: Join, redis: RedisServer) -> None:
    with pytest.raises(ConfigError, match="application key"):
        await join(redis.address, applications={"a}b": base64.b64encode(b"x" * 16).decode()})
