import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.audio.twotrack import TrackSide, TwoTrack

TICK = 0.020


def ramp(start: int, samples: int = FRAME_SAMPLES) -> Samples:
    return (np.arange(start, start + samples) % 30_000 + 1).astype(np.int16)


def test_both_sides_on_one_clock_stay_aligned_to_the_sample() -> None:
    line, blocks = TwoTrack(5.0), []
    for tick in range(50):
        now = 5.0 + tick * TICK
        line.put(TrackSide.NEAR, ramp(tick * 960), now)
        line.put(TrackSide.FAR, ramp(tick * 960), now)
        blocks.append(line.pull(now))
    stereo = np.concatenate([*blocks, line.finish()])
    assert stereo.shape == (50 * FRAME_SAMPLES, 2)
    assert np.array_equal(stereo[:, 0], ramp(0, len(stereo)))
    assert np.array_equal(stereo[:, 0], stereo[:, 1])


def test_uneven_blocks_leave_no_hole() -> None:
    line = TwoTrack(0.0)
    times = [0.02, 0.12, 0.12, 0.12, 0.12, 0.12]  # a stall, caught up
    for number, now in enumerate(times):
        line.put(TrackSide.NEAR, ramp(number * 960), now)
        line.put(TrackSide.FAR, ramp(number * 960), 0.02 * (number + 1))
    assert np.array_equal(line.finish()[:, 0], ramp(0, 6 * 960))


def test_a_side_that_comes_late_is_padded_in_front() -> None:
    line = TwoTrack(0.0)
    for tick in range(1, 26):
        line.put(TrackSide.NEAR, ramp(0), tick * TICK)
    line.put(TrackSide.FAR, ramp(0), 0.5)
    far = line.finish()[:, 1]
    assert not far[: 24 * 960].any()
    assert np.array_equal(far[24 * 960 :], ramp(0))


def test_a_side_that_is_missing_is_not_waited_for_long() -> None:
    line, written = TwoTrack(0.0), 0
    for tick in range(1, 51):
        line.put(TrackSide.NEAR, ramp(0), tick * TICK)
        written += len(line.pull(tick * TICK))
    assert written == pytest.approx(0.7 * RATE, abs=960)
    assert len(line.finish()) == RATE - written


def test_a_flood_is_cut_to_the_clock() -> None:
    line = TwoTrack(0.0)
    for _ in range(100):
        line.put(TrackSide.FAR, ramp(0), 0.020)
    assert len(line.finish()) == pytest.approx(0.140 * RATE, abs=1)


def test_a_card_that_runs_fast_is_held_in_step() -> None:
    line, block, written = TwoTrack(0.0), np.ones(FRAME_SAMPLES, np.int16), 0
    for tick in range(1, 15_001):
        for _ in range(2 if tick % 500 == 0 else 1):  # 2000 ppm for five minutes: 0.6 seconds too many
            line.put(TrackSide.NEAR, block, tick * TICK)
        line.put(TrackSide.FAR, block, tick * TICK)
        written += len(line.pull(tick * TICK))
    assert written == 300 * RATE
    assert len(line.finish()) <= 0.121 * RATE


@given(st.lists(st.tuples(st.sampled_from(TrackSide), st.integers(0, 2000), st.floats(0, 0.3)), max_size=40))
def test_neither_side_is_ever_longer_than_the_time_that_passed(events: list[tuple[TrackSide, int, float]]) -> None:
    line, now, total = TwoTrack(0.0), 0.0, 0
    for side, samples, pause in events:
        now += pause
        line.put(side, ramp(0, samples), now)
        total += len(line.pull(now))
    assert total + len(line.finish()) <= (now + 0.121) * RATE + 1
