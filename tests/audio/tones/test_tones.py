from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import EUROPEAN, JOINED, LEFT, UNITED_STATES, Loop, Sine, TonePlan, render, signal_source
from sinchphone.media.sound import Signal
from tests.instruments import dominant_hz


def test_a_sine_has_its_frequency_and_level() -> None:
    block = Sine(440, -20).pull(RATE)
    assert dominant_hz(block) == pytest.approx(440, abs=0.1)
    assert dbfs(block) == pytest.approx(-20, abs=0.01)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12))
def test_a_sine_does_not_jump_between_two_pulls(cuts: list[int]) -> None:
    sine = Sine(997.3)
    pieces = np.concatenate([sine.pull(cut) for cut in cuts]).astype(int)
    whole = Sine(997.3).pull(sum(cuts)).astype(int)
    assert np.abs(pieces - whole).max(initial=0) <= 1


@pytest.mark.parametrize("hz", [0, -1, 24_000, float("nan")])
def test_a_tone_that_samples_cannot_hold_is_refused(hz: float) -> None:
    with pytest.raises(ValueError, match="Hz"):
        Sine(hz)


@pytest.mark.parametrize("plans", [EUROPEAN, UNITED_STATES])
def test_every_signal_has_a_plan(plans: Mapping[str, TonePlan]) -> None:
    assert {signal.value for signal in Signal} == set(plans)


@pytest.mark.parametrize(
    ("plan", "hertz", "on", "off"),
    [
        (EUROPEAN["ringback"], (425,), 1.0, 4.0),
        (EUROPEAN["busy"], (425,), 0.5, 0.5),
        (EUROPEAN["congestion"], (425,), 0.25, 0.25),
        (UNITED_STATES["ringback"], (440, 480), 2.0, 4.0),
        (UNITED_STATES["busy"], (480, 620), 0.5, 0.5),
        (UNITED_STATES["congestion"], (480, 620), 0.25, 0.25),
    ],
)
def test_a_cadence_sounds_and_rests_as_e180_says(plan: TonePlan, hertz: tuple[float, ...], on: float, off: float) -> None:
    period = render(plan)
    assert len(period) == (on + off) * RATE
    sounding, resting = period[: int(on * RATE)], period[int(on * RATE) :]
    assert sum(share(sounding, hz) for hz in hertz) > 0.98
    assert not resting.any()
    assert dbfs(sounding) == pytest.approx(-20, abs=0.3)


@pytest.mark.parametrize("name", ["ringback", "busy", "ringtone"])
def test_no_signal_begins_or_ends_with_a_click(name: str) -> None:
    source = signal_source(name)
    steps = np.abs(np.diff(source.pull(12 * RATE).astype(int)))
    assert steps.max() < 1000


def test_a_ringtone_is_music_with_a_rest() -> None:
    period = render(EUROPEAN["ringtone"])
    assert len({round(dominant_hz(period[start : start + 7200]) or 0, -1) for start in range(0, 26_000, 8640)}) >= 3
    assert not period[-RATE:].any()
    assert -40 < dbfs(period) < -15


def test_a_source_repeats_for_ever_in_frames() -> None:
    source, period = signal_source("congestion"), render(EUROPEAN["congestion"])
    frames = [source.pull() for _ in range(100)]
    assert all(len(frame) == FRAME_SAMPLES for frame in frames)
    assert np.array_equal(np.concatenate(frames), np.tile(period, 4))


@given(st.integers(1, 50), st.lists(st.integers(0, 200), min_size=1, max_size=10))
def test_a_loop_gives_any_number_of_samples_in_order(length: int, cuts: list[int]) -> None:
    loop, samples = Loop(np.arange(length, dtype=np.int16)), sum(cuts)
    pulled = np.concatenate([loop.pull(cut) for cut in cuts])
    assert np.array_equal(pulled, np.arange(samples) % length)


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(KeyError):
        signal_source("dial tone")


def test_nothing_cannot_be_repeated() -> None:
    with pytest.raises(ValueError, match="repeated"):
        Loop(np.zeros(0, np.int16))


@pytest.mark.parametrize(("plan", "rises"), [(JOINED, True), (LEFT, False)])
def test_the_tone_of_who_comes_goes_up_and_of_who_goes_goes_down_both_short_and_low(plan: TonePlan, rises: bool) -> None:
    wave = render(plan)
    first, second = dominant_hz(wave[:4000]), dominant_hz(wave[-7000:])
    assert first is not None and second is not None
    assert (second > first) is rises
    assert len(wave) < 0.3 * RATE
    assert -35 < dbfs(wave) < -25
