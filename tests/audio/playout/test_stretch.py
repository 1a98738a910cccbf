"""Time-stretching: the length changes, the pitch and the loudness don't."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.playout.stretch import MIN_SAMPLES, adjust, find_period, grow, shrink, trim


def tone(hz: float, samples: int) -> Samples:
    return (8000 * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)).astype(np.int16)


def voice(hz: float, samples: int) -> Samples:
    """A buzz with formant-like weights: periodic, but no sine."""
    t = np.arange(samples) / RATE
    return sum(2500 / k * np.sin(2 * np.pi * k * hz * t + k) for k in range(1, 12)).astype(np.int16)  # type: ignore[union-attr]


def purity(sound: Samples, hz: float) -> float:
    """The share of energy within 3 bins of ``hz``, of half a second or more."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    centre = round(hz * len(sound) / RATE)
    return float(spectrum[centre - 3 : centre + 4].sum() / spectrum.sum())


def stretched(sound: Samples, excess: float) -> Samples:
    return np.concatenate([adjust(sound[i : i + FRAME_SAMPLES], excess) for i in range(0, len(sound), FRAME_SAMPLES)])


@pytest.mark.parametrize("hz", [110, 220, 300, 440, 1000])
@pytest.mark.parametrize("excess", [0.05, -0.05])
def test_a_stretched_tone_keeps_its_frequency(hz: float, excess: float) -> None:
    sound = tone(hz, 60 * FRAME_SAMPLES)
    result = stretched(sound, excess)
    assert abs(len(result) / len(sound) - 1) > 0.1
    assert (len(result) < len(sound)) == (excess > 0)
    assert purity(result, hz) > 0.97


@pytest.mark.parametrize("excess", [0.05, -0.05])
def test_a_stretched_tone_keeps_its_level(excess: float) -> None:
    result = stretched(tone(440, 60 * FRAME_SAMPLES), excess).astype(float)
    assert np.sqrt(np.mean(result**2)) == pytest.approx(8000 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("hz", [105, 150, 190, 333])
def test_the_period_of_a_voice_is_found(hz: float) -> None:
    period = find_period(voice(hz, FRAME_SAMPLES))
    periods = period.samples / (RATE / hz)
    assert abs(periods - round(periods)) < 0.02
    assert period.likeness > 0.95


def test_one_period_is_taken_out_or_put_in() -> None:
    block = voice(200, FRAME_SAMPLES)
    assert len(shrink(block, 240)) == FRAME_SAMPLES - 240
    assert len(grow(block, 240)) == FRAME_SAMPLES + 240


def test_both_ends_of_the_block_stay_so_that_it_fits_its_neighbours() -> None:
    block = voice(200, FRAME_SAMPLES)
    for result in (shrink(block, 240), grow(block, 240)):
        assert result[0] == block[0]
        assert np.array_equal(result[-400:], block[-400:])


def test_noise_is_left_alone_while_the_delay_is_only_a_little_off() -> None:
    noise = np.random.default_rng(1).integers(-8000, 8000, FRAME_SAMPLES).astype(np.int16)
    assert np.array_equal(adjust(noise, 0.015), noise)
    assert np.array_equal(adjust(noise, -0.015), noise)


def test_silence_is_cut_by_as_much_as_possible() -> None:
    assert len(adjust(silence(), 0.02)) == FRAME_SAMPLES // 2
    assert len(adjust(silence(), -0.02)) == FRAME_SAMPLES * 3 // 2


@pytest.mark.parametrize("excess", [-0.0007, -0.003])
def test_where_the_delay_is_a_little_short_few_of_many_alike_periods_are_added(excess: float) -> None:
    """Trap: 9 ms more where 1 was needed were 9 ms too much, half a second later, for ever: players with blocks of 1024 did so."""
    changed = abs(len(adjust(tone(440, FRAME_SAMPLES), excess)) - FRAME_SAMPLES)
    assert changed <= max(240, 2 * abs(excess) * RATE)
    assert abs(len(adjust(silence(), excess)) - FRAME_SAMPLES) <= max(120, 2 * abs(excess) * RATE)
    assert abs(len(adjust(voice(110, FRAME_SAMPLES), excess)) - FRAME_SAMPLES) == pytest.approx(RATE / 110, abs=5)


def test_what_is_on_target_or_too_short_is_left_alone() -> None:
    for block, excess in ((tone(200, FRAME_SAMPLES), 0.0), (tone(200, MIN_SAMPLES - 1), 0.1), (silence(0), 0.1)):
        assert adjust(block, excess) is block


@given(st.binary(min_size=2, max_size=4000), st.floats(-1, 1))
def test_any_block_comes_out_at_most_half_as_long_or_longer(raw: bytes, excess: float) -> None:
    block = np.frombuffer(raw[: len(raw) // 2 * 2], np.int16)
    result = adjust(block, excess)
    assert result.dtype == np.int16
    assert len(block) / 2 <= len(result) <= len(block) * 1.5


def test_a_trim_leaves_out_no_more_than_it_may_and_nothing_that_is_heard() -> None:
    sound = voice(150, 960)  # a period of 320 samples
    assert len(trim(sound, 480)) == pytest.approx(960 - 320, abs=3)
    assert len(trim(sound, 300)) == 960
    assert len(trim(np.zeros(960, np.int16), 333)) == 960 - 333
    noise = np.random.default_rng(2).normal(0, 5000, 960).astype(np.int16)
    assert len(trim(noise, 480)) == 960
    assert len(trim(sound, 0)) == 960
    assert len(trim(sound[:200], 100)) == 200
