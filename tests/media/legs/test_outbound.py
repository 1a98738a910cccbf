"""A leg's send side on the wire: one line of sequence numbers and time stamps, whatever goes into it."""

import itertools
from collections.abc import Callable
from itertools import pairwise

import pytest

from sinchphone.audio.frame import silence
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.agreement import Agreement, EventFormat, OpusWishes, RepairTerms
from sinchphone.media.codecs.codec import OPUS, PCMA, PCMU, CodecFormat, DecodedFrame, EncodedFrame
from sinchphone.media.codecs.opus import packet_samples
from sinchphone.media.legs.outbound import Outbound
from sinchphone.media.legs.path_control import PathControl
from sinchphone.protocol.rtp.packet import ReportBlock, RtpPacket, decode_packet, encode_packet
from sinchphone.protocol.rtp.red import Block, decode_red
from sinchphone.protocol.rtp.telephone_event import EventPacket

EVENT = EventFormat(101, 8_000)
RED = 63
REPAIRS = Agreement(OPUS, 111, {}, EVENT, opus=OpusWishes(fec=True, max_bitrate=None), repair=RepairTerms(RED, frozenset(), nack=True))


class Wire:
    """A clock that is set by hand, and what was sent."""

    def __init__(self, codec: CodecFormat = PCMU) -> None:
        self.now = 50.0
        self.open = True
        self.sent: list[RtpPacket] = []
        self.path = PathControl(self._transmit, clock=lambda: self.now)
        self.out = Outbound(7, self.path, clock=lambda: self.now)
        self.out.start(Agreement(codec, codec.payload_type, {}, EVENT))

    def talk(self, frames: int) -> None:
        for _ in range(frames):
            self.out.send(silence())
            self.now += 0.020

    def each(self, count: int, action: Callable[[int], object]) -> None:
        for number in range(count):
            action(number)
            self.now += 0.020

    def _transmit(self, data: bytes) -> bool:
        packet = decode_packet(data)
        assert packet is not None
        if self.open:
            self.sent.append(packet)
        return self.open


def steps(numbers: list[int], modulus: int) -> list[int]:
    return [(after - before) % modulus for before, after in itertools.pairwise(numbers)]


def frame(number: int, *, at: int | None = None, codec: CodecFormat = PCMU, marker: bool = False) -> EncodedFrame:
    return EncodedFrame(codec, bytes([number % 256]) * 160, (number * 160 if at is None else at) & 0xFFFFFFFF, number & 0xFFFF, marker)


@pytest.mark.parametrize(("codec", "ticks"), [(PCMU, 160), (OPUS, 960)])
def test_time_stamps_count_in_the_codecs_clock(codec: CodecFormat, ticks: int) -> None:
    wire = Wire(codec)
    wire.talk(5)
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [ticks] * 4
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * 4
    assert {(packet.payload_type, packet.ssrc, packet.marker) for packet in wire.sent} == {(codec.payload_type, 7, False)}


def test_while_a_queue_is_too_long_nothing_goes_into_it_and_what_comes_after_is_as_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number is missing: the peer doesn't take it for loss."""
    wire = Wire()
    wire.talk(2)
    monkeypatch.setattr(PathControl, "is_held", True)
    wire.talk(20)
    monkeypatch.setattr(PathControl, "is_held", False)
    wire.talk(2)
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160, 21 * 160, 160]
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1, 1, 1]
    assert [packet.marker for packet in wire.sent] == [False, False, True, False]


def test_after_a_pause_the_marker_is_set_and_time_has_passed() -> None:
    wire = Wire()
    wire.talk(2)
    wire.now += 2.0
    wire.talk(1)
    assert [packet.marker for packet in wire.sent] == [False, False, True]
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160, 16_160]


def test_nothing_is_sent_before_the_start_and_after_the_stop() -> None:
    sent: list[bytes] = []

    def transmit(data: bytes) -> bool:
        sent.append(data)
        return True

    out = Outbound(7, PathControl(transmit))
    out.send(silence())
    out.event(EventPacket(b"\x01\x00\x00\xa0", 0, True))
    assert not out.forward(frame(1))
    out.start(Agreement(PCMU, 0, {}))
    out.stop()
    out.send(silence())
    assert not out.forward(frame(1))
    assert not sent


def test_a_packet_that_could_not_go_leaves_no_gap() -> None:
    wire = Wire()
    wire.talk(1)
    wire.open = False
    wire.talk(3)
    wire.open = True
    wire.talk(1)
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1]
    assert wire.out.packets == 2


def test_a_digit_takes_the_place_of_sound_in_one_line_of_numbers() -> None:
    wire = Wire()
    wire.talk(3)
    stamp = wire.out.timestamp
    wire.out.suspended = True
    for number in range(4):
        wire.out.send(silence())
        wire.out.event(EventPacket(b"\x05\x0a\x00\xa0", stamp, number == 0))
        wire.now += 0.020
    wire.out.suspended = False
    wire.talk(2)
    assert [packet.payload_type for packet in wire.sent] == [0, 0, 0, 101, 101, 101, 101, 0, 0]
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * 8
    assert steps([wire.sent[2].timestamp, stamp], 1 << 32) == [160]
    assert steps([packet.timestamp for packet in wire.sent if not packet.payload_type], 1 << 32) == [160, 160, 800, 160]


def test_digits_before_any_sound_have_time_stamps_of_their_own() -> None:
    wire = Wire()
    first = wire.out.timestamp
    wire.now += 0.2
    assert (wire.out.timestamp - first) % (1 << 32) == pytest.approx(8_000 * 0.18, abs=2)
    wire.talk(1)
    assert not wire.sent[0].marker


def test_anothers_packets_go_on_as_they_are_under_our_numbers() -> None:
    wire = Wire()
    wire.talk(2)
    wire.each(3, lambda number: wire.out.forward(frame(65_534 + number, at=0xFFFFFFFF - 200 + 160 * number, marker=number == 0)))
    passed = wire.sent[2:]
    assert [packet.payload for packet in passed] == [frame(65_534 + number).payload for number in range(3)]
    assert [packet.marker for packet in passed] == [True, False, False]
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * 4
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160] * 4
    assert {packet.ssrc for packet in wire.sent} == {7}


def test_what_was_lost_on_the_way_here_is_missing_on_the_way_on() -> None:
    wire = Wire()
    for number in (10, 11, 14, 15):
        wire.out.forward(frame(number))
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1, 3, 1]
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160, 480, 160]


def test_packets_that_come_in_disorder_go_on_in_the_same() -> None:
    wire = Wire()
    assert [wire.out.forward(frame(number)) for number in (10, 12, 11, 11, 13, 13)] == [True, True, True, True, True, False]
    first = wire.sent[0].sequence
    assert [(packet.sequence - first) % (1 << 16) for packet in wire.sent] == [0, 2, 1, 1, 3]
    wire.talk(1)
    assert (wire.sent[-1].sequence - first) % (1 << 16) == 4


def test_a_packet_from_before_a_digit_of_ours_is_too_late() -> None:
    wire = Wire()
    for number in (10, 11, 13):
        wire.out.forward(frame(number))
    wire.out.event(EventPacket(b"\x05\x0a\x00\xa0", wire.out.timestamp, True))
    assert not wire.out.forward(frame(12))
    assert wire.out.forward(frame(14))
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1, 2, 1, 1]


def test_during_a_digit_nothing_is_passed_on_and_afterwards_there_is_no_gap_in_the_numbers() -> None:
    wire = Wire()
    wire.each(3, lambda number: wire.out.forward(frame(number)))
    wire.out.suspended = True
    wire.each(5, lambda number: wire.out.forward(frame(3 + number)))
    wire.out.suspended = False
    wire.each(2, lambda number: wire.out.forward(frame(8 + number)))
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * 4
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160, 160, 960, 160]


def test_a_new_source_of_packets_is_joined_to_the_same_line() -> None:
    """Another SSRC behind the port that is diverted: other numbers, other time stamps."""
    wire = Wire()
    wire.each(3, lambda number: wire.out.forward(frame(number)))
    wire.each(3, lambda number: wire.out.forward(frame(40_000 + number, at=3_000_000_000 + 160 * number)))
    wire.each(2, lambda number: wire.out.forward(frame(40_003 + number, at=77 + 160 * number)))
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * 7
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160] * 7


def test_from_passing_to_sound_and_back_time_goes_on() -> None:
    wire = Wire()
    wire.talk(2)
    wire.each(2, lambda number: wire.out.forward(frame(number)))
    wire.talk(2)
    wire.each(2, lambda number: wire.out.forward(frame(6 + number)))
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * 7
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160] * 7


def test_packets_of_another_codec_are_not_passed_on() -> None:
    wire = Wire()
    assert not wire.out.forward(frame(1, codec=PCMA))
    assert not wire.sent


def test_another_codec_from_now_on_speaks_at_once() -> None:
    wire = Wire(PCMU)
    wire.talk(2)
    wire.out.start(Agreement(OPUS, 96, {}, opus=OpusWishes(fec=True, max_bitrate=24_000)))
    tone = Sine(500)
    for _ in range(3):
        wire.out.send(tone.pull())
        wire.now += 0.020
    assert [packet.payload_type for packet in wire.sent] == [0, 0, 96, 96, 96]
    assert steps([packet.timestamp for packet in wire.sent[2:]], 1 << 32) == [960, 960]
    wire.out.adapt(ReportBlock(7, 60, 10, 0, 0, 0, 0))


def test_a_sender_report_counts_what_went_out() -> None:
    wire = Wire()
    assert wire.out.report(0.0) is None
    wire.talk(5)
    report = wire.out.report(1_000_000.0)
    assert report is not None
    assert (report.packets, report.octets) == (5, 800)
    assert (report.rtp_timestamp - wire.sent[-1].timestamp) % (1 << 32) == 160


class LossyWire(Wire):
    """The same with a peer that reports loss, whose terms are ``agreement``."""

    def __init__(self, agreement: Agreement = REPAIRS) -> None:
        super().__init__(agreement.codec)
        self.out.start(agreement)

    def lose(self, share: float, reports: int = 5) -> None:
        for _ in range(reports):
            block = ReportBlock(7, round(256 * share), 10, self.sent[-1].sequence if self.sent else 0, 0, 0, 0)
            self.path.reported(block, None)
            self.out.adapt(block)
            self.talk(50)

    @property
    def latest(self) -> list[int]:
        """The payload types of the last half second."""
        return [packet.payload_type for packet in self.sent[-25:]]


def test_on_a_clean_line_nothing_is_repeated() -> None:
    wire = LossyWire()
    wire.lose(0.0)
    assert {packet.payload_type for packet in wire.sent} == {111}


def test_while_packets_get_lost_each_carries_the_one_before_it_once_more() -> None:
    wire = LossyWire()
    wire.lose(0.08)
    assert set(wire.latest) == {RED}
    copied, own = (decode_red(packet.payload) for packet in wire.sent[-2:])
    assert own[0] == Block(111, 960, copied[-1].payload)
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * (len(wire.sent) - 1)
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [960] * (len(wire.sent) - 1)
    assert wire.out.octets == sum(len(packet.payload) for packet in wire.sent)


@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_telephone_codecs_are_sent_as_ever_whatever_is_lost(codec: CodecFormat) -> None:
    wire = LossyWire(Agreement(codec, codec.payload_type, {}, EVENT))
    wire.lose(0.2)
    assert {(packet.payload_type, len(packet.payload)) for packet in wire.sent} == {(codec.payload_type, 160)}


def test_opus_for_a_peer_without_redundant_packets_has_its_own_error_correction() -> None:
    wire = LossyWire(Agreement(OPUS, 96, {}, opus=OpusWishes(fec=True, max_bitrate=None)))
    wire.lose(0.1)
    assert set(wire.latest) == {96}
    assert wire.out._setting.fec_percent > 5


def test_a_bit_rate_that_the_peer_limits_is_kept_to() -> None:
    octets = []
    for limit in (12_000, None):
        wire, tone = LossyWire(Agreement(OPUS, 96, {}, opus=OpusWishes(fec=True, max_bitrate=limit))), Sine(500)
        wire.each(200, lambda _, wire=wire, tone=tone: wire.out.send(tone.pull()))  # type: ignore[misc]
        wire.out.follow_path()
        wire.each(50, lambda _, wire=wire, tone=tone: wire.out.send(tone.pull()))  # type: ignore[misc]
        octets.append(sum(len(packet.payload) for packet in wire.sent[200:]))
    assert octets[0] * 8 < 15_000 < 36_000 < octets[1] * 8


def test_a_peer_that_tells_nothing_of_the_path_is_not_waited_for() -> None:
    wire = LossyWire(Agreement(OPUS, 96, {}, opus=OpusWishes(fec=False, max_bitrate=None)))
    bitrates = []
    for _ in range(2):
        wire.talk(160)
        wire.out.follow_path()
        bitrates.append(wire.out._setting.bitrate)
    assert bitrates == [38_000, 38_000]
    wire = LossyWire(Agreement(OPUS, 96, {}, opus=OpusWishes(fec=False, max_bitrate=None)))
    wire.talk(100)
    wire.out.follow_path()
    assert wire.out._setting.bitrate == 24_000


def spoken(*, dtx: bool) -> list[RtpPacket]:
    """What goes out of a second of speech, two of silence, and one of speech."""
    wire, tone = LossyWire(Agreement(OPUS, 96, {}, opus=OpusWishes(fec=True, max_bitrate=None, dtx=dtx))), Sine(500)
    for seconds, sound in ((1, tone.pull), (2, silence), (1, tone.pull)):
        wire.each(50 * seconds, lambda _, sound=sound: wire.out.send(sound()))  # type: ignore[misc]
    return wire.sent


def test_a_peer_that_wants_no_silence_gets_none_and_can_tell_where_it_was() -> None:
    packets = spoken(dtx=True)
    assert 100 < len(packets) < 150
    times = [(packet.timestamp - packets[0].timestamp) & 0xFFFFFFFF for packet in packets]
    assert times[-1] == 199 * 960
    assert steps([packet.sequence for packet in packets], 1 << 16) == [1] * (len(packets) - 1)
    after_a_gap = [now.marker for before, now in pairwise(packets) if (now.timestamp - before.timestamp) & 0xFFFFFFFF > 960]
    assert after_a_gap
    assert all(after_a_gap)
    assert sum(packet.marker for packet in packets[1:]) == len(after_a_gap)


def test_anybody_else_gets_packets_of_silence_too() -> None:
    packets = spoken(dtx=False)
    assert len(packets) == 200
    assert not any(packet.marker for packet in packets)


def test_after_a_hold_the_loss_is_still_known() -> None:
    wire = LossyWire()
    wire.lose(0.08)
    wire.out.stop()
    wire.now += 3.0
    wire.out.start(REPAIRS)
    wire.talk(25)
    assert wire.latest == [111, *[RED] * 24]  # from before the hold nothing is repeated


def test_what_is_passed_on_has_no_copies_and_is_in_none() -> None:
    wire = LossyWire()
    wire.lose(0.08)
    wire.each(3, lambda number: wire.out.forward(frame(number, at=960 * number, codec=OPUS)))
    wire.talk(2)
    assert [packet.payload_type for packet in wire.sent[-5:]] == [111, 111, 111, 111, RED]
    assert [packet.payload for packet in wire.sent[-5:-2]] == [frame(number).payload for number in range(3)]
    assert [block.offset for block in decode_red(wire.sent[-1].payload)] == [960, 0]


def test_sound_from_before_a_digit_is_not_repeated_after_it() -> None:
    wire = LossyWire()
    wire.lose(0.08)
    wire.out.suspended = True
    wire.each(7, lambda number: (wire.out.send(silence()), wire.out.event(EventPacket(b"\x05\x0a\x00\xa0", 1, number == 0))))  # type: ignore[func-returns-value]
    wire.out.suspended = False
    wire.talk(2)
    assert [packet.payload_type for packet in wire.sent[-10:]] == [RED, *[101] * 7, 111, RED]
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * (len(wire.sent) - 1)


def test_packets_that_are_asked_for_are_sent_again_as_they_were_but_for_digits() -> None:
    wire = LossyWire()
    wire.talk(3)
    wire.out.forward(frame(1, codec=OPUS))
    wire.out.event(EventPacket(b"\x05\x0a\x00\xa0", wire.out.timestamp, True))
    wire.talk(1)
    before, counted = list(wire.sent), wire.out.packets
    wire.out.resend([packet.sequence for packet in before])
    assert wire.sent[len(before) :] == [packet for packet in before if packet.payload_type != 101]
    assert wire.out.packets == counted
    wire.talk(1)
    assert (wire.sent[-1].sequence - before[-1].sequence) % (1 << 16) == 1


def test_what_is_sent_again_is_left_out_of_what_may_be_sent_anew() -> None:
    wire = LossyWire()
    wire.talk(10)
    before = wire.path.share(7)
    for packet in wire.sent[:5]:
        wire.path.resend(encode_packet(packet))
    assert 500 < before - wire.path.share(7) < 5_000
    wire.now += 2.5
    assert wire.path.share(7) == pytest.approx(before)


@pytest.mark.parametrize("repair", [RepairTerms(RED), RepairTerms()])
def test_without_an_agreement_nothing_is_sent_again(repair: RepairTerms) -> None:
    wire = LossyWire(Agreement(OPUS, 111, {}, repair=repair))
    wire.talk(3)
    wire.out.resend([packet.sequence for packet in wire.sent])
    assert len(wire.sent) == 3


def test_on_hold_nothing_is_sent_again() -> None:
    wire = LossyWire()
    wire.talk(3)
    wire.out.stop()
    wire.out.resend([packet.sequence for packet in wire.sent])
    assert len(wire.sent) == 3


class NarrowWire(Wire):
    """Opus for a peer that takes up to 60 ms in a packet, over a path that carries little."""

    def __init__(self, kbps: float) -> None:
        super().__init__(OPUS)
        self.out.start(Agreement(OPUS, 111, {}, EVENT, opus=OpusWishes(fec=True, max_bitrate=None)))
        self.out._path._controller._budget = 1000 * kbps
        self.out.follow_path()


@pytest.mark.parametrize(("kbps", "frames"), [(70, 1), (35, 2), (24, 3)])
def test_on_a_narrow_path_a_packet_has_more_frames_and_their_time(kbps: float, frames: int) -> None:
    wire = NarrowWire(kbps)
    wire.talk(12)
    assert len(wire.sent) == 12 // frames
    assert set(steps([packet.timestamp for packet in wire.sent], 1 << 32)) == {960 * frames}
    assert {packet_samples(packet.payload) for packet in wire.sent} == {960 * frames}
    assert wire.out.timestamp == (wire.sent[-1].timestamp + 960 * frames) & 0xFFFFFFFF


@pytest.mark.parametrize(("kbps", "again"), [(110, 1), (58, 0)])
def test_where_copies_do_not_fit_neither_does_what_is_asked_for(kbps: float, again: int) -> None:
    wire = LossyWire()
    wire.lose(0.08)
    wire.path._controller._budget = 1000.0 * kbps
    wire.out.follow_path()
    wire.talk(5)
    count, last = len(wire.sent), wire.sent[-1].sequence
    wire.out.resend([last])
    assert [packet.sequence for packet in wire.sent[count:]] == [last] * again


def test_a_digit_or_a_pause_leaves_no_frame_behind_that_would_come_later() -> None:
    wire = NarrowWire(35)
    wire.talk(3)
    wire.out.suspended = True
    wire.talk(10)
    wire.out.suspended = False
    wire.talk(2)
    wire.now += 1.0
    wire.talk(2)
    stamps = [(packet.timestamp - wire.sent[0].timestamp) // 960 for packet in wire.sent]
    assert stamps == [0, 13, 65]
    assert [packet.marker for packet in wire.sent] == [False, False, True]


def carried(count: int, *, size: int = 960, first: int = 0) -> list[DecodedFrame]:
    return [DecodedFrame(silence(size), first + number * size) for number in range(count)]


@pytest.mark.parametrize(("codec", "ticks"), [(PCMU, 160), (OPUS, 960)])
def test_another_legs_sound_keeps_the_distances_of_its_time_line(codec: CodecFormat, ticks: int) -> None:
    wire = Wire(codec)
    wire.talk(3)
    came = [*carried(3, first=77), *carried(2, first=77 + 5 * 960)]  # a hole of two packets
    wire.each(5, lambda number: wire.out.carry(came[number]))
    assert steps([packet.timestamp for packet in wire.sent[3:]], 1 << 32) == [ticks, ticks, 3 * ticks, ticks]
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * 7
    wire.talk(2)
    assert steps([packet.sequence for packet in wire.sent], 1 << 16) == [1] * 9


def test_another_legs_packets_are_cut_anew_to_the_length_that_the_peer_wants() -> None:
    wire = Wire(PCMU)
    came = carried(6, size=1_440)  # 30 ms
    wire.each(6, lambda number: wire.out.carry(came[number]))
    assert {len(packet.payload) for packet in wire.sent} == {160}
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160] * 8


def test_another_legs_sound_that_strays_from_its_time_line_begins_anew_where_ours_is() -> None:
    wire = Wire(PCMU)
    came = [*carried(2), *carried(2, first=500_000_000)]
    wire.each(4, lambda number: wire.out.carry(came[number]))
    assert steps([packet.timestamp for packet in wire.sent], 1 << 32) == [160, 160, 160]


def test_during_a_digit_no_sound_of_another_leg_goes_out() -> None:
    wire = Wire(PCMU)
    came = carried(4)
    wire.out.carry(came[0])
    wire.out.suspended = True
    wire.out.carry(came[1])
    wire.out.suspended = False
    wire.out.carry(came[2])
    assert len(wire.sent) == 2
