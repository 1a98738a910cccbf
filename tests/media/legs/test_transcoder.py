"""One leg's packets in another codec: in order, at once, with nothing missing on the time line."""

import itertools
import random

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.codecs.choice import new_encoder
from sinchphone.media.codecs.codec import OPUS, PCMA, PCMU, CodecFormat, DecodedFrame, EncodedFrame
from sinchphone.media.codecs.g711 import translation
from sinchphone.media.legs.transcoder import Transcoder

HZ = 400.0
CODECS = pytest.mark.parametrize("codec", [PCMU, OPUS])


def packets(codec: CodecFormat, count: int, *, first: int = 0, start: int = 0) -> list[EncodedFrame]:
    encoder, tone = new_encoder(codec), Sine(HZ)
    ticks = FRAME_SAMPLES // codec.samples_per_tick
    return [
        EncodedFrame(codec, encoder.encode(tone.pull(FRAME_SAMPLES)), (start + n * ticks) & 0xFFFFFFFF, (first + n) & 0xFFFF)
        for n in range(count)
    ]


def heard(transcoder: Transcoder, frames: list[EncodedFrame]) -> list[DecodedFrame]:
    return [one for frame in frames for one in transcoder.push(frame)]


def whole(sounds: list[DecodedFrame]) -> Samples:
    """In one line; each begins where the one before ended."""
    assert all(before.at + len(before.sound) == after.at for before, after in itertools.pairwise(sounds))
    return np.concatenate([one.sound for one in sounds])


def share_of_tone(sound: Samples) -> float:
    """How much of the energy is the tone's."""
    moments = 2j * np.pi * HZ * np.arange(len(sound)) / RATE
    wave = sound.astype(np.float64)
    return float(2 * abs(np.mean(wave * np.exp(-moments))) ** 2 / np.mean(wave**2))


@CODECS
def test_each_packet_gives_its_sound_at_once(codec: CodecFormat) -> None:
    transcoder = Transcoder(codec)
    for frame in packets(codec, 20):
        assert [len(one.sound) for one in transcoder.push(frame)] == [FRAME_SAMPLES]


@CODECS
def test_numbers_and_time_stamps_may_wrap(codec: CodecFormat) -> None:
    sounds = heard(Transcoder(codec), packets(codec, 40, first=0xFFF0, start=0xFFFFFFFF - 2_000))
    assert len(sounds) == 40
    assert share_of_tone(whole(sounds)[4_800:]) > 0.98


@CODECS
def test_packets_that_change_places_are_heard_in_their_order(codec: CodecFormat) -> None:
    frames = packets(codec, 40)
    frames[10], frames[11] = frames[11], frames[10]
    frames[25], frames[26] = frames[26], frames[25]
    sounds = heard(Transcoder(codec), frames)
    assert len(sounds) == 40
    assert share_of_tone(whole(sounds)[4_800:]) > 0.98


@CODECS
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_what_is_lost_is_made_up_and_nothing_is_missing_on_the_time_line(codec: CodecFormat, lost: int) -> None:
    frames = packets(codec, 40)
    del frames[20 : 20 + lost]
    sound = whole(heard(Transcoder(codec), frames))
    assert len(sound) == 40 * FRAME_SAMPLES
    gap = sound[20 * FRAME_SAMPLES : (20 + lost) * FRAME_SAMPLES]
    assert np.abs(gap).max() > 1000


@CODECS
def test_a_packet_that_comes_after_its_turn_or_twice_is_left_out(codec: CodecFormat) -> None:
    frames = packets(codec, 30)
    late = frames.pop(10)
    frames.insert(14, late)
    frames.insert(20, frames[19])
    assert len(whole(heard(Transcoder(codec), frames))) == 30 * FRAME_SAMPLES


def test_a_pause_stays_a_pause() -> None:
    talk = packets(PCMU, 10)
    again = packets(PCMU, 10, first=10, start=16_000)
    sounds = heard(Transcoder(PCMU), talk + again)
    assert sounds[10].at - sounds[9].at == 14_560 * 6  # samples at 48 kHz: the 16,000 ticks from the first packet's begin
    assert len(sounds) == 20


def test_a_stream_that_begins_anew_goes_on_at_once() -> None:
    sounds = heard(Transcoder(PCMU), packets(PCMU, 5) + packets(PCMU, 5, first=30_000, start=123_456_789))
    assert len(sounds) == 10


@CODECS
def test_garbage_gives_nothing_or_sound_and_never_an_error(codec: CodecFormat) -> None:
    chance, transcoder = random.Random(7), Transcoder(codec)
    for _ in range(300):
        frame = EncodedFrame(codec, chance.randbytes(chance.randrange(200)), chance.randrange(1 << 32), chance.randrange(1 << 16))
        assert sum(len(one.sound) for one in transcoder.push(frame)) <= 40 * 5_760
    assert heard(transcoder, packets(codec, 20, first=400, start=chance.randrange(1 << 32)))


@pytest.mark.parametrize(("source", "sink"), [(PCMU, PCMA), (PCMA, PCMU)])
def test_the_laws_of_g711_are_translated_as_the_recommendation_does_it(source: CodecFormat, sink: CodecFormat) -> None:
    """The nearest code of the other law, of the same sign: within half a step of either."""
    there, back = translation(source.name, sink.name), translation(sink.name, source.name)
    assert len(there) == 256
    again = bytes(range(256)).translate(there).translate(back)
    assert all((one ^ other) & 0x80 == 0 or one & 0x7F in (0x7F, 0x55) for one, other in zip(range(256), again, strict=True))
    assert sum(one != other for one, other in zip(range(256), again, strict=True)) <= 32
