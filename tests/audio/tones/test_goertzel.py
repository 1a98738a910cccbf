import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from tests.instruments import dominant_hz, tone_dbfs


def noise(samples: int) -> Samples:
    return np.random.default_rng(1).normal(0, 3000, samples).astype(np.int16)


@given(st.floats(200, 12_000))
def test_a_pure_tone_holds_all_the_energy(hz: float) -> None:
    assert share(Sine(hz).pull(9600), hz) > 0.98


def test_another_tone_holds_none() -> None:
    assert share(Sine(440).pull(9600), 660) < 0.001


def test_two_equal_tones_hold_half_each() -> None:
    both = Sine(440).pull(RATE) + Sine(1000).pull(RATE)
    assert share(both, 440) == pytest.approx(0.5, abs=0.01)
    assert share(both, 1000) == pytest.approx(0.5, abs=0.01)


def test_noise_has_no_tone() -> None:
    assert share(noise(RATE), 440) < 0.01


def test_silence_has_no_tone() -> None:
    assert share(silence(), 440) == 0.0
    assert share(silence(0), 440) == 0.0
    assert dominant_hz(silence()) is None
    assert dominant_hz(np.full(960, 77, np.int16)) is None
    assert tone_dbfs(silence(), 440) == -math.inf


def test_a_tone_is_measured_beneath_noise() -> None:
    assert tone_dbfs(noise(RATE) + Sine(440, -30).pull(RATE), 440) == pytest.approx(-30, abs=0.3)


@given(st.floats(100, 20_000))
def test_the_strongest_frequency_is_found_within_a_tenth_of_a_hertz(hz: float) -> None:
    assert dominant_hz(Sine(hz).pull(9600)) == pytest.approx(hz, abs=0.1)


def test_the_strongest_of_two_frequencies_wins() -> None:
    assert dominant_hz(Sine(440, -20).pull(9600) + Sine(3000, -30).pull(9600)) == pytest.approx(440, abs=0.5)
