"""A reset at one of several processes is one of all: what they share is forgotten once, what each knows alone at each."""

import asyncio
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.server import Exchange
from tests.exchange.conftest import LegacyPhone, Phone
from tests.exchange.shared.conftest import Join, RedisServer

TOKEN = {"Authorization": f"Bearer {management_token(b'a' * 16)}"}


@pytest.fixture
async def both(join: Join, redis: RedisServer) -> tuple[Exchange, Exchange]:
    first, second = await asyncio.gather(*(join(redis.address) for _ in range(2)))
    return first, second


async def ask(http: aiohttp.ClientSession, exchange: Exchange, verb: str, path: str, body: Any = None) -> int:
    async with http.request(verb, f"{exchange.url}/__sinchphone/{path}", json=body, headers=TOKEN) as answer:
        return answer.status


async def test_after_a_reset_at_one_process_no_other_knows_anybody_either(both: Any, http: aiohttp.ClientSession) -> None:
    first, second = both
    bob = await LegacyPhone(http, second.url, "bob").started()
    ada = await LegacyPhone(http, first.url, "ada").started()
    await ada.write_to("bob")
    carol = {"identities": [{"type": "username", "endpoint": "carol"}], "password": "her secret"}
    assert (await ada.as_application("POST", "/v1/users", carol)).status == 200
    assert await ask(http, second, "POST", "faults", {"path": "/nowhere", "status": 500}) == 201
    await second.sms.take("acme", [("+46700000001", "hi")], sender=None, now=1e10)
    assert await ask(http, first, "POST", "reset") == 200
    for exchange in both:
        await exchange._store.catch_up()
        application = exchange.directory.application("acme")
        known = (
            application.users,
            application.accounts,
            application.delivered,
            application.transport_channels,
            exchange.directory._instances,
        )
        assert known == ({}, {}, {}, {}, {})
        assert exchange.sms.messages("acme") == [] and exchange._postbox.waiting_frames() == 0
        assert exchange._faults._faults.rules() == []
    fresh = await LegacyPhone(http, second.url, "bob").started()
    assert (await fresh.poll())[0] == []
    assert (await LegacyPhone(http, second.url, "carol").as_application("POST", "/v1/users", carol)).status == 200
    assert bob.instance != fresh.instance


async def test_calls_that_another_process_carries_end_by_a_reset(both: Any, http: aiohttp.ClientSession) -> None:
    first, second = both
    ada, bob = await Phone(http, second.url, "ada").registered(), await Phone(http, first.url, "bob").registered()
    heard = {name: (await one.subscribe("signal"))["t"]["t"] for name, one in (("ada", ada), ("bob", bob))}
    assert (await ada.call("bob")).status in (200, 201)
    assert await ask(http, first, "POST", "reset") == 200
    assert second.calls_going_on() == 0
    network = first.directory.application("acme").signal.subscribe_key
    for name, one in (("ada", ada), ("bob", bob)):
        assert first.broker.since(network, [one.profile["signalChannel"]], int(heard[name])), f"{name} was told"
