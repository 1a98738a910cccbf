"""PCMU and PCMA: the codes of the recommendation, tones through both ways, and what is made of losses and rubbish."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.codecs.g711 import Encoder, G711Decoder
from sinchphone.media.legs.receiver import Receiver

LAWS = ("PCMU", "PCMA")


def through(sound: Samples, law: str, lost: frozenset[int] = frozenset()) -> Samples:
    encoder, decoder = Encoder(law), G711Decoder(law)
    heard = []
    for number, at in enumerate(range(0, len(sound), FRAME_SAMPLES)):
        payload = encoder.encode(sound[at : at + FRAME_SAMPLES])
        heard.append(decoder.conceal(FRAME_SAMPLES) if number in lost else decoder.decode(payload))
    return np.concatenate(heard)


def levels(law: str) -> list[int]:
    """What each code stands for, at 48 kHz in the middle of a long run of it."""
    return [int(G711Decoder(law).decode(bytes([code]) * 60)[300]) for code in range(256)]


def test_mu_law_codes_are_those_of_the_table() -> None:
    """G.711 table 2a: decision value 8159, decoder outputs in 14 bits, here times 4."""
    table = levels("PCMU")
    assert [table[code] for code in (0x80, 0x8F, 0x9F, 0xEF, 0xFE, 0xFF)] == pytest.approx(
        [32_124, 16_764, 8_316, 132, 8, 0], rel=0.002, abs=1
    )
    assert [table[code] for code in (0x00, 0x7F)] == pytest.approx([-32_124, 0], rel=0.002, abs=1)


def test_a_law_codes_are_those_of_the_table() -> None:
    """G.711 table 1a, with the even bits inverted as they travel; 13 bits, here times 8."""
    table = levels("PCMA")
    positive = [code ^ 0x55 for code in (0xFF, 0xF0, 0xE0, 0x80)]
    assert [table[code] for code in positive] == pytest.approx([32_256, 16_896, 8_448, 8], rel=0.002, abs=1)
    assert table[0x7F ^ 0x55] == pytest.approx(-32_256, rel=0.002)


@pytest.mark.parametrize("law", LAWS)
def test_every_code_that_is_heard_is_said_again(law: str) -> None:
    """Encoding what a code stands for gives that code: two networks in a row don't add noise. (Mu-law has two zeros.)"""
    encoder, table = Encoder(law), levels(law)
    for code in range(256):
        again = encoder.encode(np.full(FRAME_SAMPLES, table[code], np.int16))[-1]
        assert again == code or (law, code, again) == ("PCMU", 0x7F, 0xFF)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("hz", "level"), [(300, -20), (1000, -10), (1000, -40), (3300, -20)])
def test_a_tone_comes_through_with_its_level(law: str, hz: float, level: float) -> None:
    sound = through(Sine(hz, level).pull(RATE), law)[RATE // 10 :]
    assert share(sound, hz) > 0.995  # 38 dB of quantizing noise are the codec's own (G.712 9.1)
    assert dbfs(sound) == pytest.approx(level, abs=0.3)


@pytest.mark.parametrize("law", LAWS)
def test_the_delay_both_ways_is_three_milliseconds(law: str) -> None:
    noise = (np.random.default_rng(7).standard_normal(RATE) * 3_000).astype(np.int16)
    low = np.convolve(noise, np.ones(24) / 24, "same").astype(np.int16)
    heard = through(low, law).astype(float)
    likeness = [float(np.dot(heard[lag : lag + 40_000], low[:40_000])) for lag in range(300)]
    assert int(np.argmax(likeness)) in range(136, 146)  # 2 x 72 samples, less the five of a group that are there already


@pytest.mark.parametrize("law", LAWS)
def test_silence_stays_silent(law: str) -> None:
    assert dbfs(through(silence(RATE), law)) < -70


@pytest.mark.parametrize("law", LAWS)
def test_twenty_milliseconds_are_160_bytes_and_a_packet_may_be_of_any_length(law: str) -> None:
    assert len(Encoder(law).encode(silence())) == 160
    decoder = G711Decoder(law)
    for length in (1, 3, 80, 160, 240, 480, 1499):
        assert decoder.duration(bytes(length)) == len(decoder.decode(bytes(length))) == length * 6


@pytest.mark.parametrize("law", LAWS)
def test_lost_packets_leave_no_click_and_no_hole(law: str) -> None:
    tone = Sine(400, -15).pull(2 * RATE)
    sound = through(tone, law, frozenset({20, 35, 36, 60}))
    assert np.abs(np.diff(sound.astype(int))).max() < 1.5 * np.abs(np.diff(tone.astype(int))).max()
    blocks = [dbfs(sound[at : at + 960]) for at in range(4800, len(sound), 960)]
    assert min(blocks) > -22  # the second of two lost packets in a row is half faded
    assert share(sound[RATE // 2 :], 400) > 0.9


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=400), st.integers(1, 960)), max_size=12), st.sampled_from(LAWS))
def test_any_bytes_and_losses_are_sound(arrivals: list[bytes | int], law: str) -> None:
    decoder = G711Decoder(law)
    for each in arrivals:
        assert len(decoder.conceal(each) if isinstance(each, int) else decoder.decode(each)) == (
            each if isinstance(each, int) else 6 * len(each)
        )


@pytest.mark.parametrize("law", LAWS)
def test_the_receiver_plays_a_stream_of_it_with_ten_percent_lost(law: str) -> None:
    """The jitter buffer counts at 48 kHz: time stamps of 8 kHz are six times as large there, and wrap in step."""
    now = 100.0
    receiver, encoder, tone = Receiver(G711Decoder(law), clock=lambda: now), Encoder(law), Sine(500, -15)
    chance, heard = np.random.default_rng(3), []
    for number in range(250):
        payload = encoder.encode(tone.pull())
        timestamp = (0x1_0000_0000 - 50 * 160 + number * 160) % 0x1_0000_0000  # wraps after a second
        if chance.random() > 0.1:
            receiver.push(number, timestamp * 6, payload, now)
        heard.append(receiver.pull(FRAME_SAMPLES))
        now += 0.020
    sound = np.concatenate(heard[20:])
    assert share(sound, 500) > 0.8
    assert dbfs(sound) == pytest.approx(-15, abs=1)
    assert receiver.stats().bad_packets == 0
    assert 0 < receiver.stats().concealed_samples < 40 * FRAME_SAMPLES
