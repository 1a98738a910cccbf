"""Whose turn it is among processes that all want one: in the order in which they asked, with no more questions than it takes."""

import asyncio
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.redis import commit_queue, redis_store
from sinchphone.exchange.store.redis.pipeline import LuaScript
from sinchphone.exchange.store.redis.scripts import ACQUIRE
from sinchphone.exchange.store.tables import SEEN
from sinchphone.tasks import start_task
from tests.exchange.conftest import Phone
from tests.exchange.shared.conftest import Join, RedisServer
from tests.exchange.shared.test_lost_redis import crash

PATIENCE = 10.0


@pytest.fixture
async def stores(join: Join, redis: RedisServer) -> list[Any]:
    exchanges: list[Exchange] = await asyncio.gather(*(join(redis.address) for _ in range(3)))
    return [one._store for one in exchanges]


def count_questions(store: Any) -> list[str]:
    """What is asked for a turn from now on."""
    pipeline, asked = store._boxes["acme"]._pipeline, []
    run = pipeline.run

    async def counted(script: LuaScript, *words: Any) -> Any:
        if script.text == ACQUIRE:
            asked.append(words[1][0])
        return await run(script, *words)

    pipeline.run = counted
    return asked


async def take_turn(store: Any, name: str, order: list[str]) -> None:
    async with store.exclusive("acme"):
        order.append(name)
        store.put(SEEN, "acme", name, f"device of {name}", 0.0)


async def stand_in_line(store: Any, count: int) -> None:
    box = store._boxes["acme"]
    async with asyncio.timeout(PATIENCE):
        while await box._pipeline.ask("LLEN", box.key("line")) < count:
            await asyncio.sleep(0.005)


async def test_who_waits_is_handed_the_turn_in_order_and_need_not_ask_meanwhile(stores: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_queue, "_LOOK_SECONDS", (PATIENCE, PATIENCE))
    order: list[str] = []
    asked = [count_questions(store) for store in stores]
    async with stores[0].exclusive("acme"):
        waiting = []
        for number, name in ((2, "second"), (1, "third")):
            waiting.append(start_task(take_turn(stores[number], name, order), name=name))
            await stand_in_line(stores[0], len(waiting))
        stores[0].put(SEEN, "acme", "first", "device of first", 0.0)
        assert not order
    async with asyncio.timeout(PATIENCE / 2):
        await asyncio.gather(*waiting)
    assert order == ["second", "third"]
    assert [len(questions) for questions in asked] == [1, 2, 2]


async def test_who_waits_is_told_of_a_turn_in_which_nothing_was_changed(stores: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_queue, "_LOOK_SECONDS", (PATIENCE, PATIENCE))
    order: list[str] = []
    async with stores[0].exclusive("acme"):
        waiting = start_task(take_turn(stores[1], "second", order), name="second")
        await stand_in_line(stores[0], 1)
    async with asyncio.timeout(PATIENCE / 2):
        await waiting
    assert order == ["second"]


async def test_who_gave_up_waiting_holds_nobody_up(stores: list[Any]) -> None:
    order: list[str] = []
    async with stores[0].exclusive("acme"):
        gone = start_task(take_turn(stores[1], "gone", order), name="gone")
        await stand_in_line(stores[0], 1)
        gone.cancel()
        left = start_task(take_turn(stores[2], "left", order), name="left")
        await asyncio.wait([gone])
    async with asyncio.timeout(PATIENCE):
        await left
    assert order == ["left"]


async def test_a_turn_handed_to_a_process_that_died_meanwhile_is_soon_had_by_another(stores: list[Any]) -> None:
    box = stores[0]._boxes["acme"]
    async with stores[0].exclusive("acme"):
        await box._pipeline.ask("RPUSH", box.key("line"), "a process that was killed-1")
        stores[0].put(SEEN, "acme", "first", "device of first", 0.0)
    order: list[str] = []
    async with asyncio.timeout(commit_queue.PATIENCE_SECONDS):
        await take_turn(stores[1], "second", order)
    assert order == ["second"]


async def test_the_turn_of_a_process_that_died_in_it_is_over_once_it_is_missed(
    join: Join, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not when any turn would be over: who waits for it would have given up before."""
    monkeypatch.setattr(commit_queue, "TURN_MS", 60_000)
    monkeypatch.setattr(redis_store, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(redis_store, "DEAD_SECONDS", 0.6)
    dying, left = await join(redis.address), await join(redis.address)
    turn = dying._store.exclusive("acme")
    await turn.__aenter__()
    await crash(dying)
    order: list[str] = []
    async with asyncio.timeout(commit_queue.PATIENCE_SECONDS):
        await take_turn(left._store, "left", order)
    assert order == ["left"]


async def test_whose_turn_does_not_come_in_time_is_told_that_too_many_want_one_and_when_to_ask_again(
    join: Join, redis: RedisServer, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis answers: nobody is to look there."""
    monkeypatch.setattr(commit_queue, "PATIENCE_SECONDS", 0.5)
    busy, other = await join(redis.address), await join(redis.address)
    async with busy._store.exclusive("acme"):
        for exchange in (busy, other):  # one waits here, one in Redis' line
            phone = Phone(http, exchange.url, "ada")
            answer = await phone.send_registration(phone.token())
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert "too many want something of the exchange at once" in answer.body["message"]
    assert (await phone.send_registration(phone.token())).status == 200
