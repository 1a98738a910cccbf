"""Any number of readers: each has every event in order from when it subscribed."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from sinchphone.engine.events.event_log import EventLog
from sinchphone.tasks import start_task


async def take(reader: AsyncIterator[int], count: int) -> list[int]:
    async with asyncio.timeout(10):
        return [await anext(reader) for _ in range(count)]


async def test_two_readers_each_get_every_event_in_order() -> None:
    log = EventLog[int](100)
    first, second = log.read(), log.read()
    both = [start_task(take(reader, 5), name="take") for reader in (first, second)]
    for event in range(5):
        log.put(event)
        await asyncio.sleep(0)
    assert [await one for one in both] == [[0, 1, 2, 3, 4]] * 2


async def test_the_first_reader_has_what_was_told_before_it_came() -> None:
    log = EventLog[int](100)
    log.put(1)
    log.put(2)
    assert await take(log.read(), 2) == [1, 2]


async def test_a_later_reader_has_what_is_told_from_then_on() -> None:
    log = EventLog[int](100)
    first = log.read()
    log.put(1)
    assert await take(first, 1) == [1]
    later = log.read()
    log.put(2)
    assert await take(later, 1) == await take(first, 1) == [2]


async def test_a_reader_that_subscribed_and_waits_loses_nothing_to_one_that_reads() -> None:
    log = EventLog[int](100)
    slow, quick = log.read(), log.read()
    for event in range(10):
        log.put(event)
        assert await take(quick, 1) == [event]
    assert await take(slow, 10) == list(range(10))


async def test_who_leaves_too_much_unread_loses_the_oldest_and_the_others_nothing() -> None:
    log = EventLog[int](3)
    slow, quick = log.read(), log.read()
    for event in range(10):
        log.put(event)
        assert await take(quick, 1) == [event]
    assert await take(slow, 3) == [7, 8, 9]


async def test_readers_end_with_the_log_when_they_have_read_what_there_is() -> None:
    log = EventLog[int](10)
    waiting, late = log.read(), log.read()
    task = start_task(take(waiting, 1), name="take")
    await asyncio.sleep(0)
    log.put(1)
    assert await task == [1]
    log.end()
    async with asyncio.timeout(10):
        assert [event async for event in waiting] == []
        assert [event async for event in late] == [1]
        assert [event async for event in log.read()] == []


async def test_a_reader_that_is_cancelled_takes_nothing_from_the_others() -> None:
    log = EventLog[int](10)
    given_up, other = start_task(take(log.read(), 1), name="take"), log.read()
    await asyncio.sleep(0)
    given_up.cancel()
    log.put(1)
    assert await take(other, 1) == [1]


async def test_a_reader_goes_on_after_it_waited_in_vain() -> None:
    log = EventLog[int](10)
    reader = log.read()
    for event in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(reader), 0.01)
        log.put(event)
        assert await take(reader, 1) == [event]


class Heavy:
    """An event that holds a lot."""


async def test_an_event_that_all_readers_had_is_let_go_of() -> None:
    log = EventLog[Heavy](1_000)
    quick, slow = log.read(), log.read()
    told = Heavy()
    kept = weakref.ref(told)
    log.put(told)
    del told
    assert isinstance(await anext(quick), Heavy)
    assert kept() is not None, "the other may still want it"
    assert isinstance(await anext(slow), Heavy)
    gc.collect()
    assert kept() is None


async def test_a_reader_that_is_gone_keeps_nothing() -> None:
    log = EventLog[Heavy](1_000)
    reader, gone = log.read(), log.read()
    del gone
    told = Heavy()
    kept = weakref.ref(told)
    log.put(told)
    del told
    await anext(reader)
    gc.collect()
    assert kept() is None
