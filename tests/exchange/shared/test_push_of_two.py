"""A push agent is at the process that it's connected to; whoever pushes asks any, and it may come back to another one."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.access.limits import Allowances
from sinchphone.exchange.push.service import MAX_CHANNELS
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.webpush.keys import KeyPair, read_base64, write_base64
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.protocol.webpush.vapid import write_vapid
from tests.exchange.shared.conftest import Join, RedisServer

US = KeyPair.from_random(b"u" * 48)
CHANNEL = "4fa6ad49-549d-4ae3-9f71-11fd82dbebbb"


@pytest.fixture
async def both(join: Join, redis: RedisServer) -> tuple[Exchange, Exchange]:
    first, second = await asyncio.gather(*(join(redis.address) for _ in range(2)))
    return first, second


def connected(http: aiohttp.ClientSession, exchange: Exchange) -> "AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]":
    return http.ws_connect(f"{exchange.url}/push")


async def hello(agent: aiohttp.ClientWebSocketResponse, uaid: str = "") -> str:
    await agent.send_json({"messageType": "hello", "uaid": uaid, "use_webpush": True})
    said = await heard(agent)
    assert said["messageType"] == "hello"
    return str(said["uaid"])


async def heard(agent: aiohttp.ClientWebSocketResponse) -> Any:
    return await agent.receive_json(timeout=20)


async def subscribed(agent: aiohttp.ClientWebSocketResponse) -> str:
    await agent.send_json({"messageType": "register", "channelID": CHANNEL, "key": write_base64(US.public_bytes)})
    said = await heard(agent)
    assert said["status"] == 200, said
    return str(said["pushEndpoint"])


async def push(http: aiohttp.ClientSession, at: Exchange, endpoint: str, body: bytes) -> Any:
    """As through a balancer, which leads to one process or the other."""
    authorization = write_vapid(US, endpoint, "mailto:a@example.org", time.time())
    headers = {"TTL": "60", "Content-Encoding": "aes128gcm", "Authorization": authorization}
    async with http.post(f"{at.url}/push/v2/{endpoint.rpartition('/')[2]}", data=body, headers=headers) as answer:
        return answer.status, answer.headers.get("Location", "")


async def test_a_push_to_any_process_gets_to_the_agent_of_another(both: Any, http: aiohttp.ClientSession) -> None:
    async with connected(http, both[0]) as agent:
        await hello(agent)
        endpoint = await subscribed(agent)
        for exchange in both:
            assert (await push(http, exchange, endpoint, exchange.url.encode()))[0] == 201
            assert read_base64((await heard(agent))["data"], "data") == exchange.url.encode()
        assert (await push(http, both[1], endpoint + "x", b"x"))[0] == 410
        assert (await push(http, both[1], endpoint + "x" * 100, b"x"))[0] == 410
        subscription = PushSubscription(endpoint, US.public_bytes, b"a" * 16)
        await both[1]._pushes.check(subscription)


async def test_an_agent_that_comes_back_to_another_process_keeps_its_subscription_and_what_waits(
    both: Any, http: aiohttp.ClientSession
) -> None:
    async with connected(http, both[0]) as agent:
        uaid, endpoint = await hello(agent), await subscribed(agent)
        assert (await push(http, both[0], endpoint, b"not acknowledged"))[0] == 201
        await heard(agent)
    async with connected(http, both[1]) as agent:
        assert await hello(agent, uaid) == uaid
        waited = await heard(agent)
        assert read_base64(waited["data"], "data") == b"not acknowledged"
        assert (await push(http, both[0], endpoint, b"later"))[0] == 201, "whichever is asked"
        status, location = await push(http, both[1], endpoint, b"at once")
        assert status == 201
        async with http.delete(f"{both[0].url}/push/m/{location.rpartition('/')[2]}") as withdrawn:
            assert withdrawn.status == 204
    assert (len(both[0]._push_service._agents), len(both[1]._push_service._agents)) == (0, 1)
    async with connected(http, both[0]) as agent:
        assert await hello(agent, "f" * 32) != "f" * 32, "nobody has that one"


async def test_a_flood_of_pushes_to_nobody_asks_the_others_no_more(
    both: Any, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = both[0]._all_pushes
    monkeypatch.setattr(service, "_asked", Allowances(MAX_CHANNELS, 0.0))
    answers = [(await push(http, both[0], f"{both[0].url}/push/v2/nobody-{number}", b"x"))[0] for number in range(MAX_CHANNELS + 2)]
    assert answers == [410] * MAX_CHANNELS + [503] * 2
