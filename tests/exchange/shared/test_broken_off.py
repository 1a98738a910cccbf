"""Redis in the middle of calls and messages: its scripts flushed, itself killed and started again, or cut off from one process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.redis.connection import connect
from sinchphone.tasks import start_task
from tests.exchange.conftest import LegacyPhone, Phone
from tests.exchange.shared.conftest import Join, RedisServer
from tests.exchange.shared.test_lost_redis import follows, until
from tests.exchange.shared.traffic import MESSAGES, Talk, Traffic

LIMITS = {"new_users_at_once": 1_000}


async def test_its_scripts_are_flushed_among_calls_and_messages_and_nobody_notices(
    join: Join, redis: RedisServer, http: aiohttp.ClientSession
) -> None:
    both = [await join(redis.address, **LIMITS) for _ in range(2)]
    client = connect(redis.address)

    async def flush() -> None:
        for _ in range(20):
            await client.script_flush()
            await asyncio.sleep(0.01)

    found = await Traffic(http, [exchange.url for exchange in both]).run(flush)
    await client.aclose()
    assert found["accepted"] == MESSAGES


async def test_it_is_killed_and_started_again_among_calls_and_messages_and_nothing_is_lost_or_doubled(
    own_server: Callable[..., RedisServer], join: Join, http: aiohttp.ClientSession
) -> None:
    server = own_server()
    both = [await join(server.address, **LIMITS) for _ in range(2)]

    async def restart() -> None:
        server.kill()
        await asyncio.sleep(0.2)
        await asyncio.to_thread(server.start)

    found = await Traffic(http, [exchange.url for exchange in both]).run(restart)
    assert found["accepted"] == MESSAGES
    print(json.dumps(found))


class Line:
    """Between one process and Redis: where it's cut nothing passes, and nobody is told."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.passes = asyncio.Event()
        self.passes.set()
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Line":
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self.passes.set()
        self._listening.close()
        for writer in self._writers:
            writer.close()

    @property
    def address(self) -> StoreAddress:
        return StoreAddress(f"redis://127.0.0.1:{self.port}/0")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        self._writers += [writer, there_writer]
        await asyncio.wait(
            [start_task(self._pass(reader, there_writer), name="there"), start_task(self._pass(there_reader, writer), name="back")]
        )

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self.passes.wait()
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()


@pytest.fixture
async def line(redis: RedisServer) -> AsyncIterator[Line]:
    async with Line(redis) as line:
        yield line


async def test_a_process_that_is_cut_off_promises_nothing_once_others_take_it_for_dead_and_goes_on_afterwards(
    quick: None, line: Line, redis: RedisServer, join: Join, http: aiohttp.ClientSession
) -> None:
    first, second = await join(line.address), await join(redis.address)
    ada, bob = await Phone(http, first.url, "ada").registered(), await Phone(http, second.url, "bob").registered()
    olga, otto = await LegacyPhone(http, first.url, "olga").started(), await LegacyPhone(http, first.url, "otto").started()
    _, token = await olga.poll()
    waiting = start_task(olga.poll(token), name="olga polls over the cut")
    start = (await bob.subscribe("broadcast"))["t"]["t"]
    answer = await ada.call("bob", call_id="call-1")
    assert answer.status == 200
    line.passes.clear()
    await until(lambda: follows(second, ("acme", "call-1")))
    store = first._shared
    assert store is not None and not store.is_reached
    async with http.get(f"{first.url}/ready") as ready:
        assert ready.status == 503
    late = Phone(http, first.url, "late")
    assert (await late.send_registration(late.token())).status == 503
    assert (await otto.publish("news", "hello")).status == 503
    there = replace(otto, url=second.url)
    frame = await there.write_to("olga", text="meanwhile")
    assert not waiting.done()
    line.passes.set()
    await until(lambda: store.is_reached)
    assert (await waiting)[0] == [frame]
    assert await otto.write_to("olga", text="later")
    reader: Any = None
    over = await Talk(ada, "call-1", answer.body, reader).hang_up()
    came: list[Any] = []
    while over not in came:
        body = await replace(bob, url=first.url).subscribe("broadcast", start)
        came, start = came + [message["d"] for message in body["m"]], body["t"]["t"]
    await until(lambda: not (first._calls.open._calls or second._calls.open._calls))
