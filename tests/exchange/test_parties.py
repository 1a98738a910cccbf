import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.exchange.destinations.parties import BadLine, Echo, Recording, Sequence, Silence, Speaker, Tone
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


def test_a_speaker_says_one_thing_after_the_other_and_nothing_in_between() -> None:
    speaker = Speaker()
    assert not say(speaker, 2).any()
    first, second = np.full(FRAME_SAMPLES + 1, 7, np.int16), np.full(FRAME_SAMPLES, 9, np.int16)
    speaker.say(first)
    speaker.say(second)
    said = say(speaker, 4)
    assert [int(said[position * FRAME_SAMPLES]) for position in range(4)] == [7, 7, 9, 0]


def test_a_speaker_can_be_interrupted() -> None:
    speaker = Speaker()
    speaker.say(np.full(100 * FRAME_SAMPLES, 7, np.int16))
    say(speaker, 3)
    speaker.say(np.full(FRAME_SAMPLES, 9, np.int16), interrupt=True)
    assert (say(speaker, 1) == 9).all()
    assert not say(speaker, 1).any()


def test_a_bad_line_loses_a_tenth_of_the_sound_and_adds_noise() -> None:
    tone = [Sine(440).pull() for _ in range(500)]
    line = BadLine(Echo())
    loudness = [dbfs(line.tick(frame)) for frame in tone]
    lost = [level for level in loudness if level < -40]
    assert 25 < len(lost) < 100
    assert all(level == pytest.approx(-45, abs=2) for level in lost)
    assert all(level == pytest.approx(-20, abs=1) for level in loudness if level >= -40)


def test_a_bad_line_is_as_bad_each_time() -> None:
    assert np.array_equal(say(BadLine(Tone(440)), 100), say(BadLine(Tone(440)), 100))


def test_what_is_too_loud_for_a_bad_line_is_clipped_and_not_turned_over() -> None:
    loud = np.full(FRAME_SAMPLES, 32_767, np.int16)
    assert (say(BadLine(Echo(), lost=0.0), 10, loud) > 30_000).all()
