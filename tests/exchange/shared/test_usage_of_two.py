"""What users spend of a day's allowance is counted over all processes, those too that are gone."""

import asyncio
import time
from contextlib import ExitStack
from typing import Any

import pytest

from sinchphone.exchange.calls.usage import DAY_SECONDS, DayUsage, Payer, UsageRecords, day_of
from sinchphone.exchange.server import Exchange
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.trunk.allowances import CountedCall, TrunkAllowances
from tests.exchange.shared.conftest import Join, RedisServer

ADA, BOB = Payer("acme", "ada"), Payer("acme", "bob")
NUMBER = "+46700000001"
DAY = day_of(time.time()) + 5  # one that isn't over as the test runs


@pytest.fixture
async def both(join: Join, redis: RedisServer) -> tuple[Exchange, Exchange]:
    first, second = await asyncio.gather(*(join(redis.address) for _ in range(2)))
    return first, second


async def told(exchanges: Any) -> None:
    """What each has counted has come to all."""
    for exchange in exchanges:
        await exchange._store.settle()
    for exchange in exchanges:
        await exchange._store.catch_up()


async def records(exchange: Exchange, now: float) -> UsageRecords:
    made = UsageRecords(exchange._store, exchange._shared.process)  # type: ignore[union-attr]
    await made.recall(now)
    return made


async def test_calls_and_minutes_of_a_user_are_counted_over_all_processes(both: Any) -> None:
    now = DAY * DAY_SECONDS + 3_600.0
    one, other = [
        TrunkAllowances(TrunkOptions(host="carrier.example", daily_calls=2, daily_minutes=3), await records(x, now)) for x in both
    ]
    first, second = one.place(ADA, NUMBER, now), None
    await told(both)
    second = other.place(ADA, NUMBER, now)
    await told(both)
    assert isinstance(first, CountedCall) and isinstance(second, CountedCall)
    for allowances in (one, other):
        assert isinstance(allowances.place(ADA, NUMBER, now), Failure)
        assert isinstance(allowances.place(BOB, NUMBER, now), CountedCall)
    one.answered(first, now)
    assert one.used_up(first, now + 120) is None
    await told(both)
    other.answered(second, now + 120)
    assert other.used_up(second, now + 150) is None
    assert isinstance(other.used_up(second, now + 181), Failure), "two minutes there, one here"


async def test_what_a_process_counted_that_is_gone_counts_on_until_the_day_is_over(both: Any, join: Join, redis: RedisServer) -> None:
    day = DAY
    first = await records(both[0], day * DAY_SECONDS)
    first.note(ADA, day, DayUsage(3, 60.0, 1.5))
    await told(both)
    await both[0].close()
    later = await records(await join(redis.address), day * DAY_SECONDS)
    second = await records(both[1], day * DAY_SECONDS)
    assert later.of(ADA, day) == second.of(ADA, day) == DayUsage(3, 60.0, 1.5)
    later.note(ADA, day, DayUsage(4, 61.0, 1.5))
    assert later.of(ADA, day) == DayUsage(4, 61.0, 1.5)
    later.note(ADA, day + 1, DayUsage(1, 0.0, 0.0))
    assert later.of(ADA, day + 1) == DayUsage(1, 0.0, 0.0) and later.of(ADA, day) == DayUsage()


async def test_a_reset_forgets_it_everywhere(both: Any) -> None:
    today = DAY
    one, other = both[0]._usage, both[1]._usage
    one.note(ADA, today, DayUsage(1, 1.0, 1.0))
    await told(both)
    assert other.of(ADA, today) == DayUsage(1, 1.0, 1.0)
    other.clear("acme", ExitStack())
    await told(both)
    one.clear("acme", ExitStack())
    assert one.of(ADA, today) == other.of(ADA, today) == DayUsage()
