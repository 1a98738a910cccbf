"""The load on an exchange, short: it still measures, and nothing costs many times what it should. Figures: run ``load.py``."""

import asyncio
import os
import shutil

import growth
import load
import pytest
import soak
import store_cost


def test_registrations_calls_and_frames_are_measured_with_the_exchanges_own_cpu() -> None:
    found = asyncio.run(load.measure(8, 8))
    assert (found.registrations.count, found.calls.count, found.frames.count) == (8, 8, 8 * load.FRAMES_A_CALL)
    assert all(0 < took < load.PATIENCE_S for phase in (found.registrations, found.calls, found.frames) for took in phase.took)
    assert found.calls.cpu_s > 0
    assert "call, until it rings" in load.report(found)


@pytest.mark.skipif(
    shutil.which("redis-server") is None and not os.environ.get("SINCHPHONE_REQUIRE_PEERS"), reason="redis-server is not installed"
)
def test_what_a_store_on_redis_costs_is_measured_beside_what_a_file_does() -> None:
    found = store_cost.measure_redis(2, 2)
    assert min(found.registration, found.call, found.frame, found.redis) >= 0  # so few may take less than the system's clock ticks
    assert "times (bound 2)" in store_cost.report([store_cost.Cost(1.0, 2.0, 0.5)], [found])


@pytest.mark.skipif(
    shutil.which("redis-server") is None and not os.environ.get("SINCHPHONE_REQUIRE_PEERS"), reason="redis-server is not installed"
)
def test_two_processes_are_measured_beside_one_at_the_same_rate_each_and_as_fast_as_they_go() -> None:
    paced, full = (asyncio.run(growth.call_cost(2, 2, 2, rate)) for rate in (4.0, 0.0))
    assert min(paced.cpu_ms, full.cpu_ms) >= 0  # so few may take less than the system's clock ticks
    assert min(paced.asked, full.asked) > 0
    assert paced.late_s > -4 / 8  # the last of four begins after three eighths of a second


def test_what_two_processes_cost_beside_one_is_told_with_whether_the_load_came_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {1: growth.Cost(5.0, 6.0, 0.0), 2: growth.Cost(6.0, 7.0, 1.5)}

    async def cost(processes: int, *about: float, apart: bool = False) -> growth.Cost:
        return costs[processes]

    monkeypatch.setattr(growth, "call_cost", cost)
    told = growth.compare(2, 2, 1, 4.0)
    assert "two processes: 1.20 / 1.00 times the CPU of one / of two that share nothing (bound 1.25)" in told
    assert "up to 1.5 s late" in told


@pytest.mark.skipif(
    shutil.which("redis-server") is None and not os.environ.get("SINCHPHONE_REQUIRE_PEERS"), reason="redis-server is not installed"
)
def test_what_a_soak_leaves_behind_is_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "DEVICES", 2)
    monkeypatch.setattr(growth, "PROCESSES", 1)
    start, end, done = asyncio.run(soak.soak(0.2, quiet_s=0.0))
    assert done.calls > 0 and min(kept.counts["tasks"] for kept in (start, end)) >= growth.PROCESSES
    assert start.counts["rows: devices"] == end.counts["rows: devices"] == 2
    assert "open files" in soak.report(start, end, done)
    left = soak.Kept(1.0, {"tasks": 1, "rows: calls": soak.SLACK + 1})
    assert soak.grown(soak.Kept(1.0, {"tasks": 1}), left) == ["rows: calls"]
