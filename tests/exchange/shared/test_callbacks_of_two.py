"""Where a backend has its calls' events sent, all processes know, those too that come later; and what one of them carries, any tells of."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.server import Exchange
from sinchphone.gateway.options import BackendOptions, GatewayOptions
from sinchphone.local.configured_gateway import ConfiguredGateway
from sinchphone.media.thread import MediaThread
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import RedisServer

CALLBACKS = "/v1/configuration/callbacks/applications/acme"
CALLS = "/__sinchphone/calls"
CONFIGURED, SET = "http://127.0.0.1:9/configured", "http://127.0.0.1:9/set"


class Floor:
    """Processes that carry sound, with a backend."""

    def __init__(self, stack: AsyncExitStack, media: MediaThread, store: StoreAddress) -> None:
        self._stack, self._media, self._store = stack, media, store

    async def join(self, backend: str = CONFIGURED) -> Exchange:
        options = ExchangeOptions(applications={"acme": SECRETS["acme"]}, port=0, store=self._store)
        gateway = ConfiguredGateway(GatewayOptions(backend=BackendOptions(url=backend) if backend else None))
        return await self._stack.enter_async_context(Exchange(options, media=self._media, gateway=gateway))


@pytest.fixture
def media() -> Iterator[MediaThread]:
    with MediaThread() as thread:
        yield thread


@pytest.fixture
async def floor(media: MediaThread, redis: RedisServer) -> AsyncIterator[Floor]:
    async with AsyncExitStack() as stack:
        yield Floor(stack, media, redis.address)


async def ask(exchange: Exchange, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": aiohttp.encode_basic_auth("acme", SECRETS["acme"])}
    async with aiohttp.ClientSession(headers=headers) as session, session.request(verb, exchange.url + path, json=body) as answer:
        return answer.status, json.loads(await answer.read())


async def primary(exchange: Exchange) -> str:
    status, said = await ask(exchange, "GET", CALLBACKS)
    assert status == 200, said
    return str(said["url"]["primary"])


async def test_callbacks_that_are_set_at_one_process_go_there_from_all_until_a_reset(floor: Floor) -> None:
    first, second = await asyncio.gather(floor.join(), floor.join())
    assert await ask(first, "POST", CALLBACKS, {"url": {"primary": SET}}) == (200, {})
    assert await primary(second) == SET
    third = await floor.join()
    assert await primary(third) == SET
    assert (await ask(second, "POST", CALLBACKS, {"url": {"primary": "no url"}}))[0] == 400
    assert await primary(first) == SET
    assert (await ask(second, "POST", "/__sinchphone/reset"))[0] == 200
    assert [await primary(one) for one in (first, second, third)] == [CONFIGURED] * 3
    assert await primary(await floor.join()) == CONFIGURED


async def test_a_simulated_call_is_told_of_and_hung_up_at_any_process(floor: Floor) -> None:
    first, second = await asyncio.gather(floor.join(""), floor.join(""))
    status, call = await ask(first, "POST", CALLS, {"to": "+14155550120", "from": "+46700000002"})
    assert status == 201, call
    assert (await ask(second, "GET", f"{CALLS}/{call['id']}"))[1]["id"] == call["id"]
    assert await ask(second, "DELETE", f"{CALLS}/{call['id']}") == (200, {})
    async with asyncio.timeout(20):
        while (await ask(second, "GET", f"{CALLS}/{call['id']}"))[1]["state"] != "ended":
            await asyncio.sleep(0.02)
    for exchange in (first, second):
        assert (await ask(exchange, "GET", f"{CALLS}/nobody"))[0] == 404
