"""Assertions on what was heard: each sees its sound, in order, and says what there was instead (no clock but that of its own waiting)."""

import threading

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.tones.signals import Sine
from sinchphone.testing.heard import HeardSound, is_like_speech, is_silent, strongest_hz
from tests.instruments import tone_of

NOW = 0.0


def hearing(*sounds: Samples) -> HeardSound:
    heard, samples = HeardSound(NOW), np.concatenate(sounds)
    for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        heard.tick(samples[at : at + FRAME_SAMPLES])
    return heard


def tone(hz: float, seconds: float = 0.5) -> Samples:
    return Sine(hz).pull(round(seconds * RATE))


def syllables(seconds: float = 2.0) -> Samples:
    """Noise in the band of speech that comes and goes five times a second."""
    count = round(seconds * RATE)
    noise = np.convolve(np.random.default_rng(7).normal(0, 4000, count), np.ones(12) / 12, "same")
    swell = np.clip(np.sin(2 * np.pi * 2.5 * np.arange(count) / RATE), 0, 1)
    voiced: Samples = (noise * swell).astype(np.int16)
    return voiced


def test_a_melody_is_heard_in_its_order_and_in_no_other() -> None:
    melody = (tone(440), silence(RATE // 5), tone(660), tone(880))
    heard = hearing(*melody)
    heard.tone(440)
    heard.tone(660)
    heard.tone(880)
    with pytest.raises(AssertionError, match="a tone of 440 Hz was not heard within 0 s: "):
        heard.tone(440)
    with pytest.raises(AssertionError):
        backwards = hearing(*melody)
        backwards.tone(880)
        backwards.tone(660)


def test_a_tone_is_told_from_another_from_noise_from_speech_and_from_silence() -> None:
    for sound in (tone(480), syllables(), silence(RATE)):
        with pytest.raises(AssertionError):
            hearing(sound).tone(440)
    with pytest.raises(AssertionError, match="strongest frequency 480 Hz"):
        hearing(tone(480, 1.0)).tone(440)
    noisy = tone(440, 1.0) + np.random.default_rng(1).normal(0, 200, RATE).astype(np.int16)
    hearing(noisy).tone(440)
    with pytest.raises(AssertionError):
        hearing(tone(440, 0.1)).tone(440, seconds=0.2)


def test_speech_is_told_from_tones_steady_noise_and_silence() -> None:
    hearing(silence(RATE), syllables()).speech()
    hum = np.random.default_rng(3).normal(0, 3000, RATE).astype(np.int16)
    ringing = np.concatenate([tone(425, 1.0), silence(RATE), tone(425, 1.0)])
    for sound in (tone(440, 2.0), hum, silence(2 * RATE), ringing):
        with pytest.raises(AssertionError):
            hearing(sound).speech()


def test_silence_has_a_length_and_comes_after_what_was_heard_before() -> None:
    heard = hearing(tone(440), silence(2 * RATE))
    heard.tone(440)
    heard.silence(seconds=1.5)
    with pytest.raises(AssertionError):
        heard.silence(seconds=1.0)
    with pytest.raises(AssertionError):
        hearing(tone(440), silence(RATE // 2), tone(440)).silence(seconds=1.0)


def test_digits_are_heard_as_tones_and_as_events_and_none_twice() -> None:
    heard = hearing(*(part for digit in "12#" for part in (tone_of(digit, RATE // 10), silence(RATE // 10))))
    heard.digits("12")
    heard.digits("#")
    for digit in "0042":
        heard.hear_digit(digit)
    with pytest.raises(AssertionError, match="the digits 42 7 were not dialled"):
        heard.digits("42 7")
    heard.digits("0042")
    with pytest.raises(AssertionError, match="but none"):
        heard.digits("0042")


def test_what_came_before_does_not_count_once_it_is_skipped() -> None:
    heard = hearing(tone(440))
    heard.hear_digit("1")
    heard.skip()
    with pytest.raises(AssertionError):
        heard.tone(440)
    with pytest.raises(AssertionError):
        heard.digits("1")


def test_an_assertion_waits_for_what_comes_later_and_no_longer_than_the_call() -> None:
    heard = HeardSound(30.0)

    def come() -> None:
        for frame in np.split(tone(440), 25):
            heard.tick(frame)
        heard.end()

    threading.Timer(0.05, come).start()
    heard.tone(440)
    with pytest.raises(AssertionError, match="before the call ended"):
        heard.tone(880)


def test_what_is_said_is_said_once_and_silence_after_it() -> None:
    heard = HeardSound(NOW)
    heard.say(tone(440, 0.05))
    said = np.concatenate([heard.tick(silence()) for _ in range(4)])
    assert len(said) == 4 * FRAME_SAMPLES and said[: RATE // 20].any() and not said[RATE // 20 :].any()
    assert len(heard.samples) == 4 * FRAME_SAMPLES


def test_the_measures_hold_for_what_is_empty() -> None:
    assert is_silent(silence(RATE)) and not is_like_speech(silence(RATE))
    assert round(strongest_hz(tone(440, 1.0))) == 440
    with pytest.raises(AssertionError, match="no sound came"):
        HeardSound(NOW).tone(440)
