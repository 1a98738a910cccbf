"""What a process that is gone left behind is taken on by one that is left, also where the first that was told goes too."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.redis import redis_store
from sinchphone.exchange.store.redis.redis_store import RedisStore
from sinchphone.exchange.store.tables import PROCESSES
from tests.exchange.shared.conftest import Join, RedisServer
from tests.waiting import until


def store_of(exchange: Exchange) -> RedisStore:
    assert exchange._shared is not None, "it shares one"
    return exchange._shared


@pytest.mark.parametrize("told_first", ["an heir that dies", "all are left"])
async def test_a_process_whose_end_was_told_to_one_that_went_too_is_missed_by_the_next(
    told_first: str, join: Join, redis: RedisServer, monkeypatch: Any
) -> None:
    """Else everybody would go on asking it, and its calls would be nobody's."""
    monkeypatch.setattr(redis_store, "_BURIAL_SECONDS", 1.5)
    exchanges = [await join(redis.address) for _ in range(3)]
    left, heir, gone = map(store_of, exchanges)
    process, told, both = gone.process, 0, sorted(one.process for one in (left, heir))
    really = left._departed

    def departed(application: str, process: str, was_said: bool) -> None:
        nonlocal told
        told += 1
        if told > 1 or told_first == "all are left":  # else whoever was told died of it
            really(application, process, was_said)

    for one in (left, heir):
        one.departures(departed)

    async def rows() -> set[str]:
        await left.catch_up()
        return {row[1] for row in await left.read(PROCESSES)}

    assert process in await rows()
    requests = exchanges[0]._requests
    assert requests is not None
    await exchanges[2].close()
    await until(lambda: process not in requests._known["acme"])
    assert process not in await rows()
    async with asyncio.timeout(5):  # that is said last, when all it had is somebody's
        while sorted(await left.pipeline("acme").ask("HKEYS", left._boxes["acme"].key("alive"))) != both:
            await asyncio.sleep(0.02)
    assert told == (1 if told_first == "all are left" else 2)


async def test_nobody_is_missed_because_redis_was_gone_for_all(
    own_server: Callable[..., RedisServer], join: Join, monkeypatch: Any
) -> None:
    """Else whoever reaches it first ends the rooms and calls of all others. Who doesn't come back is missed all the same."""
    monkeypatch.setattr(redis_store, "DEAD_SECONDS", 3.0)  # a busy machine has us late by one of them
    monkeypatch.setattr(redis_store, "BEAT_SECONDS", 0.1)
    server = own_server()
    exchanges = [await join(server.address) for _ in range(3)]
    first, late, gone = map(store_of, exchanges)
    told: list[str] = []
    for one in (first, late):
        one.departures(lambda application, process, was_said: told.append(process))
    for one in (first, late, gone):
        await one._beat(one._boxes["acme"])
    server.kill()
    await asyncio.sleep(3.3)
    for task in (*late._tasks, *gone._tasks):
        task.cancel()  # neither says that it lives, for now
    server.start()
    await until(lambda: first.is_reached)
    await asyncio.sleep(0.3)
    assert told == []
    await late._beat(late._boxes["acme"], misses=False)
    late.start()
    await until(lambda: told)
    assert told == [gone.process]


@pytest.mark.parametrize("how", ["ends", "dies"])
async def test_the_log_of_the_others_tells_a_process_that_ends_from_one_that_dies(
    how: str, join: Join, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    other, _ = await join(redis.address), await join(redis.address)
    store = store_of(other)
    process = store.process
    await store._beat(store._boxes["acme"])
    if how == "ends":
        await other.close()
    else:
        for task in store._tasks:
            task.cancel()
    await until(lambda: any(process in one.getMessage() for one in caplog.records))
    told = [(one.levelname, one.getMessage()) for one in caplog.records if process in one.getMessage()]
    ended, gone = f"another process of this exchange has ended ({process})", f"another process of this exchange is gone ({process})"
    assert [(level, text.partition(":")[0]) for level, text in told] == [("INFO", ended) if how == "ends" else ("WARNING", gone)]
