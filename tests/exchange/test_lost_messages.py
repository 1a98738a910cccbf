"""Messages that were accepted are delivered, those that were refused are not: clocks that jump, clients that lie, disks that are full."""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.exchange.pubsub.timetokens import TICKS, TimeTokens
from sinchphone.exchange.store.redis.redis_store import RedisStore
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.store.tables import TEXT_MESSAGES, TIME_TOKENS
from sinchphone.tasks import start_task
from tests.disk import disk_of
from tests.exchange.conftest import rows_on_redis

ON_BOTH_STORES = True

HOUR = 3_600.0
NOW = 1_795_248_000.0


async def messages(phone: Any, token: str) -> tuple[list[Any], str]:
    """What the next polls bring until something came."""
    async with asyncio.timeout(20):
        while True:
            came, token = await phone.poll(token)
            if came:
                return came, token


@pytest.fixture
async def restarts(start_exchange: Any, lasting: Any) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Starts an exchange on one store; calling it again is a restart, or a crash and a start."""
    running: list[Any] = []

    async def restart(**options: Any) -> Any:
        if running:
            await running[-1].close()
        running.append(await start_exchange(store=lasting, **options))
        return running[-1]

    yield restart


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets this machine's clock to that many seconds ahead."""
    true_time = time.time

    def ahead(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: true_time() + seconds)

    return ahead


async def test_messages_after_a_clock_that_was_an_hour_ahead_and_a_restart(restarts: Any, legacy: Any, clock: Any) -> None:
    clock(HOUR)
    exchange = await restarts()
    ada, bob = await legacy("ada", url=exchange.url).started(), await legacy("bob", url=exchange.url).started()
    await ada.write_to("bob", text="from the future")
    _, token = await messages(bob, (await bob.poll())[1])
    asyncio.get_running_loop().call_later(0.3, exchange.broker.wake_everybody)
    await bob.poll(token)  # says that it has it
    clock(0)
    exchange = await restarts()
    ada, bob = replace(ada, url=exchange.url), replace(bob, url=exchange.url)
    frame = await ada.write_to("bob", text="from today")
    assert (await messages(bob, token))[0] == [frame]
    another = await ada.write_to("bob", text="once more")
    came, _ = await messages(bob, (await bob.poll())[1])
    assert another in came


async def test_a_poll_with_a_token_of_the_future_moves_nobody_elses_messages(legacy: Any) -> None:
    ada, bob, mallory = [await legacy(name).started() for name in ("ada", "bob", "mallory")]
    _, before = await bob.poll()
    future = str(int((time.time() + HOUR) * TICKS))
    poll = start_task(mallory.poll(future), name="poll")
    await asyncio.sleep(0.1)
    assert int((await bob.poll())[1]) < int(future)
    frame = await ada.write_to("bob")
    assert (await messages(bob, before))[0] == [frame]
    poll.cancel()


async def test_a_device_that_names_a_token_of_the_future_still_gets_its_messages(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    frame = await ada.write_to("bob")
    future = str(int((time.time() + HOUR) * TICKS))
    came, token = await messages(bob, future)
    assert came == [frame]
    assert int(token) < int(future)


async def test_the_time_asked_for_while_the_clock_is_ahead_moves_nothing(legacy: Any, clock: Any, http: Any, exchange: Any) -> None:
    bob = await legacy("bob").started()
    clock(HOUR)
    async with http.get(f"{exchange.url}/time/0") as answer:
        (told,) = await answer.json()
    clock(0)
    assert told > int((await bob.poll())[1])


async def test_a_full_disk_refuses_a_message_and_does_not_deliver_it(legacy: Any, exchange: Any, monkeypatch: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    await ada.write_to("bob", text="the first one")
    _, token = await messages(bob, (await bob.poll())[1])

    async def full(*asked: Any) -> None:
        raise StoreError("the exchange can't keep this at the moment")

    monkeypatch.setattr(SqliteStore, "keep", full)
    monkeypatch.setattr(RedisStore, "publish", full)
    with pytest.raises(AssertionError):
        await ada.write_to("bob", text="refused")
    monkeypatch.undo()
    frame = await ada.write_to("bob", text="the next one")
    assert (await messages(bob, token))[0] == [frame]


async def test_a_change_that_failed_unseen_is_told_to_those_alone_who_began_before_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "x.sqlite3")
    await store.open()
    before = store.mark()
    store.put(TIME_TOKENS, 1, None)
    await asyncio.sleep(0.3)  # the thread has found out
    await store.keep(TIME_TOKENS, (7, 7))  # no business of this one
    with pytest.raises(StoreError):
        await store.settle(before)
    await store.settle(store.mark())
    with pytest.raises(StoreError):
        await store.keep(TIME_TOKENS, (8, 8), (9, None))
    assert await store.read(TIME_TOKENS) == [(7, 7)]  # all or nothing
    await store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file size limit")
async def test_who_asks_for_what_a_full_disk_does_not_take_is_told_that_it_is_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite3"
    store = SqliteStore(file)
    await store.open()
    with disk_of(file.stat().st_size), pytest.raises(StoreError, match=r"can't keep this at the moment: .*disk") as full:
        await store.keep(TEXT_MESSAGES, ("key", "1", None, "ada", "+46700000001", "x" * 1_000_000, 1.0))
    assert full.value.hint == "check the disk, and the space on it"
    await store.close()


async def test_a_message_that_was_accepted_is_in_the_store_before_the_answer(restarts: Any, legacy: Any, lasting: Any) -> None:
    exchange = await restarts()
    ada, bob = await legacy("ada", url=exchange.url).started(), await legacy("bob", url=exchange.url).started()
    frame = await ada.write_to("bob")
    if isinstance(lasting, Path):
        with sqlite3.connect(lasting) as crashed:
            assert [row[0] for row in crashed.execute("SELECT frame FROM messages")] == [frame]
    else:
        (row,) = rows_on_redis(lasting)["messages"].values()
        assert frame in json.loads(row)
    assert (await messages(bob, (await bob.poll())[1]))[0] == [frame]


@given(st.lists(st.tuples(st.floats(min_value=-2 * HOUR, max_value=2 * HOUR), st.sampled_from(["next", "present", "peek", "restart"]))))
def test_tokens_rise_strictly_over_restarts_whatever_the_clock_does(steps: list[tuple[float, str]]) -> None:
    marks = [0]
    tokens, given_out = TimeTokens(), [0]
    tokens.go_on(0, marks.append)
    for offset, step in steps:
        match step:
            case "next":
                given_out.append(tokens.next(NOW + offset))
            case "present":
                assert tokens.present(NOW + offset) >= given_out[-1]
            case "peek":
                assert tokens.peek(NOW + offset) >= given_out[-1]
            case _:
                tokens = TimeTokens()
                tokens.go_on(marks[-1], marks.append)
    assert all(earlier < later for earlier, later in pairwise(given_out))


def test_a_token_that_was_never_given_counts_as_the_beginning() -> None:
    tokens = TimeTokens()
    tokens.go_on(1_000, lambda mark: None)
    first = tokens.next(NOW)
    assert tokens.known(first, NOW) == first
    assert tokens.known(first + int(HOUR * TICKS), NOW) == 1_000
