"""What tests measure sound with finds gaps in it."""

import numpy as np
import pytest

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.tones.signals import Sine
from tests.instruments import is_steady, tone_seconds


def with_gaps(hz: float, gap_ms: int, every_ms: int) -> Samples:
    """Two seconds of a tone, of which there are so many milliseconds of nothing in each ``every_ms``."""
    sound = Sine(hz).pull(2 * RATE).copy()
    silent = np.arange(len(sound)) * 1000 // RATE % every_ms < gap_ms
    sound[silent] = 0
    return sound


@pytest.mark.parametrize("hz", [425.0, 440.0, 1320.0])
@pytest.mark.parametrize(
    ("gap_ms", "every_ms", "steady"), [(0, 100, True), (20, 200, True), (20, 60, False), (60, 200, False), (250, 1000, False)]
)
def test_sound_with_gaps_of_more_than_a_fifth_of_the_time_is_not_steady(hz: float, gap_ms: int, every_ms: int, steady: bool) -> None:
    sound = with_gaps(hz, gap_ms, every_ms)
    assert is_steady(sound, hz, 1.0) == steady
    assert tone_seconds(sound, hz) == pytest.approx(2 * (1 - gap_ms / every_ms), abs=0.05)


def test_another_tone_or_two_at_a_time_are_not_the_tone() -> None:
    tone, other = Sine(440.0).pull(RATE), Sine(620.0).pull(RATE)
    assert tone_seconds(other, 440.0) == 0
    assert tone_seconds(tone // 2 + other // 2, 440.0) == 0


def test_silence_is_no_tone_and_a_tone_that_is_too_short_is_not_steady() -> None:
    assert tone_seconds(np.zeros(RATE, np.int16), 440.0) == 0
    assert not is_steady(Sine(440.0).pull(RATE // 2), 440.0, 1.0)
    assert not is_steady(np.zeros(0, np.int16), 440.0, 1.0)
