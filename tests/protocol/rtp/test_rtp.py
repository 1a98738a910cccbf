"""RTP and RTCP bytes against aiortc's reading of them, and the counters of a receiver report."""

from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket
from aiortc.rtp import RtpPacket as AiortcPacket
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.rtp.packet import (
    Reception,
    ReportBlock,
    RtcpReport,
    RtpPacket,
    SenderInfo,
    block_about,
    decode_packet,
    decode_reports,
    encode_bye,
    encode_packet,
    encode_report,
    is_rtcp,
    ntp_time,
    round_trip_ms,
)

BITS_16, BITS_24S, BITS_32 = st.integers(0, 0xFFFF), st.integers(-0x800000, 0x7FFFFF), st.integers(0, 0xFFFFFFFF)
BLOCKS = st.builds(ReportBlock, BITS_32, st.integers(0, 255), BITS_24S, BITS_32, BITS_32, BITS_32, BITS_32)
SENDERS = st.builds(SenderInfo, st.integers(0, (1 << 64) - 1), BITS_32, BITS_32, BITS_32)
REPORTS = st.builds(RtcpReport, BITS_32, st.none() | SENDERS, st.lists(BLOCKS, max_size=3).map(tuple))


@given(st.builds(RtpPacket, st.integers(0, 127), BITS_16, BITS_32, BITS_32, st.binary(min_size=1, max_size=200), st.booleans()))
def test_a_packet_is_read_as_it_was_written_by_us_and_by_the_library(packet: RtpPacket) -> None:
    data = encode_packet(packet)
    assert decode_packet(data) == packet
    theirs = AiortcPacket.parse(data)
    assert (theirs.payload_type, theirs.sequence_number, theirs.timestamp, theirs.ssrc) == (
        packet.payload_type,
        packet.sequence,
        packet.timestamp,
        packet.ssrc,
    )
    assert (theirs.payload, bool(theirs.marker)) == (packet.payload, packet.marker)


def test_sources_extensions_and_padding_are_left_out() -> None:
    theirs = AiortcPacket(payload_type=111, sequence_number=5, timestamp=6, ssrc=7, payload=b"sound")
    theirs.csrc = [1, 2]
    theirs.padding_size = 4
    data = bytearray(theirs.serialize())
    data[0] |= 0x10
    data[20:20] = b"\xbe\xde\x00\x01\x10\xff\x00\x00"  # a one-byte header extension
    assert decode_packet(bytes(data)) == RtpPacket(111, 5, 6, 7, b"sound")


def test_a_packet_without_sound_is_none() -> None:
    """Attack: an empty payload, padding longer than the packet, an extension that isn't there."""
    head = bytes.fromhex("806f00010000000200000003")
    assert decode_packet(head) is None
    assert decode_packet(bytes([0xA0]) + head[1:] + b"\xff") is None
    assert decode_packet(bytes([0x90]) + head[1:] + b"\x00\x00") is None
    assert decode_packet(bytes([0x90]) + head[1:] + b"\x00\x00\xff\xff") is None
    assert decode_packet(b"") is None
    assert decode_packet(bytes([0x40]) + head[1:] + b"x") is None


def test_a_packet_of_padding_alone_is_one_for_who_counts_them() -> None:
    data = bytes.fromhex("a06f00010000000200000003000003")
    assert decode_packet(data) is None
    assert decode_packet(data, empty=True) == RtpPacket(111, 1, 2, 3, b"")
    assert decode_packet(data[:-1] + b"\x04", empty=True) is None


@given(st.binary(max_size=100))
def test_any_bytes_are_a_packet_or_none_and_reports_or_no_reports(data: bytes) -> None:
    packet = decode_packet(data)
    assert packet is None or packet.payload
    assert len(decode_reports(data)) <= len(data) // 8


@given(REPORTS)
def test_a_report_is_read_as_it_was_written(report: RtcpReport) -> None:
    data = encode_report(report, "name")
    assert is_rtcp(data)
    assert decode_reports(data) == [report]


def test_the_library_reads_our_reports_and_our_goodbye() -> None:
    block = ReportBlock(9, 128, -3, 70_000, 12, 0x12345678, 65_536)
    sender, name = RtcpPacket.parse(encode_report(RtcpReport(7, SenderInfo(1 << 40, 960, 2, 100), (block,)), "me"))
    assert isinstance(sender, RtcpSrPacket)
    assert (sender.ssrc, sender.sender_info.packet_count, sender.reports[0].packets_lost) == (7, 2, -3)
    assert (sender.reports[0].fraction_lost, sender.reports[0].highest_sequence, sender.reports[0].dlsr) == (128, 70_000, 65_536)
    assert isinstance(name, RtcpSdesPacket)
    assert name.chunks[0].items == [(1, b"me")]
    receiver, _, bye = RtcpPacket.parse(encode_bye(7, "me"))
    assert isinstance(receiver, RtcpRrPacket)
    assert isinstance(bye, RtcpByePacket)
    assert bye.sources == [7]


def arrivals(*sequences: int) -> Reception:
    reception = Reception(1)
    for index, sequence in enumerate(sequences):
        reception.count(sequence & 0xFFFF, sequence * 960 & 0xFFFFFFFF, index * 0.02)
    return reception


def test_loss_is_counted_across_the_wrap_of_the_sequence_number() -> None:
    reception = arrivals(65_533, 65_534, 65_536, 65_538)  # 65 535 and 65 537 are missing
    assert (reception.expected, reception.lost) == (6, 2)
    assert reception.report(0, 0).highest_sequence == 65_538


def test_a_late_packet_fills_its_gap_and_a_double_never_makes_loss_negative() -> None:
    assert arrivals(10, 12, 11, 13).lost == 0
    assert arrivals(10, 10, 10).lost == 0


def test_the_lost_fraction_is_that_since_the_last_report() -> None:
    reception = arrivals(1, 2, 5, 6)  # 2 of 6 lost
    assert reception.report(0, 0).fraction_lost == 2 * 256 // 6
    assert reception.report(0, 0).fraction_lost == 0


def test_jitter_is_zero_in_a_steady_stream_and_not_in_another() -> None:
    assert arrivals(*range(50)).jitter_ms < 0.01
    shaky = Reception(1)
    for index in range(200):
        shaky.count(index, index * 960, index * 0.02 + (index % 2) * 0.010)
    assert 8 < shaky.jitter_ms < 11


def test_the_round_trip_is_what_is_left_of_the_time_since_the_sender_report() -> None:
    sent, now = ntp_time(1_000_000.0), ntp_time(1_000_000.5)
    block = ReportBlock(1, 0, 0, 0, 0, (sent >> 16) & 0xFFFFFFFF, int(0.45 * 65_536))
    measured = round_trip_ms(block, now)
    assert measured is not None
    assert abs(measured - 50) < 0.1
    assert round_trip_ms(ReportBlock(1, 0, 0, 0, 0, 0, 0), now) is None


def test_a_report_from_the_future_is_no_negative_round_trip() -> None:
    block = ReportBlock(1, 0, 0, 0, 0, (ntp_time(2_000.0) >> 16) & 0xFFFFFFFF, 0)
    assert round_trip_ms(block, ntp_time(1_000.0)) == 0


def test_the_newest_block_about_us_counts() -> None:
    old, new, other = (ReportBlock(ssrc, loss, 0, 0, 0, 0, 0) for ssrc, loss in ((1, 10), (1, 20), (2, 30)))
    assert block_about([RtcpReport(9, None, (old,)), RtcpReport(9, None, (other, new))], 1) == new
    assert block_about([], 1) is None
