import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import RATE, silence
from sinchphone.audio.levels.level import Meter, amplitude, dbfs, mean_square
from sinchphone.audio.tones.signals import Sine


def test_a_square_wave_of_full_scale_is_zero_dbfs() -> None:
    assert dbfs(np.full(480, -32_768, np.int16)) == pytest.approx(0.0)


def test_a_sine_of_full_scale_reads_three_decibels_less() -> None:
    assert dbfs(Sine(1000, -3.02).pull(RATE)) == pytest.approx(-3.01, abs=0.02)


def test_half_the_amplitude_is_six_decibels_less() -> None:
    loud, soft = np.full(100, 8000, np.int16), np.full(100, 4000, np.int16)
    assert dbfs(loud) - dbfs(soft) == pytest.approx(6.02, abs=0.01)


def test_digital_silence_and_no_samples_are_minus_infinity() -> None:
    assert dbfs(silence()) == -math.inf
    assert dbfs(silence(0)) == -math.inf


def test_amplitude_never_leaves_sixteen_bits() -> None:
    assert amplitude(20.0) == 32_767


@given(st.lists(st.integers(-32_768, 32_767), max_size=50))
def test_power_is_between_nothing_and_full_scale(values: list[int]) -> None:
    assert 0.0 <= mean_square(np.array(values, np.int16)) <= 1.0


def test_a_meter_reads_a_steady_tone_within_a_fifth_of_a_second() -> None:
    meter, tone = Meter(), Sine(440, -20.0)
    for _ in range(10):
        meter.push(tone.pull())
    assert meter.dbfs == pytest.approx(-20.0, abs=0.2)


def test_a_meter_does_not_care_how_the_stream_is_cut() -> None:
    coarse, fine, sound = Meter(), Meter(), np.full(4800, 5000, np.int16)
    coarse.push(sound)
    for start in range(0, 4800, 480):
        fine.push(sound[start : start + 480])
    assert coarse.dbfs == pytest.approx(fine.dbfs)


def test_a_meter_decays_and_ends_at_minus_infinity() -> None:
    meter = Meter()
    assert meter.dbfs == -math.inf
    meter.push(np.full(RATE, 32_000, np.int16))
    meter.push(silence(4800))
    assert meter.dbfs == pytest.approx(-8.9, abs=0.2)
    meter.push(silence(2 * RATE))
    assert meter.dbfs == -math.inf
