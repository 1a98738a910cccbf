"""The load on an exchange, short: it still measures, and nothing costs many times what it should. Figures: run ``load.py``."""

import asyncio

import load


def test_registrations_calls_and_frames_are_measured_with_the_exchanges_own_cpu() -> None:
    found = asyncio.run(load.measure(8, 8))
    assert (found.registrations.count, found.calls.count, found.frames.count) == (8, 8, 8 * load.FRAMES_A_CALL)
    assert all(0 < took < load.PATIENCE_S for phase in (found.registrations, found.calls, found.frames) for took in phase.took)
    assert found.calls.cpu_s > 0
    assert "call, until it rings" in load.report(found)
