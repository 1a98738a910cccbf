"""Redis is gone for a while, and a process for ever: nobody is told that something was done which wasn't, and nothing is lost."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp

from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.redis.pipeline import LuaScript
from sinchphone.exchange.store.redis.scripts import COMMIT
from sinchphone.exchange.store.store import StoreError
from sinchphone.tasks import start_task
from tests.exchange.conftest import LegacyPhone, Phone
from tests.exchange.shared.conftest import Join, RedisServer

PATIENCE = 15.0


async def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it never came to that"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def follows(exchange: Exchange, call: tuple[str, str]) -> bool:
    """Whether it's that process which follows a call, which it may not know yet."""
    known = exchange._calls.open._calls.get(call)
    return known is not None and known.task is not None


async def crash(exchange: Exchange) -> None:
    """As a process that is killed: it says goodbye to nobody."""
    store = exchange._shared
    assert store is not None
    tasks, store._tasks = store._tasks, []
    for task in tasks:
        task.cancel()
    for box in store._boxes.values():
        box._flush_soon = lambda: None  # type: ignore[method-assign]
    store._unreached.add(store.pipeline("acme"))
    await exchange._calls.open.close(0.1)


async def test_while_redis_is_gone_requests_are_refused_and_all_goes_on_when_it_is_back(
    own_server: Callable[..., RedisServer], join: Join, http: aiohttp.ClientSession, caplog: Any
) -> None:
    server = own_server()
    first, second = await join(server.address), await join(server.address)
    ada, bob = await LegacyPhone(http, first.url, "ada").started(), await LegacyPhone(http, second.url, "bob").started()
    _, token = await bob.poll()
    frame = await ada.write_to("bob")
    poll = start_task(bob.poll((await bob.poll(token))[1]), name="poll")
    server.kill()
    await until(lambda: not (first._shared.is_reached or second._shared.is_reached))  # type: ignore[union-attr]
    phone = Phone(http, first.url, "carol")
    refused = await phone.send_registration(phone.token())
    assert (refused.status, "can't reach" in refused.body["message"]) == (503, True)
    assert (await ada.publish("news", "hello")).status == 503
    async with http.get(f"{first.url}/ready") as ready:
        assert ready.status == 503
    assert "answers 503 until it does" in caplog.text
    assert not poll.done()
    server.start()
    await until(lambda: bool(first._shared.is_reached and second._shared.is_reached))  # type: ignore[union-attr]
    later = await ada.write_to("bob", text="later")
    assert (await poll)[0] == [later]
    assert (await replace(bob, url=first.url).poll(token))[0] == [frame, later]
    assert (await phone.registered()).instance


async def test_a_process_that_dies_is_replaced_within_3_seconds_and_its_calls_go_on(
    join: Join, redis: RedisServer, http: aiohttp.ClientSession
) -> None:
    first, second = await join(redis.address), await join(redis.address)
    ada, bob = await Phone(http, first.url, "ada").registered(), await Phone(http, second.url, "bob").registered()
    assert (await ada.call("bob", call_id="c1")).status == 200
    await crash(first)
    key = ("acme", "c1")
    waited = await until(lambda: follows(second, key))
    assert waited < 10  # 2.5 s on a quiet machine
    there = replace(ada, url=second.url)
    assert (await there.call("bob", call_id="c1")).status == 409
    assert bob.instance
    second._calls.open.report(second.directory.device(ada.instance), "c1")  # type: ignore[arg-type]
    assert key not in second._calls.open._calls
    await until(lambda: not second._store._rows["calls"])  # type: ignore[attr-defined]


async def test_a_process_that_starts_knows_what_the_others_knew(join: Join, redis: RedisServer, http: aiohttp.ClientSession) -> None:
    first = await join(redis.address)
    ada, bob = await LegacyPhone(http, first.url, "ada").started(), await LegacyPhone(http, first.url, "bob").started()
    _, token = await bob.poll()
    frames = [await ada.write_to("bob", text=f"number {number}") for number in range(5)]
    second = await join(redis.address)
    assert (await replace(bob, url=second.url).poll(token))[0] == frames
    assert await replace(ada, url=second.url).write_to("bob")


async def test_what_a_process_was_told_while_redis_did_not_answer_is_written_once(
    join: Join, redis: RedisServer, http: aiohttp.ClientSession
) -> None:
    """The connection breaks after the server did what it was asked."""
    exchange = await join(redis.address)
    ada = await Phone(http, exchange.url, "ada").registered()
    start = (await ada.subscribe("signal"))["t"]["t"]
    box = exchange._shared._boxes["acme"]  # type: ignore[union-attr]
    real = box._pipeline.run
    broken: list[Any] = []

    async def cut(script: LuaScript, *asked: Any) -> Any:
        answer = await real(script, *asked)
        if not broken and script.text == COMMIT:
            broken.append(answer)
            raise ConnectionError("cut off")
        return answer

    box._pipeline.run = cut  # type: ignore[method-assign]
    assert (await ada.publish("news", "once"))[1] == "Sent"
    key = ada.keys["signalSubscribeKey"]
    async with http.get(f"{exchange.url}/v2/subscribe/{key}/news/0", params={"tt": start}) as answer:
        assert [message["d"] for message in (await answer.json())["m"]] == ["once"]
    assert broken


async def test_a_call_whose_caller_is_told_that_it_was_not_placed_rings_no_longer_and_may_be_placed_again(
    redis: RedisServer, join: Join, http: aiohttp.ClientSession, monkeypatch: Any
) -> None:
    """The store didn't say in time that it has it: the called rang for two minutes, and the caller was told 409."""
    exchange = await join(redis.address)
    alice, bob = await Phone(http, exchange.url, "alice").registered(), await Phone(http, exchange.url, "bob").registered()
    turn = exchange.directory.exclusive

    @contextlib.asynccontextmanager
    async def unsure(application: Application) -> AsyncIterator[None]:
        async with turn(application):
            yield
        raise StoreError("the exchange can't reach what it shares with others")

    with monkeypatch.context() as for_a_moment:
        for_a_moment.setattr(exchange.directory, "exclusive", unsure)
        assert (await alice.call("bob", call_id="c1")).status == 503
    await until(lambda: ("acme", "c1") not in exchange._calls.open._calls, 5.0)
    device = exchange.directory.device(bob.instance)
    assert device is not None
    said = exchange.broker.since(device.application.signal.subscribe_key, [device.identity.signal_channel], 0)
    assert [one.payload for one in said], "the called device is told that it's over"
    assert (await alice.call("bob", call_id="c1")).status in (200, 201)
