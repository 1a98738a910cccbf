"""How many calls the trunk carries at a time, in one process and over several."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sinchphone.exchange.store.store import StoreError
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.trunk import trunk_lines
from sinchphone.gateway.trunk.trunk_lines import TrunkLines
from tests.waiting import until


class Counts:
    """What all processes know, without a store."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}
        self.is_reached = True

    def process(self, name: str) -> "OneCount":
        return OneCount(self, name)


class OneCount:
    def __init__(self, counts: Counts, name: str) -> None:
        self._counts = counts
        self._name = name

    async def count(self, own: int, most: int | None = None) -> bool:
        if not self._counts.is_reached:
            raise StoreError("it isn't reached")
        others = sum(number for name, number in self._counts.of.items() if name != self._name)
        fits = most is None or own + others <= most
        self._counts.of[self._name] = own if fits else own - 1
        await asyncio.sleep(0)
        return fits


@pytest.fixture
async def counts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counts]:
    monkeypatch.setattr(trunk_lines, "COUNT_AGAIN_SECONDS", 0.01)
    yield Counts()


def refused(answer: Failure | None) -> str:
    assert isinstance(answer, Failure)
    assert answer.status == 503
    return answer.reason


async def test_more_calls_than_the_trunk_has_lines_are_refused_until_one_ends() -> None:
    lines = TrunkLines(2)
    assert await lines.take() is None
    assert await lines.take() is None
    assert refused(await lines.take()) == "all 2 lines of the trunk are in use"
    lines.release()
    assert await lines.take() is None


async def test_a_line_that_nobody_has_is_not_released() -> None:
    lines = TrunkLines(1)
    lines.release()
    assert lines.calls == 0


async def test_lines_are_counted_over_all_processes(counts: Counts) -> None:
    one, other = (TrunkLines(3, counts.process(name)) for name in ("one", "other"))
    taken = await asyncio.gather(*(lines.take() for lines in (one, other, one, other, one)))
    assert sum(failure is None for failure in taken) == 3
    assert one.calls + other.calls == 3 == sum(counts.of.values())
    (one if one.calls else other).release()
    await until(lambda: sum(counts.of.values()) == 2)
    assert await other.take() is None


async def test_without_the_store_no_call_is_taken_and_one_that_ends_counts_until_it_is_reached(counts: Counts) -> None:
    one, other = (TrunkLines(1, counts.process(name)) for name in ("one", "other"))
    assert await one.take() is None
    counts.is_reached = False
    assert "can't be counted" in refused(await one.take())
    one.release()
    await asyncio.sleep(0)
    counts.is_reached = True
    await until(lambda: not counts.of["one"])
    assert await other.take() is None


async def test_who_was_taken_for_dead_says_again_what_it_carries(counts: Counts) -> None:
    one = TrunkLines(2, counts.process("one"))
    assert await one.take() is None
    counts.of.clear()
    one.tell()
    await until(lambda: counts.of == {"one": 1})
    await one.close()
    assert counts.of == {"one": 0}
    await one.close()
