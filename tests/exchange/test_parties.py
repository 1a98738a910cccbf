import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.goertzel import share
from sinchphone.audio.tones import Sine
from sinchphone.exchange.destinations.parties import Echo, Recording, Sequence, Silence, Tone
from sinchphone.media.sound import Party


def say(party: Party, ticks: int, hearing: Samples | None = None) -> Samples:
    frames = [party.tick(silence() if hearing is None else hearing) for _ in range(ticks)]
    assert all(frame.shape == (FRAME_SAMPLES,) and frame.dtype == np.int16 for frame in frames)
    return np.concatenate(frames)


def test_silence_says_nothing_whatever_it_hears() -> None:
    assert not say(Silence(), 5, Sine(440).pull()).any()


def test_an_echo_says_what_it_hears_but_not_in_the_same_array() -> None:
    heard = Sine(440).pull()
    said = Echo().tick(heard)
    assert np.array_equal(said, heard)
    assert said is not heard


def test_a_tone_runs_on_without_a_jump() -> None:
    assert share(say(Tone(440), 50), 440) > 0.999


def test_a_tone_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="Hz"):
        Tone(48_000)


def test_a_recording_is_said_once_and_then_there_is_silence() -> None:
    sound = Sine(440).pull(1500)
    recording = Recording(sound)
    assert not recording.finished
    said = say(recording, 4)
    assert recording.finished
    assert np.array_equal(said[:1500], sound)
    assert not said[1500:].any()


def test_an_empty_recording_is_finished_from_the_start() -> None:
    assert Recording(silence(0)).finished


def test_a_recording_of_whole_frames_is_finished_with_the_last_of_them() -> None:
    recording = Recording(Sine(440).pull(2 * FRAME_SAMPLES))
    recording.tick(silence())
    assert not recording.finished
    recording.tick(silence())
    assert recording.finished


def test_a_sequence_hands_over_when_the_recording_has_been_said() -> None:
    party = Sequence(Recording(Sine(1000).pull(RATE // 2)), Echo())
    heard = Sine(440).pull()
    first, then = say(party, 25, heard), say(party, 25, heard)
    assert share(first, 1000) > 0.99
    assert np.array_equal(then, np.tile(heard, 25))
