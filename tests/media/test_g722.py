"""G.722: tones through both ways, packet by packet, and what is made of losses and rubbish."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import MediaError
from sinchphone.media.codecs.g722 import Encoder, G722Decoder


def through(sound: Samples, lost: frozenset[int] = frozenset()) -> Samples:
    encoder, decoder = Encoder(), G722Decoder()
    heard = []
    for number, at in enumerate(range(0, len(sound), FRAME_SAMPLES)):
        payload = encoder.encode(sound[at : at + FRAME_SAMPLES])
        heard.append(decoder.conceal(FRAME_SAMPLES) if number in lost else decoder.decode(payload))
    return np.concatenate(heard)


@pytest.mark.parametrize(("hz", "level"), [(300, -20), (1000, -10), (1000, -40), (3400, -20), (6500, -20)])
def test_a_tone_comes_through_with_its_level(hz: float, level: float) -> None:
    sound = through(Sine(hz, level).pull(RATE))[RATE // 10 :]
    assert share(sound, hz) > 0.99
    assert dbfs(sound) == pytest.approx(level, abs=0.5)


def test_twenty_milliseconds_are_160_bytes_and_a_packet_may_be_of_any_length() -> None:
    assert [len(Encoder().encode(silence())) for _ in range(3)] == [160, 160, 160]
    decoder = G722Decoder()
    for length in (1, 3, 80, 160, 240, 480, 1499):
        assert decoder.duration(bytes(length)) == len(decoder.decode(bytes(length))) == length * 6


def test_the_delay_both_ways_is_below_five_milliseconds() -> None:
    noise = (np.random.default_rng(7).standard_normal(RATE) * 3_000).astype(np.int16)
    low = np.convolve(noise, np.ones(12) / 12, "same").astype(np.int16)
    heard = through(low).astype(float)
    likeness = [float(np.dot(heard[lag : lag + 40_000], low[:40_000])) for lag in range(400)]
    assert int(np.argmax(likeness)) < 0.005 * RATE  # 1.8 ms of filters here, the rest in the codec's own


def test_silence_stays_silent() -> None:
    assert dbfs(through(silence(RATE))) < -60


def test_lost_packets_leave_no_click_and_no_hole() -> None:
    tone = Sine(400, -15).pull(2 * RATE)
    sound = through(tone, frozenset({20, 35, 36, 60}))
    assert np.abs(np.diff(sound.astype(int))).max() < 2 * np.abs(np.diff(tone.astype(int))).max()
    assert min(dbfs(sound[at : at + 960]) for at in range(4800, len(sound), 960)) > -24
    assert share(sound[RATE // 2 :], 400) > 0.85


def test_an_empty_packet_is_refused_and_the_next_one_plays() -> None:
    encoder, decoder, tone = Encoder(), G722Decoder(), Sine(700, -15)
    for number in range(50):
        if number == 20:
            with pytest.raises(MediaError):
                decoder.decode(b"")
        sound = decoder.decode(encoder.encode(tone.pull()))
    assert share(sound, 700) > 0.98


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=400), st.integers(1, 960)), max_size=8))
@settings(max_examples=40)
def test_any_bytes_and_losses_are_sound(arrivals: list[bytes | int]) -> None:
    decoder = G722Decoder()
    for each in arrivals:
        assert len(decoder.conceal(each) if isinstance(each, int) else decoder.decode(each)) == (
            each if isinstance(each, int) else 6 * len(each)
        )
