"""Packets are as long as the peer wants, and never longer than it takes."""

import itertools

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, Samples, silence
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.agreement import Agreement, EventFormat
from sinchphone.media.codecs.choice import new_decoder
from sinchphone.media.codecs.codec import G722, OPUS, PCMA, PCMU, CodecFormat, EncodedFrame
from sinchphone.media.codecs.opus import packet_samples
from sinchphone.media.legs.outbound import Outbound
from sinchphone.media.legs.packet_time import Packetizer, fits, packet_ms
from sinchphone.media.legs.path_control import PathControl
from sinchphone.protocol.rtp.packet import RtpPacket, decode_packet
from sinchphone.protocol.rtp.telephone_event import EventPacket
from sinchphone.protocol.sdp.session_description import PacketTimes

LENGTHS = [5, 10, 15, 20, 30, 40, 60]


class Wire:
    """A clock that is set by hand, and what was sent."""

    def __init__(self, codec: CodecFormat, times: PacketTimes) -> None:
        self.now = 50.0
        self.sent: list[RtpPacket] = []
        self.out = Outbound(7, PathControl(self._transmit, clock=lambda: self.now), clock=lambda: self.now)
        self.codec = codec
        self.agree(times)

    def agree(self, times: PacketTimes) -> None:
        self.out.start(Agreement(self.codec, self.codec.payload_type, {}, EventFormat(101, 8_000), packet_times=times))

    def talk(self, frames: int, tone: Sine | None = None) -> None:
        for _ in range(frames):
            self.out.send(tone.pull() if tone is not None else silence())
            self.now += 0.020

    def _transmit(self, data: bytes) -> bool:
        packet = decode_packet(data)
        assert packet is not None
        self.sent.append(packet)
        return True

    def heard(self) -> Samples:
        decoder = new_decoder(self.codec)
        return np.concatenate([decoder.decode(packet.payload) for packet in self.sent])


def milliseconds(codec: CodecFormat, payload: bytes) -> float:
    return packet_samples(payload) / 48 if codec == OPUS else len(payload) / 8


@pytest.mark.parametrize(
    ("times", "others", "opus"),
    [
        (PacketTimes(), 20, 20),
        (PacketTimes(20), 20, 20),
        (PacketTimes(30), 30, 20),
        (PacketTimes(40, 60), 40, 40),
        (PacketTimes(None, 10), 10, 10),
        (PacketTimes(20, 10), 10, 10),
        (PacketTimes(None, 60), 20, 20),
        (PacketTimes(25), 25, 20),
        (PacketTimes(33), 30, 20),
        (PacketTimes(200), 60, 60),
        (PacketTimes(10), 10, 10),
        (PacketTimes(5), 5, 5),
        (PacketTimes(1, 1), 5, 5),
        (PacketTimes(999_999_999, 999_999_999), 60, 60),
    ],
)
def test_a_packet_is_as_long_as_is_wanted_and_never_longer_than_is_taken(times: PacketTimes, others: int, opus: int) -> None:
    assert {packet_ms(codec, times) for codec in (PCMU, PCMA, G722)} == {others}
    assert packet_ms(OPUS, times) == opus


@pytest.mark.parametrize("codec", [PCMU, G722, OPUS], ids=lambda codec: codec.name)
@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_sent_has_that_length_and_counts_on_without_a_gap(codec: CodecFormat, length: int) -> None:
    wire = Wire(codec, PacketTimes(length))
    wire.talk(60, Sine(500))
    ours = packet_ms(codec, PacketTimes(length))
    assert {milliseconds(codec, packet.payload) for packet in wire.sent} == {float(ours)}
    assert len(wire.sent) == 1200 // ours
    ticks = {(after.timestamp - before.timestamp) & 0xFFFFFFFF for before, after in itertools.pairwise(wire.sent)}
    assert ticks == {ours * codec.clock_rate // 1000}
    assert {(after.sequence - before.sequence) & 0xFFFF for before, after in itertools.pairwise(wire.sent)} == {1}
    assert not any(packet.marker for packet in wire.sent)
    heard = wire.heard()[-24_000:].astype(float)
    spectrum = np.abs(np.fft.rfft(heard)) ** 2
    assert spectrum[240:261].sum() / spectrum.sum() > 0.95  # 500 Hz, and nothing at the seams


def test_after_a_pause_and_after_a_digit_nothing_old_is_sent() -> None:
    wire = Wire(PCMU, PacketTimes(60))
    wire.talk(4)
    wire.now += 2.0
    wire.talk(3)
    assert [packet.marker for packet in wire.sent] == [False, True]
    assert (wire.sent[1].timestamp - wire.sent[0].timestamp) & 0xFFFFFFFF == 4 * 160 + 16_000
    wire.talk(1)
    wire.out.suspended = True
    wire.talk(1)
    wire.out.event(EventPacket(b"\x01\x8a\x00\xa0", wire.out.timestamp, marker=True))
    wire.out.suspended = False
    wire.talk(3)
    assert [packet.payload_type for packet in wire.sent] == [0, 0, 101, 0]
    assert (wire.sent[3].timestamp - wire.sent[1].timestamp) & 0xFFFFFFFF == 5 * 160


def test_a_peer_may_change_what_it_wants() -> None:
    wire = Wire(PCMU, PacketTimes(20))
    wire.talk(3)
    wire.agree(PacketTimes(40))
    wire.talk(4)
    wire.agree(PacketTimes(40))
    wire.talk(2)
    assert [len(packet.payload) for packet in wire.sent] == [160] * 3 + [320] * 3


def payload_of(codec: CodecFormat, length: int) -> bytes:
    wire = Wire(codec, PacketTimes(length))
    wire.talk(3)
    return wire.sent[0].payload


@pytest.mark.parametrize("codec", [PCMU, OPUS], ids=lambda codec: codec.name)
@pytest.mark.parametrize(
    ("times", "taken"),
    [
        (PacketTimes(), {10, 20, 40, 60}),
        (PacketTimes(None, 20), {10, 20}),
        (PacketTimes(40), {40}),
        (PacketTimes(40, 20), {20}),
        (PacketTimes(None, 5), set()),
    ],
)
def test_packets_of_others_pass_where_they_are_as_long_as_is_wanted(codec: CodecFormat, times: PacketTimes, taken: set[int]) -> None:
    wire = Wire(codec, times)
    for number, length in enumerate((10, 20, 40, 60)):
        payload = payload_of(codec, length)
        assert fits(codec, payload, times) is (length in taken)
        assert wire.out.forward(EncodedFrame(codec, payload, 0, number)) is (length in taken)


@pytest.mark.parametrize("length", LENGTHS)
def test_no_sample_is_lost_between_packets(length: int) -> None:
    cutter = Packetizer(length)
    sound = np.arange(30 * FRAME_SAMPLES, dtype=np.int64).astype(np.int16)
    cut: list[Samples] = []
    for number in range(30):
        for before, packet in cutter.push(sound[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]):
            at = number * FRAME_SAMPLES - before
            assert (packet == sound[at : at + length * 48]).all()
            cut.append(packet)
    whole = np.concatenate(cut)
    assert (whole == sound[: len(whole)]).all()
    assert len(sound) - len(whole) < length * 48
