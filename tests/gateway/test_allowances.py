"""What users may have of a trunk in a day: calls, minutes, and what they cost."""

import asyncio
from pathlib import Path

import pytest

from sinchphone.errors import ConfigError
from sinchphone.exchange.calls.usage import DAY_SECONDS, DayUsage, Payer, UsageRecords, day_of
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.exchange.store.tables import USAGE
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.trunk.allowances import MIN_SECONDS, CountedCall, TrunkAllowances
from sinchphone.gateway.trunk.metering import CallMeter, Metering
from sinchphone.schema import read_amounts
from sinchphone.tasks import start_task

ADA, BOB = Payer("acme", "ada"), Payer("acme", "bob")
NUMBER, ABROAD = "+46700000002", "+12125552368"
MORNING = 20_000 * DAY_SECONDS + 8 * 3600.0


class Days:
    """TrunkAllowances, asked and told at points in time."""

    def __init__(self, records: UsageRecords | None = None, **options: object) -> None:
        self.records = records or UsageRecords()
        given = {"host": "carrier.example", "daily_calls": 0, "daily_minutes": 0, **options}
        self.allowances = TrunkAllowances(TrunkOptions(**given), self.records)  # type: ignore[arg-type]

    def place(self, account: Payer = ADA, number: str = NUMBER, now: float = MORNING) -> CountedCall:
        placed = self.allowances.place(account, number, now)
        assert isinstance(placed, CountedCall), placed
        return placed

    def refused(self, account: Payer = ADA, number: str = NUMBER, now: float = MORNING) -> str:
        refusal = self.allowances.place(account, number, now)
        assert isinstance(refusal, Failure)
        assert refusal.status == 403
        return refusal.reason

    def talk(self, seconds: float, account: Payer = ADA, number: str = NUMBER, now: float = MORNING) -> None:
        call = self.place(account, number, now)
        self.allowances.answered(call, now)
        self.allowances.over(call, now + seconds)

    def used(self, account: Payer = ADA, now: float = MORNING) -> DayUsage:
        return self.records.of(account, day_of(now))


def test_a_user_has_so_many_calls_a_day_and_others_have_theirs() -> None:
    days = Days(daily_calls=2)
    days.place()
    days.place()
    assert days.refused() == "today's calls over the trunk (2 at most) are used up: from 00:00 UTC on there are new ones"
    days.place(BOB)
    days.place(Payer("another application", "ada"))


@pytest.mark.parametrize(("now", "refused"), [(MORNING + 15.9 * 3600, True), (MORNING + 16 * 3600, False), (MORNING - 24 * 3600, False)])
def test_allowances_begin_anew_at_midnight_utc(now: float, refused: bool) -> None:
    days = Days(daily_calls=1)
    days.place()
    answer = days.allowances.place(ADA, NUMBER, now)
    assert isinstance(answer, Failure) is refused


def test_a_refused_call_uses_nothing_up() -> None:
    days = Days(daily_calls=1, daily_spend=1.0, prices={"+46": 0.1})
    days.refused(number=ABROAD)
    days.place()
    days.refused()
    assert days.used() == DayUsage(calls=1)


def test_minutes_count_from_the_answer_to_the_end() -> None:
    days = Days(daily_minutes=2)
    call = days.place()
    assert days.allowances.used_up(call, MORNING + 1000) is None, "it only rings"
    days.allowances.answered(call, MORNING + 1000)
    assert days.allowances.used_up(call, MORNING + 1119) is None
    reason = days.allowances.used_up(call, MORNING + 1120)
    assert reason == Failure(403, "today's minutes over the trunk (2 at most) are used up: from 00:00 UTC on there are new ones")
    days.allowances.over(call, MORNING + 1120)
    days.allowances.over(call, MORNING + 5000)
    assert days.used().seconds == pytest.approx(120)
    assert "minutes" in days.refused(now=MORNING + 5000)


def test_calls_of_a_user_share_the_minutes() -> None:
    days = Days(daily_minutes=1)
    one, other = days.place(), days.place()
    days.allowances.answered(one, MORNING)
    assert days.allowances.look_again_in(one, MORNING) == 60
    days.allowances.answered(other, MORNING + 20)
    assert days.allowances.look_again_in(one, MORNING + 20) == pytest.approx(20)
    assert days.allowances.used_up(one, MORNING + 39) is None
    assert days.allowances.used_up(one, MORNING + 40) is not None
    assert days.allowances.used_up(other, MORNING + 40) is not None


def test_when_one_call_is_over_the_other_may_last_longer() -> None:
    days = Days(daily_minutes=1)
    one, other = days.place(), days.place()
    for call in (one, other):
        days.allowances.answered(call, MORNING)
    days.allowances.over(one, MORNING + 10)
    assert days.allowances.look_again_in(other, MORNING + 10) == pytest.approx(40)


def test_attack_many_calls_placed_at_once_get_no_more_minutes_together() -> None:
    days = Days(daily_minutes=10)
    calls = [days.place() for _ in range(50)]
    for call in calls:
        days.allowances.answered(call, MORNING)
    assert all(days.allowances.used_up(call, MORNING + 12) is not None for call in calls)
    assert days.used().seconds == pytest.approx(600)


def test_a_call_over_midnight_counts_on_each_day_what_it_lasted_then() -> None:
    days = Days(daily_minutes=10)
    midnight = MORNING + 16 * 3600
    call = days.place(now=midnight - 540)
    days.allowances.answered(call, midnight - 540)
    assert days.allowances.look_again_in(call, midnight - 20) <= 20
    assert days.allowances.used_up(call, midnight + 30) is None
    assert days.used(now=midnight).seconds == pytest.approx(30)
    assert days.allowances.used_up(call, midnight + 599) is None
    assert days.allowances.used_up(call, midnight + 600) is not None


def test_a_clock_that_is_set_back_counts_nothing_twice() -> None:
    days = Days(daily_minutes=10)
    call = days.place()
    days.allowances.answered(call, MORNING)
    for now in (MORNING + 60, MORNING + 30, MORNING + 60, MORNING + 90):
        assert days.allowances.used_up(call, now) is None
    assert days.used().seconds == pytest.approx(90)


def test_what_is_left_is_never_waited_for_in_no_time() -> None:
    days = Days(daily_minutes=1)
    call = days.place()
    days.allowances.answered(call, MORNING)
    assert days.allowances.look_again_in(call, MORNING + 59.999) == MIN_SECONDS
    assert days.allowances.look_again_in(call, MORNING + 70) == MIN_SECONDS


PRICES = {"+46": 0.06, "+4670": 0.6, "+1": 0.0}


def test_calls_cost_what_the_longest_beginning_says_and_end_when_that_is_used_up() -> None:
    days = Days(daily_spend=1.2, prices=PRICES)
    mobile = days.place(number="+46700000002")
    days.allowances.answered(mobile, MORNING)
    assert days.allowances.used_up(mobile, MORNING + 119) is None
    assert days.allowances.used_up(mobile, MORNING + 120) is not None
    days.allowances.over(mobile, MORNING + 120)
    assert days.used().cost == pytest.approx(1.2)
    assert "cost" in days.refused(now=MORNING + 120)
    days.place(number="+12125552368", now=MORNING + 120)  # free


def test_attack_the_same_number_written_with_its_national_zero_is_not_cheaper() -> None:
    days = Days(daily_spend=0.6, prices=PRICES)
    days.talk(61, number="+460700000002")
    assert days.used().cost == pytest.approx(0.61)


def test_a_number_without_a_price_is_not_called_where_spend_is_limited() -> None:
    assert "has no price" in Days(daily_spend=1.0, prices=PRICES).refused(number="+882160000000")
    Days(prices=PRICES).place(number="+882160000000")


def test_spend_is_limited_only_where_prices_are_known() -> None:
    with pytest.raises(ConfigError, match="daily_spend needs prices"):
        TrunkOptions(host="carrier.example", daily_spend=1.0)


@pytest.mark.parametrize("written", ["free", "-1", "1e3", True, None, "0x1", "", "1,5", float("nan")])
def test_prices_are_amounts(written: object) -> None:
    with pytest.raises(ValueError, match="amount"):
        read_amounts({"+46": written})
    assert read_amounts({"+46": "0.02", "+1": 1, "+47": 0.5}) == {"+46": 0.02, "+1": 1.0, "+47": 0.5}


async def kept(path: Path, now: float) -> tuple[SqliteStore, UsageRecords]:
    store = SqliteStore(path)
    await store.open()
    records = UsageRecords(store)
    await records.recall(now)
    return store, records


async def test_what_was_used_is_known_after_a_restart_on_the_same_day(tmp_path: Path) -> None:
    store, records = await kept(tmp_path / "x.sqlite3", MORNING)
    days = Days(records, daily_spend=100.0, prices=PRICES, daily_calls=3)
    days.talk(600)
    days.talk(600)
    await store.close()
    store, records = await kept(tmp_path / "x.sqlite3", MORNING + 3600)
    used = records.of(ADA, day_of(MORNING))
    assert used.calls == 2
    assert used.seconds == pytest.approx(1200)
    assert used.cost == pytest.approx(12)
    days = Days(records, daily_calls=3)
    days.place()
    days.refused()
    await store.close()


async def test_on_another_day_what_was_used_is_forgotten_in_memory_and_on_disk(tmp_path: Path) -> None:
    tomorrow = MORNING + DAY_SECONDS
    store, records = await kept(tmp_path / "x.sqlite3", MORNING)
    Days(records).talk(600)
    Days(records).talk(600, BOB, now=tomorrow)
    assert records.of(ADA, day_of(MORNING)) == DayUsage()
    await store.settle()
    assert [(user, calls) for _, user, _, calls, *_ in await store.read(USAGE)] == [("bob", 1)]
    await store.close()
    store, records = await kept(tmp_path / "x.sqlite3", tomorrow + DAY_SECONDS)
    assert records.of(BOB, day_of(tomorrow)) == DayUsage()
    await store.settle()
    assert await store.read(USAGE) == []
    await store.close()


# The meter of a call


class Clock:
    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> float:
        return self.now


def placed(metering: Metering) -> CallMeter:
    meter = metering.place(ADA, NUMBER)
    assert isinstance(meter, CallMeter)
    return meter


def metering_of(clock: Clock, **options: object) -> Metering:
    return Metering(TrunkOptions(**{"host": "carrier.example", **options}), UsageRecords(), clock)  # type: ignore[arg-type]


async def test_a_meter_says_when_the_minutes_are_used_up() -> None:
    clock = Clock()
    metering = metering_of(clock, daily_minutes=1)
    meter, other = placed(metering), placed(metering)
    waiting = start_task(meter.used_up(), name="used up")
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.now += 60
    assert isinstance(metering.place(ADA, NUMBER), Failure), "what runs counts, whether it is over or not"
    asked = start_task(other.used_up(), name="used up")  # whose answer wakes the first
    async with asyncio.timeout(5):
        assert [(await one).status for one in (waiting, asked)] == [403, 403]


async def test_a_call_that_is_over_uses_nothing_more() -> None:
    clock = Clock()
    metering = metering_of(clock, daily_minutes=1)
    meter = placed(metering)
    waiting = start_task(meter.used_up(), name="used up")
    await asyncio.sleep(0)
    clock.now += 30
    waiting.cancel()
    meter.close()
    clock.now += 3600
    last = placed(metering)
    clock.now += 3600
    last.close()
    assert isinstance(metering.place(ADA, NUMBER), CallMeter)
