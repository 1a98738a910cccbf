"""A leg's arrivals over a line that loses packets: what is asked for again, and what copies and hostile packets do."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, Samples
from sinchphone.media.agreement import Agreement, RepairTerms
from sinchphone.media.codecs import codec
from sinchphone.media.codecs.codec import EncodedFrame
from sinchphone.media.legs.inbound import Inbound
from sinchphone.protocol.rtp.nack import Nack
from sinchphone.protocol.rtp.packet import RtpPacket, encode_packet
from sinchphone.protocol.rtp.red import Block, encode_red
from sinchphone.protocol.rtp.telephone_event import Digit
from tests.media.legs.numbered_packets import NumberedPackets

OPUS, RED, EVENT = 111, 63, 110
HEARS = Agreement(codec.OPUS, OPUS, {OPUS: codec.OPUS}, events={EVENT: 48_000}, repair=RepairTerms(RED, frozenset({RED}), nack=True))
SSRC = 0xCAFE
FRAME_S = 0.020
FIRST = 65_500


class NumberedOrNot(NumberedPackets):
    """What isn't a number is no packet; of a copy's sound it is known that it's the one before."""

    def duration(self, payload: bytes) -> int:
        return FRAME_SAMPLES if payload.lstrip(b"+").isdigit() else 0

    def recover(self, payload: bytes, samples: int) -> Samples:
        return np.full(samples, int(payload) - 1, np.int16)


class Line:
    """One peer's packets, one frame each 20 ms, and a listener."""

    def __init__(self) -> None:
        self.now = 50.0
        self.digits: list[Digit] = []
        self.inbound = Inbound(self.digits.append, clock=lambda: self.now)
        self.inbound._decoder._decoders[codec.OPUS.name] = NumberedOrNot()
        self.inbound.expect(HEARS)
        self.receiver = self.inbound.receiver
        self.inbound.measured(40.0)
        self.heard: list[int] = []
        self.asked: list[Nack] = []

    def packet(self, frame: int, *, copies: int = 0, payload_type: int | None = None, payload: bytes | None = None) -> bytes:
        blocks = [Block(OPUS, FRAME_SAMPLES * age, b"%d" % (100 + frame - age)) for age in range(copies, -1, -1)]
        if payload is None:
            payload = encode_red(blocks) if copies else blocks[0].payload
        kind = payload_type if payload_type is not None else RED if copies else OPUS
        return encode_packet(RtpPacket(kind, (FIRST + frame) % 0x10000, FRAME_SAMPLES * frame, SSRC, payload))

    def take(self, *packets: bytes) -> list[bool]:
        taken = [self.inbound.take(packet) for packet in packets]
        wanted = self.inbound.wanted()
        if wanted is not None:
            self.asked.append(wanted)
        return taken

    def tick(self, *packets: bytes) -> None:
        """Twenty milliseconds."""
        self.take(*packets)
        for _ in range(2):
            self.heard += [int(value) for value in self.receiver.pull(480)[::480]]
            self.now += 0.010

    def talk(self, frames: range, *, copies: int = 0, lost: frozenset[int] = frozenset()) -> None:
        for frame in frames:
            self.tick(*([] if frame in lost else [self.packet(frame, copies=copies)]))


def every(step: int, frames: range) -> frozenset[int]:
    return frozenset(frames[step::step])


def test_a_copy_in_the_next_packet_takes_the_place_of_what_was_lost() -> None:
    line, lost = Line(), every(7, range(400))
    line.talk(range(400), copies=1, lost=lost)
    settled = line.heard[400:]
    assert 7 not in settled
    assert set(range(320, 480)) <= set(settled)
    assert line.receiver.stats().packets_mended > 40


def test_two_copies_mend_bursts_of_two() -> None:
    line, frames = Line(), range(400)
    lost = every(9, frames) | frozenset(frame + 1 for frame in every(9, frames))
    line.talk(frames, copies=2, lost=lost)
    assert 7 not in line.heard[400:]


def test_copies_of_what_was_never_lost_change_nothing() -> None:
    plain, copied = Line(), Line()
    plain.talk(range(200))
    copied.talk(range(200), copies=3)
    assert plain.heard == copied.heard
    assert copied.receiver.stats().packets_mended == 0
    assert copied.receiver.stats().target_ms == plain.receiver.stats().target_ms


def test_what_is_sent_again_is_heard_once_the_delay_allows_for_it() -> None:
    line, lost = Line(), every(8, range(500))
    again: list[tuple[float, bytes]] = []
    for frame in range(500):
        due = [packet for at, packet in again if at <= line.now]
        again = [(at, packet) for at, packet in again if at > line.now]
        line.tick(*due, *([] if frame in lost else [line.packet(frame)]))
        while line.asked:
            again += [(line.now + 0.020, line.packet((sequence - FIRST) % 0x10000)) for sequence in line.asked.pop().sequences]
    assert 7 not in line.heard[500:]
    assert line.receiver.stats().packets_mended > 30
    assert line.inbound.lost == pytest.approx(len(lost), abs=1)
    assert 50 < line.receiver.stats().target_ms < 90


@pytest.mark.parametrize("later", [3, 40])
def test_what_is_sent_again_is_neither_received_nor_less_lost_whenever_it_comes(later: int) -> None:
    """Nor jitter: the answer may have waited in a queue for longer than anybody waits for it."""
    line = Line()
    for frame in range(100):
        again = [line.packet(frame - later)] if frame - later in range(20, 30) else []
        line.tick(*([] if frame in range(20, 30, 2) else [line.packet(frame)]), *(each for each in again if (frame - later) % 2 == 0))
    assert (line.inbound.packets, line.inbound.lost) == (95, 5)
    assert line.inbound.jitter_ms == pytest.approx(0, abs=1e-6)


def test_over_a_long_path_nothing_is_asked_for_and_nothing_waited_for() -> None:
    line = Line()
    line.inbound.measured(300.0)
    line.talk(range(200), lost=every(8, range(200)))
    assert line.asked == []
    assert line.receiver.stats().target_ms < 20


def test_what_a_copy_mended_is_not_asked_for() -> None:
    line = Line()
    line.talk(range(100), copies=1, lost=frozenset({50, 60, 61}))
    assert [nack.sequences for nack in line.asked][:1] == [((FIRST + 60) % 0x10000,)]


def test_events_between_the_sound_are_neither_missing_nor_jitter() -> None:
    line = Line()
    line.talk(range(50))
    event = struct.pack("!BBH", 5, 10, 960)
    for frame in range(50, 60):
        line.tick(line.packet(frame, payload_type=EVENT, payload=event))
    line.talk(range(60, 80))
    assert line.asked == []
    assert line.inbound.lost == 0
    assert line.inbound.jitter_ms == pytest.approx(0, abs=0.5)
    assert set(range(161, 178)) <= set(line.heard)


def digit(line: Line, frame: int, at: int, *, duration: int = 960, end: bool = False) -> bytes:
    """A packet of the digit 5 that began with frame ``at``."""
    payload = struct.pack("!BBH", 5, 10 | (0x80 if end else 0), duration)
    return encode_packet(RtpPacket(EVENT, (FIRST + frame) % 0x10000, FRAME_SAMPLES * at, SSRC, payload))


def test_digits_between_packets_with_copies_are_heard_once_and_nothing_is_out_of_place() -> None:
    line = Line()
    line.talk(range(50), copies=2)
    for frame in range(50, 57):
        line.tick(digit(line, frame, 50, duration=960 * (frame - 49), end=frame > 53))
    line.talk(range(57, 120), copies=2, lost=every(9, range(57, 120)))
    assert [heard.digit for heard in line.digits] == ["5"]
    assert set(range(102, 149)) <= set(line.heard)
    settled = set(line.heard[180:])
    assert 7 not in settled
    assert not settled & set(range(150, 157))  # what was held back during the digit


def test_a_packet_from_before_a_digit_that_is_sent_again_does_not_end_the_rest() -> None:
    line = Line()
    line.talk(range(50), lost=frozenset({48}))
    line.tick(digit(line, 50, 50))
    line.tick(digit(line, 51, 50), line.packet(48))
    silent = line.receiver.stats().concealed_samples
    for _ in range(8):
        line.tick()
    assert line.receiver.stats().concealed_samples == silent
    assert 7 not in line.heard[-8:]


def test_a_lost_packet_of_a_digit_that_is_sent_again_makes_no_second_digit_and_no_rest() -> None:
    line = Line()
    line.talk(range(50))
    for frame in (50, 51, 53, 54, 55, 56):
        line.tick(digit(line, frame, 50, duration=960 * (frame - 49), end=frame > 53))
    line.talk(range(57, 60))
    assert line.asked[0].sequences == ((FIRST + 52) % 0x10000,)
    line.tick(line.packet(60), digit(line, 52, 50, duration=2_880))
    line.tick()
    assert [heard.digit for heard in line.digits] == ["5"]
    assert line.heard[-2:].count(0) == 0


def test_what_copies_mend_is_passed_on_too_in_its_order_and_once() -> None:
    line = Line()
    frames: list[EncodedFrame] = []
    line.inbound.divert(frames.append)
    line.talk(range(60), copies=2, lost=frozenset({20, 30, 31, 40, 41, 42}))
    assert [int(frame.payload) for frame in frames] == [100 + number for number in range(60) if number != 40]
    assert {frame.codec for frame in frames} == {codec.OPUS}
    assert {(frame.sequence - FIRST) % 0x10000 - frame.timestamp // FRAME_SAMPLES for frame in frames} == {0}


def test_what_is_sent_again_is_passed_on_when_it_comes() -> None:
    line = Line()
    frames: list[EncodedFrame] = []
    line.inbound.divert(frames.append)
    line.talk(range(10), lost=frozenset({5}))
    line.tick(line.packet(5), line.packet(10))
    assert [int(frame.payload) - 100 for frame in frames] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 5, 10]


def test_without_an_agreement_copies_are_not_read() -> None:
    line = Line()
    line.inbound.expect(replace(HEARS, repair=RepairTerms()))
    assert line.take(line.packet(0), line.packet(1, copies=1)) == [True, False]


def cut(payload: bytes, size: int) -> bytes:
    return payload[: len(payload) - size]


HOSTILE = {
    "an empty payload": (OPUS, b""),
    "no Opus": (OPUS, b"garbage"),
    "an unknown payload type": (13, b"\x7f"),
    "an event of no length": (EVENT, b""),
    "an empty redundant packet": (RED, b""),
    "redundancy without a primary": (RED, encode_red([Block(OPUS, 960, b"99"), Block(OPUS, 0, b"")])),
    "redundancy that is cut short": (RED, cut(encode_red([Block(OPUS, 960, b"9" * 300), Block(OPUS, 0, b"")]), 200)),
    "headers without end": (RED, b"\xff" * 1000),
    "redundancy of another codec": (RED, encode_red([Block(0, 960, b"99"), Block(0, 0, b"99")])),
    "a primary from the past": (RED, encode_red([Block(OPUS, 960, b"99"), Block(0, 0, b"99")])),
    "a copy of nobody knows when": (RED, encode_red([Block(OPUS, 16_383, b"99"), Block(OPUS, 0, b"garbage")])),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_packet_costs_no_more_than_its_frame(kind: str) -> None:
    line = Line()
    line.talk(range(50))
    payload_type, payload = HOSTILE[kind]
    line.tick(line.packet(50, payload_type=payload_type, payload=payload))
    line.talk(range(51, 100))
    assert set(range(152, 198)) <= set(line.heard)
    assert line.heard[-40:].count(7) == 0


def test_a_flood_of_events_does_not_stop_the_sound() -> None:
    line = Line()
    line.talk(range(50))
    number = 50
    for frame in range(50, 100):
        flood = [
            encode_packet(RtpPacket(EVENT, (FIRST + number + i) % 0x10000, FRAME_SAMPLES * 50, SSRC, struct.pack("!BBH", 5, 10, 960)))
            for i in range(20)
        ]
        number += 20
        sound = encode_packet(RtpPacket(OPUS, (FIRST + number) % 0x10000, FRAME_SAMPLES * frame, SSRC, b"%d" % (100 + frame)))
        number += 1
        line.tick(*flood, sound)
    assert set(range(151, 198)) <= set(line.heard)
    assert line.asked == []
    assert line.inbound.lost == 0


def test_a_sender_that_takes_another_ssrc_is_heard_and_not_asked_for_the_past() -> None:
    line = Line()
    line.talk(range(50))
    line.now += 0.3
    for frame in range(50):
        line.tick(encode_packet(RtpPacket(OPUS, 7 + frame, 123 + FRAME_SAMPLES * frame, 0xBEEF, b"%d" % (500 + frame))))
    assert set(range(500, 545)) <= set(line.heard)
    assert line.asked == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([OPUS, RED, EVENT, 13]),
            st.integers(0, 0xFFFF) | st.integers(0, 40).map(lambda i: FIRST + i),
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 40).map(lambda i: FRAME_SAMPLES * i),
            st.binary(max_size=60) | st.just(b"5") | st.just(encode_red([Block(OPUS, 960, b"4"), Block(OPUS, 0, b"5")])),
            st.sampled_from([0.0, 0.01, 0.02, 0.3]),
        ),
        max_size=120,
    )
)
def test_whatever_comes_the_listener_gets_sound_and_the_peer_few_requests(steps: list[tuple[int, int, int, bytes, float]]) -> None:
    line = Line()
    for payload_type, sequence, timestamp, payload, later in steps:
        line.take(encode_packet(RtpPacket(payload_type, sequence % 0x10000, timestamp, SSRC, payload)))
        assert len(line.receiver.pull(480)) == 480
        line.now += later
    assert len(line.asked) <= len(steps)


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_that_reach_back_over_a_digit_are_not_heard_after_it_though_a_packet_of_it_was_lost(copies: int) -> None:
    """By its number what was lost might have been sound."""
    lines = {number: Line() for number in (0, copies)}
    for number, line in lines.items():
        line.talk(range(40))
        for frame in range(40, 46):
            event = line.packet(frame, payload_type=EVENT, payload=bytes([5, 0x0A if frame < 45 else 0x8A, 0x12, 0xC0]))
            line.tick(*([] if frame == 44 else [event]))
        line.talk(range(46, 60), copies=number)
    assert lines[copies].heard == lines[0].heard
    assert lines[copies].asked == lines[0].asked
    assert lines[copies].receiver.stats().packets_mended == 0
