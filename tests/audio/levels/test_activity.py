"""Speech, silence, clipping and dead microphones."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.levels.activity import Activity, Listener
from sinchphone.audio.tones.signals import Sine


def heard(*sounds: Samples) -> Activity:
    listener = Listener()
    for sound in sounds:
        listener.push(sound)
    return listener.activity


def noise(seconds: float, level: float = 30) -> Samples:
    return np.random.default_rng(1).normal(0, level, int(seconds * RATE)).astype(np.int16)


def word(seconds: float = 0.4) -> Samples:
    return Sine(180, -20).pull(int(seconds * RATE))


def test_words_over_a_hum_are_speech_and_the_pauses_between_them_are_not() -> None:
    listener = Listener()
    listener.push(noise(1))
    assert not listener.activity.speech
    listener.push(word())
    assert listener.activity.speech
    listener.push(noise(0.5))
    assert not listener.activity.speech
    assert listener.activity.speech_seconds == pytest.approx(0.4 + 0.2, abs=0.1)


def test_a_click_is_no_speech() -> None:
    assert heard(noise(1), word(0.02), noise(1)).speech_seconds == 0


def test_a_new_hum_is_noise_after_some_seconds() -> None:
    hum = noise(15, 400)
    listener = Listener()
    listener.push(noise(1))
    listener.push(hum[:RATE])
    assert listener.activity.speech
    listener.push(hum)
    assert not listener.activity.speech


def test_silence_and_digital_silence_are_told_apart() -> None:
    quiet = heard(word(), noise(2, 5))
    assert quiet.silent_seconds == pytest.approx(2, abs=0.05)
    assert quiet.zero_seconds == 0
    dead = heard(word(), silence(2 * RATE))
    assert dead.zero_seconds == dead.silent_seconds == pytest.approx(2, abs=0.05)
    assert dead.level_dbfs == -math.inf


def test_cut_off_peaks_are_counted_and_full_scale_peaks_that_fit_are_not() -> None:
    loud = Sine(440, -3.01).pull(RATE)
    assert heard(loud).clipped_frames == 0
    cut = np.clip(loud.astype(np.int32) * 3, -32_768, 32_767).astype(np.int16)
    assert heard(cut).clipped_frames == RATE // FRAME_SAMPLES


def test_a_level_that_never_moves_for_20_s_is_constant_and_speech_is_not() -> None:
    assert not heard(Sine(440).pull(19 * RATE)).constant
    assert heard(Sine(440).pull(21 * RATE)).constant
    assert heard(noise(21, 3)).constant
    assert not heard(*(sound for _ in range(30) for sound in (word(), noise(0.4)))).constant


def test_a_level_that_moved_is_constant_again_20_s_after_it_stands_still() -> None:
    words = [sound for _ in range(30) for sound in (word(), noise(0.4))]
    assert not heard(*words, noise(19, 3)).constant
    assert heard(*words, noise(21, 3)).constant
    assert not heard(*words, noise(21, 3), *words[:4]).constant


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=8))
def test_pieces_make_no_difference(lengths: list[int]) -> None:
    sound = np.concatenate([noise(0.2), word(0.2), noise(0.1)])
    cuts = np.cumsum([0, *lengths])
    pieces = [sound[a:b] for a, b in zip(cuts, [*cuts[1:], len(sound)], strict=True)]
    assert heard(*pieces) == heard(sound)
