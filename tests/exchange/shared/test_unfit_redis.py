"""A Redis that is there, but refuses: what its user may not do, what has no room any more; and one that is emptied under way."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from sinchphone.cli.exits import ExitCode, code_of_error
from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.redis.connection import connect
from sinchphone.exchange.store.store import StoreError
from tests.exchange.conftest import LegacyPhone, Phone
from tests.exchange.shared.conftest import Join, RedisServer
from tests.exchange.shared.test_bad_stores import everything
from tests.exchange.shared.test_lost_redis import until

Tell = Callable[..., Awaitable[Any]]


async def tell(server: RedisServer, *words: str) -> Any:
    client = connect(server.address)
    answer = await client.execute_command(*words)  # type: ignore[no-untyped-call]
    await client.aclose()
    return answer


async def with_rights(server: RedisServer, *rights: str) -> StoreAddress:
    await tell(server, "ACL", "SETUSER", "exchange", "reset", "on", ">word", *rights)
    return StoreAddress(f"redis://exchange:word@127.0.0.1:{server.port}/0")


@pytest.mark.parametrize("lacking", ["evalsha", "xread", "hdel", "xadd", "set"])
async def test_a_user_who_may_not_do_all_is_refused_before_anything_is_written(redis: RedisServer, join: Join, lacking: str) -> None:
    address = await with_rights(redis, "~*", "+@all", f"-{lacking}")
    with pytest.raises(StoreError, match=rf"the user may not do what an exchange does there: .*(?i:{lacking})") as refused:
        await join(address)
    assert code_of_error(refused.value) == ExitCode.CONFIG
    assert await everything(redis.address) == {}


async def test_the_rights_that_the_hint_names_are_enough(redis: RedisServer, join: Join, http: aiohttp.ClientSession) -> None:
    exchange = await join(await with_rights(redis, "~sinchphone:*", "+@all", "-@dangerous", "+info"))
    ada = await LegacyPhone(http, exchange.url, "ada").started()
    bob = await LegacyPhone(http, exchange.url, "bob").started()
    _, token = await bob.poll()
    frame = await ada.write_to("bob")
    assert (await bob.poll(token))[0] == [frame]


async def test_two_that_come_at_once_with_different_secrets_are_not_both_served(redis: RedisServer, join: Join) -> None:
    others = {"acme": base64.b64encode(b"x" * 16).decode()}
    came = await asyncio.gather(join(redis.address), join(redis.address, applications=others), return_exceptions=True)
    (refused,) = [one for one in came if not isinstance(one, Exchange)]
    assert "has another secret" in str(refused)


async def test_where_nobody_answers_it_may_be_tried_again(join: Join) -> None:
    with pytest.raises(StoreError) as refused:
        await join(StoreAddress("redis://127.0.0.1:1"))
    assert code_of_error(refused.value) == ExitCode.NETWORK
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(StoreError, match="no answer came in time"):
            await join(StoreAddress(f"redis://127.0.0.1:{port}"))


async def test_a_replica_is_no_store(own_server: Callable[..., RedisServer], redis: RedisServer, join: Join) -> None:
    replica = own_server(more=("--replicaof", "127.0.0.1", str(redis.port)))
    with pytest.raises(StoreError, match="is a replica, which takes no changes"):
        await join(replica.address)


async def test_a_redis_without_room_is_said_to_have_none(
    quick: None, own_server: Callable[..., RedisServer], join: Join, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    server = own_server()
    exchange = await join(server.address)
    store = exchange._shared
    assert store is not None
    ada = await LegacyPhone(http, exchange.url, "ada").started()
    await tell(server, "CONFIG", "SET", "maxmemory", "1")
    await until(lambda: not store.is_reached)
    assert (await ada.publish("news", "hello")).status == 503
    assert await exchange.troubles() == {"store": "Redis takes no changes"}
    said = [one.getMessage() for one in caplog.records if "takes no changes" in one.getMessage()]
    assert len(said) == 1 and "maxmemory" in said[0]
    await tell(server, "CONFIG", "SET", "maxmemory", "0")
    await until(lambda: store.is_reached)
    assert (await ada.publish("news", "hello")).status == 200
    assert "takes changes again" in caplog.text


async def test_what_is_refused_while_it_is_written_is_logged_once(
    own_server: Callable[..., RedisServer], join: Join, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    server = own_server()
    exchange = await join(server.address)
    ada = await LegacyPhone(http, exchange.url, "ada").started()
    await tell(server, "CONFIG", "SET", "maxmemory", "1")
    assert (await ada.publish("news", "hello")).status == 503
    assert caplog.text.count("doesn't take changes") == 1


async def test_where_redis_is_emptied_the_processes_forget_too_and_another_one_may_come(
    quick: None, redis: RedisServer, join: Join, http: aiohttp.ClientSession
) -> None:
    both = [await join(redis.address) for _ in range(2)]
    ada = await Phone(http, both[0].url, "ada").registered()
    redis.empty()
    for exchange in both:
        await until(lambda exchange=exchange: exchange.directory.device(ada.instance) is None)  # type: ignore[misc]
    third = await join(redis.address)
    assert (await ada.registered()).instance
    await until(lambda: third.directory.device_count() == 1)
