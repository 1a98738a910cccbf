"""A leg's arrivals: what is sound, what is a digit, what is lost and what is not."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.agreement import Agreement, EventFormat
from sinchphone.media.codecs.choice import new_encoder
from sinchphone.media.codecs.codec import OPUS, PCMA, PCMU, CodecFormat, EncodedFrame
from sinchphone.media.legs.inbound import Inbound
from sinchphone.protocol.rtp.packet import RtpPacket, encode_packet
from sinchphone.protocol.rtp.telephone_event import Digit, DigitSender
from tests.instruments import tone_of

HEARS = Agreement(PCMU, 0, {0: PCMU, 8: PCMA, 111: OPUS}, events={101: 8_000, 110: 48_000})


class Line:
    """A peer with one keypad and one voice, a clock that is set by hand, and what is heard of it here."""

    def __init__(self, codec: CodecFormat = PCMU, event_type: int = 101, agreement: Agreement = HEARS, *, may_pause: bool = False) -> None:
        self.now = 10.0
        self.digits: list[Digit] = []
        self.inbound = Inbound(self.digits.append, may_pause=may_pause, clock=lambda: self.now)
        self.inbound.expect(agreement)
        self.heard: list[Samples] = []
        self.ssrc = 5
        self.sequence, self.timestamp = 65_000, 0xFFFFF000
        self._codec, self._event_type = codec, event_type
        self._encoder, self._tone = new_encoder(codec), Sine(700, -15)
        self._keypad = DigitSender(HEARS.events[event_type])

    def tick(self, digits: str = "", *, lost: bool = False) -> None:
        """20 ms: a digit's packet where there is one, else sound."""
        self._keypad.push(digits)
        event = self._keypad.tick(self.timestamp)
        payload = self._encoder.encode(self._tone.pull())
        if event is not None:
            packet = RtpPacket(self._event_type, self.sequence, event.timestamp, self.ssrc, event.payload, event.marker)
        else:
            packet = RtpPacket(self._codec.payload_type, self.sequence, self.timestamp, self.ssrc, payload)
        if not lost:
            self.inbound.take(encode_packet(packet))
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + self._codec.clock_rate // 50) & 0xFFFFFFFF
        self.heard.append(self.inbound.receiver.pull(FRAME_SAMPLES))
        self.now += 0.020

    def run(self, ticks: int, digits: str = "", loss: float = 0.0, chance: random.Random | None = None) -> None:
        chance = chance or random.Random(1)
        for number in range(ticks):
            self.tick(digits if not number else "", lost=chance.random() < loss)


@pytest.mark.parametrize(("codec", "event_type"), [(PCMU, 101), (PCMA, 101), (OPUS, 110), (OPUS, 101)])
def test_digits_are_heard_and_count_as_received_in_every_statistic(codec: CodecFormat, event_type: int) -> None:
    """Trap: a prototype reported eleven losses in a call without loss, since its buffer missed the events' sequence numbers."""
    line = Line(codec, event_type)
    line.run(50)
    line.run(100, "12#")
    assert line.digits == [Digit("1", 100), Digit("2", 100), Digit("#", 100)]
    assert line.inbound.lost == 0
    assert line.inbound.packets == 150
    assert line.inbound.report()[0].fraction_lost == 0
    stats = line.inbound.receiver.stats()
    assert (stats.packets_late, stats.bad_packets, stats.packets_skipped) == (0, 0, 0)
    assert stats.concealed_samples == 0
    assert line.inbound.jitter_ms is not None
    assert line.inbound.jitter_ms < 1  # the time stamps of events, which stand still, are no jitter


def test_the_sound_is_there_again_right_after_a_digit_and_quiet_meanwhile() -> None:
    line = Line()
    line.run(50)
    line.run(30, "5")
    sound = [dbfs(block) for block in line.heard[45:]]
    assert min(sound[5:14]) < -60
    assert share(np.concatenate(line.heard[-15:]), 700) > 0.98


@pytest.mark.parametrize("seed", range(6))
def test_digits_are_exact_with_a_fifth_of_the_packets_lost(seed: int) -> None:
    line = Line()
    line.run(20)
    line.run(20 * 9 + 20, "0123456789*#ABCD1223", loss=0.2, chance=random.Random(seed))
    line.now += 1
    line.inbound.expire()
    assert "".join(digit.digit for digit in line.digits) == "0123456789*#ABCD1223"
    assert 20 < line.inbound.lost < 70


def test_lost_packets_are_lost() -> None:
    line = Line()
    line.run(50)
    line.run(100, loss=0.1)
    assert line.inbound.lost == 150 - line.inbound.packets > 0
    assert line.inbound.receiver.stats().concealed_samples > 0


def test_a_digit_whose_ssrc_is_its_own_is_heard_beside_the_sound() -> None:
    line = Line()
    line.run(20)
    sender = DigitSender(8_000)
    sender.push("7")
    for number in range(12):
        event = sender.tick(4_711)
        if event is not None:
            line.inbound.take(encode_packet(RtpPacket(101, 9_000 + number, event.timestamp, 99, event.payload, event.marker)))
        line.tick()
    assert line.digits == [Digit("7", 100)]
    assert line.inbound.lost == 0


def test_comfort_noise_is_heard_as_quiet_noise_and_is_no_loss() -> None:
    line = Line()
    line.run(50)
    line.inbound.take(encode_packet(RtpPacket(13, line.sequence, line.timestamp, 5, bytes([50]))))
    noise = []
    for _ in range(40):
        line.now += 0.020
        noise.append(line.inbound.receiver.pull(FRAME_SAMPLES))
    assert dbfs(np.concatenate(noise[10:])) == pytest.approx(-50, abs=1)
    line.sequence += 1
    line.timestamp = (line.timestamp + 41 * 160) & 0xFFFFFFFF
    line.run(30)
    assert share(np.concatenate(line.heard[-10:]), 700) > 0.98
    assert line.inbound.lost == 0
    assert line.inbound.receiver.stats().concealed_samples == 0


def test_comfort_noise_is_never_loud() -> None:
    """Attack: noise at full scale."""
    line = Line()
    line.run(20)
    line.inbound.take(encode_packet(RtpPacket(13, line.sequence, line.timestamp, 5, bytes([0]))))
    line.now += 1.0
    assert dbfs(line.inbound.receiver.pull(4_800)[960:]) < -39


def test_a_second_voice_is_not_mixed_in_and_takes_over_when_the_first_is_silent() -> None:
    line = Line()
    line.run(20)
    stranger = encode_packet(RtpPacket(0, 1, 160, 77, bytes(160)))
    assert not line.inbound.take(stranger)
    line.now += 0.5
    assert line.inbound.take(stranger)


def test_what_is_diverted_goes_to_the_sink_as_it_came_and_digits_do_not() -> None:
    line = Line()
    frames: list[EncodedFrame] = []
    line.inbound.divert(frames.append)
    line.run(10)
    line.run(30, "4")
    assert line.digits == [Digit("4", 100)]
    assert len(frames) == 40 - 7
    assert {frame.codec for frame in frames} == {PCMU}
    assert {(after.sequence - before.sequence) & 0xFFFF for before, after in itertools.pairwise(frames)} == {1}
    gaps = [(after.timestamp - before.timestamp) & 0xFFFFFFFF for before, after in itertools.pairwise(frames)]
    assert sorted(gaps)[-2:] == [160, 8 * 160]
    line.inbound.divert(None)
    line.run(40)
    assert share(np.concatenate(line.heard[-10:]), 700) > 0.98


def test_sound_in_disorder_around_a_digit_keeps_its_place() -> None:
    line = Line()
    frames: list[EncodedFrame] = []
    line.inbound.divert(frames.append)
    packets = [
        RtpPacket(0, 100, 0, 5, b"a"),
        RtpPacket(101, 101, 320, 5, b"\x05\x0a\x00\xa0"),
        RtpPacket(0, 102, 320, 5, b"c"),
        RtpPacket(0, 103, 480, 5, b"d"),
    ]
    for index in (0, 2, 1, 3):
        line.inbound.take(encode_packet(packets[index]))
    for index in (1, 0, 2, 3):
        line.inbound.take(encode_packet(packets[index]))
    numbers = [frame.sequence for frame in frames[:3]]
    assert numbers == [100, 102, 102]  # what came before the digit was known keeps a gap; what comes after it has none
    assert [frame.sequence for frame in frames[3:]] == [100, 101, 102]


def test_a_codec_that_changes_in_mid_stream_is_followed() -> None:
    line = Line()
    line.run(40)
    other = Line(PCMA)
    other.inbound, other.sequence, other.timestamp, other.now = line.inbound, line.sequence, line.timestamp, line.now
    line_clock = other
    line.inbound._clock = line.inbound.receiver._clock = lambda: line_clock.now
    other.run(40)
    assert share(np.concatenate(other.heard[10:]), 700) > 0.98
    assert line.inbound.lost == 0


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_any_datagrams_are_taken(datagrams: list[bytes]) -> None:
    line = Line()
    for data in datagrams:
        line.inbound.take(data)
        line.inbound.take(b"\x80" + data)
    line.run(2)


def test_a_packet_that_is_too_long_or_empty_or_unknown_is_no_sound() -> None:
    line = Line()
    for packet in (RtpPacket(0, 1, 0, 5, bytes(1500)), RtpPacket(0, 1, 0, 5, b""), RtpPacket(97, 1, 0, 5, bytes(160))):
        assert not line.inbound.take(encode_packet(packet))
    assert line.inbound.packets == 0


def press(line: Line, digits: str, agreement: Agreement, *, diverted: bool = False) -> list[Digit]:
    """Digits as sound, each for 100 ms, with pauses of as much between them; what was heard of them."""
    tones: list[Digit] = []
    inbound = Inbound(line.digits.append, tones.append, clock=lambda: line.now)
    inbound.expect(agreement)
    inbound.divert((lambda _: None) if diverted else None)
    sound = np.concatenate(
        [piece for digit in digits for piece in (tone_of(digit, 5 * FRAME_SAMPLES), np.zeros(5 * FRAME_SAMPLES, np.int16))]
    )
    encoder = new_encoder(agreement.codec)
    for number, start in enumerate(range(0, len(sound), FRAME_SAMPLES)):
        payload = encoder.encode(sound[start : start + FRAME_SAMPLES])
        stamp = number * agreement.codec.clock_rate // 50
        inbound.take(encode_packet(RtpPacket(agreement.payload_type, number, stamp, 5, payload)))
        line.now += 0.020
    return tones


@pytest.mark.parametrize(("codec", "payload_type"), [(PCMU, 0), (PCMA, 8), (OPUS, 111)])
@pytest.mark.parametrize("diverted", [False, True])
def test_digits_in_the_sound_are_heard_where_no_telephone_events_were_agreed(codec: CodecFormat, payload_type: int, diverted: bool) -> None:
    line = Line()
    heard = press(line, "159#", Agreement(codec, payload_type, {payload_type: codec}), diverted=diverted)
    assert "".join(digit.digit for digit in heard) == "159#"
    assert all(80 <= digit.duration_ms <= 120 for digit in heard)
    assert line.digits == []


def test_who_agreed_to_telephone_events_is_not_listened_to_for_tones() -> None:
    agreement = Agreement(PCMU, 0, {0: PCMU}, event=EventFormat(101, 8_000), events={101: 8_000})
    assert press(Line(), "159#", agreement) == []


def test_comfort_noise_is_no_missing_stream_and_a_stream_that_stops_is_one() -> None:
    line = Line(may_pause=True)
    line.inbound.watch.expect(line.now, wanted=True)
    line.run(50)
    line.inbound.take(encode_packet(RtpPacket(13, line.sequence, line.timestamp, line.ssrc, bytes((60,)))))
    line.now += 8.0
    assert line.inbound.watch.silent_s(line.now) is None
    assert not line.inbound.is_missing()
    line.sequence += 1
    line.run(10)
    line.now += 3.0
    assert line.inbound.watch.silent_s(line.now) == pytest.approx(3.0, abs=0.05)
    assert line.inbound.is_missing()


def test_digits_are_part_of_the_stream_and_no_pause_follows_them() -> None:
    line = Line(may_pause=True)
    line.inbound.watch.expect(line.now, wanted=True)
    line.run(60, "5")
    line.now += 3.0
    assert line.inbound.is_missing()


@pytest.mark.parametrize("lost", [False, True])
def test_a_marker_after_a_pause_counts_where_no_packet_is_missing(lost: bool) -> None:
    line = Line(may_pause=True)
    line.inbound.watch.expect(line.now, wanted=True)
    line.run(50)
    line.now += 2.0
    line.sequence += lost * 5
    payload = bytes(160)
    line.inbound.take(encode_packet(RtpPacket(0, line.sequence, line.timestamp + 16_000, line.ssrc, payload, marker=True)))
    line.inbound.watch.reported(line.now)
    line.now += 3.0
    assert line.inbound.is_missing() is lost


def test_only_the_next_packets_of_a_stream_that_has_stopped_prove_that_they_are_its_own() -> None:
    """Attack: a neighbour on the same host, who doesn't know the numbers, or speaks while the stream runs."""
    line = Line(may_pause=True)
    line.inbound.watch.expect(line.now, wanted=True)
    line.run(50)

    def proves(sequence: int, ssrc: int = line.ssrc) -> bool:
        return line.inbound.goes_on_with(encode_packet(RtpPacket(0, sequence & 0xFFFF, 0, ssrc, bytes(160))))

    assert not proves(line.sequence), "it runs"
    line.now += 2.0
    assert proves(line.sequence)
    assert proves(line.sequence + 2_000)
    assert not proves(line.sequence - 2)
    assert not proves(line.sequence + 5_000)
    assert not proves(line.sequence, ssrc=6)
