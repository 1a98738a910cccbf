"""Two processes on one Redis are one exchange: whom one knows the other knows, and what is published at one is heard at the other."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sinchphone.exchange.server import Exchange
from sinchphone.signaling.ocra.names import OcraOperation
from sinchphone.tasks import start_task
from tests.exchange.conftest import LegacyPhone, Phone
from tests.exchange.shared.conftest import Join, RedisServer

POINT = "BLw479HGl1fZJPTXm4Kewxl0rlX8YupAlNvePOzqUD0mBugHXwGX92DdwFMNJfJ7ALSZnMS7BVrbEMvMckNE8gs"  # on P-256


@pytest.fixture
async def both(join: Join, redis: RedisServer) -> tuple[Exchange, Exchange]:
    first, second = await asyncio.gather(join(redis.address), join(redis.address))
    return first, second


async def test_a_device_that_registered_at_one_is_served_by_the_other(both: Any, http: aiohttp.ClientSession) -> None:
    first, second = both
    ada = await Phone(http, first.url, "ada").registered()
    there = replace(ada, url=second.url)
    assert (await there.subscribe("broadcast"))["t"]["t"] != "0"
    assert (await there.call("nobody")).status == 404


async def test_a_call_placed_at_one_rings_at_the_other_and_is_reported_over_there(both: Any, http: aiohttp.ClientSession) -> None:
    first, second = both
    ada, bob = await Phone(http, first.url, "ada").registered(), await Phone(http, second.url, "bob").registered()
    start = (await bob.subscribe("broadcast"))["t"]["t"]
    ringing = start_task(_next(bob, start), name="bob polls")
    await asyncio.sleep(0.05)
    placed = await ada.call("bob", call_id="c1")
    assert placed.status == 200, placed.body
    assert [message["c"] for message in (await ringing)["m"]] == [bob.profile["broadcastChannel"]]
    again = await replace(ada, url=second.url).call("bob", call_id="c1")
    assert again.status == 409
    assert (first._calls.open.going_on(0), len(second._calls.open._calls)) == (1, 1)


async def _next(phone: Phone, token: str) -> Any:
    return await phone.subscribe("broadcast", token)


async def test_an_instant_message_waits_at_every_process_and_is_gone_from_all_once_it_was_seen(
    both: Any, http: aiohttp.ClientSession
) -> None:
    first, second = both
    ada, bob = await LegacyPhone(http, first.url, "ada").started(), await LegacyPhone(http, second.url, "bob").started()
    frame = await ada.write_to("bob")
    for exchange in both:
        there = replace(bob, url=exchange.url)
        messages, token = await there.poll((await there.poll())[1])
        assert messages == [frame]
    seen = start_task(replace(bob, url=first.url).poll(token), name="bob has it")
    await asyncio.sleep(0.2)
    assert [exchange._postbox.waiting_frames() for exchange in both] == [0, 0]
    seen.cancel()


async def test_what_is_published_at_one_wakes_a_poll_at_the_other_in_the_same_order(both: Any, http: aiohttp.ClientSession) -> None:
    first, second = both
    ada = await Phone(http, first.url, "ada").registered()
    there = replace(ada, url=second.url)
    key = ada.keys["signalSubscribeKey"]

    async def read(url: str, token: str) -> tuple[list[Any], str]:
        async with http.get(f"{url}/v2/subscribe/{key}/news/0", params={"tt": token, "uuid": "x"}) as answer:
            body = json.loads(await answer.read())
            return [message["d"] for message in body["m"]], body["t"]["t"]

    _, token = await read(first.url, "0")
    for number in range(20):
        assert (await (ada, there)[number % 2].publish("news", number))[1] == "Sent"
    heard = []
    for url in (first.url, second.url):
        got: list[Any] = []
        since = token
        while len(got) < 20:
            more, since = await read(url, since)
            got += more
        heard.append((got, since))
    assert heard[0] == heard[1]
    assert heard[0][0] == list(range(20))


async def test_a_device_that_told_one_how_it_is_woken_is_pushed_to_by_the_other(both: Any, http: aiohttp.ClientSession) -> None:
    first, second = both
    pushed: asyncio.Queue[str] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        pushed.put_nowait(request.headers["Authorization"])
        return web.Response(status=201)

    service = web.Application()
    service.router.add_post("/bob", take)
    ada, bob = await Phone(http, second.url, "ada").registered(), await Phone(http, first.url, "bob").registered()
    there = replace(bob, url=second.url)
    async with TestServer(service) as server:
        profile = {"w3c": {"endpoint": str(server.make_url("/bob")), "p256dh": POINT, "auth": "A" * 22}}
        assert (await bob.ask(OcraOperation.SET_PUSH_PROFILE, profile)).status == 200
        assert (await ada.call("bob")).status == 200
        async with asyncio.timeout(20):
            assert "vapid" in await pushed.get()
    keys = [await exchange._pushes.public_key() for exchange in both]
    assert keys[0] == keys[1]
    assert (await there.ask(OcraOperation.DELETE_PUSH_PROFILE)).status == 200
    await first._store.catch_up()
    assert [exchange.directory.device(bob.instance).push for exchange in both] == [None, None]


async def test_a_device_that_no_longer_listens_and_sleeps_is_known_so_by_who_starts_later(
    both: Any, http: aiohttp.ClientSession, join: Join, redis: RedisServer
) -> None:
    bob = await Phone(http, both[0].url, "bob").registered()
    profile = {"w3c": {"endpoint": "http://127.0.0.1:9/bob", "p256dh": POINT, "auth": "A" * 22}}
    assert (await bob.ask(OcraOperation.SET_PUSH_PROFILE, profile)).status == 200
    third = await join(redis.address)
    device = third.directory.device(bob.instance)
    assert device is not None and device.push is not None and device.push.endpoint == "http://127.0.0.1:9/bob"
