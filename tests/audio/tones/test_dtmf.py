"""Push-button tones against the limits of ITU-T Q.24."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.levels.level import amplitude
from sinchphone.audio.tones.dtmf import Detector
from sinchphone.audio.tones.signals import Sine
from tests.instruments import DTMF_HZ, tone_of

MS = RATE // 1000


def digits(sound: Samples, piece: int = 960) -> str:
    detector = Detector()
    padded = np.concatenate([silence(50 * MS), sound, silence(100 * MS)])
    return "".join(heard.digit for start in range(0, len(padded), piece) for heard in detector.push(padded[start : start + piece]))


def pair(low: float, high: float, ms: int, low_dbfs: float = -13, high_dbfs: float = -13) -> Samples:
    times = np.arange(ms * MS) / RATE
    wave = amplitude(low_dbfs) * np.sin(2 * math.pi * low * times) + amplitude(high_dbfs) * np.sin(2 * math.pi * high * times)
    return np.rint(wave).astype(np.int16)


def test_every_digit_of_40_ms_with_pauses_of_40_ms_is_recognised_once() -> None:
    keys = "".join(DTMF_HZ)
    sound = np.concatenate([piece for key in keys for piece in (tone_of(key, 40 * MS), silence(40 * MS))])
    assert digits(sound) == keys


def test_the_same_digit_twice_counts_twice_and_an_interruption_of_10_ms_does_not() -> None:
    tone = tone_of("5", 50 * MS)
    assert digits(np.concatenate([tone, silence(40 * MS), tone])) == "55"
    assert digits(np.concatenate([tone, silence(10 * MS), tone])) == "5"


def test_a_tone_of_20_ms_is_no_digit() -> None:
    assert digits(tone_of("5", 20 * MS)) == ""


@pytest.mark.parametrize("key", "159D")
@pytest.mark.parametrize(("off", "taken"), [(0.015, True), (-0.015, True), (0.035, False), (-0.035, False)])
def test_tones_a_little_off_are_taken_and_tones_far_off_are_not(key: str, off: float, taken: bool) -> None:
    low, high = DTMF_HZ[key]
    assert digits(pair(low * (1 + off), high * (1 + off), 60)) == (key if taken else "")


@pytest.mark.parametrize(
    ("low_dbfs", "high_dbfs", "taken"), [(-13, -17, True), (-20, -14, True), (-8, -20, False), (-24, -12, False), (-45, -45, False)]
)
def test_twist_and_level_have_limits(low_dbfs: float, high_dbfs: float, taken: bool) -> None:
    assert digits(pair(770, 1336, 60, low_dbfs, high_dbfs)) == ("5" if taken else "")


def test_a_digit_says_when_it_was_and_how_long() -> None:
    detector = Detector()
    (heard,) = detector.push(np.concatenate([silence(200 * MS), tone_of("#", 100 * MS), silence(100 * MS)]))
    assert heard.at == pytest.approx(200 * MS, abs=10 * MS)
    assert heard.samples == pytest.approx(100 * MS, abs=15 * MS)


def test_digits_stand_noise_of_15_db_below_them() -> None:
    noise = np.random.default_rng(3).normal(0, amplitude(-13 - 12) / math.sqrt(2), 500 * MS)
    sound = np.concatenate([piece for key in "147*" for piece in (tone_of(key, 60 * MS), silence(60 * MS))])
    assert digits((sound + noise[: len(sound)]).astype(np.int16)) == "147*"


def test_one_tone_alone_and_music_of_three_are_no_digits() -> None:
    assert digits(Sine(697).pull(RATE)) == ""
    chord = sum(Sine(hz).pull(RATE).astype(np.int32) for hz in (697.0, 1209.0, 1000.0))
    assert digits(np.asarray(chord, np.int16)) == ""


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(100, 5000))
def test_noise_is_no_digit_and_pieces_make_no_difference(seed: int, piece: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 3000, RATE // 4).astype(np.int16)
    assert digits(noise, piece) == ""
    assert digits(tone_of("8", 70 * MS), piece) == "8"


def test_a_digit_that_comes_sample_by_sample_is_heard() -> None:
    assert digits(tone_of("8", 70 * MS), 1) == "8"
