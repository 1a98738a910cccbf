"""Requests for key frames and for less: bytes against aiortc's reading of them."""

import struct

from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, pack_remb_fci
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.rtp.packet import decode_reports
from sinchphone.protocol.rtp.video.feedback import KeyFrameRequest, MaximumBitrate, decode_picture_feedback, encode_pli


def test_a_request_for_a_key_frame_is_a_compound_packet_that_both_read() -> None:
    data = encode_pli(7, 9, "name")
    assert list(decode_picture_feedback(data)) == [KeyFrameRequest(9)]
    assert [report.ssrc for report in decode_reports(data)] == [7]
    theirs = RtcpPacket.parse(data)[-1]
    assert isinstance(theirs, RtcpPsfbPacket)
    assert (theirs.fmt, theirs.ssrc, theirs.media_ssrc) == (1, 7, 9)


def test_a_full_intra_request_names_each_source_with_its_number() -> None:
    body = struct.pack("!IIIB3xIB3x", 7, 0, 9, 3, 10, 4)
    data = struct.pack("!BBH", 0x84, 206, len(body) // 4) + body
    assert list(decode_picture_feedback(data)) == [KeyFrameRequest(9, 3), KeyFrameRequest(10, 4)]


@given(st.integers(1, 0x3FFFF), st.integers(0, 12))
def test_a_limit_is_read_as_the_library_writes_it(mantissa: int, exponent: int) -> None:
    bitrate = mantissa << exponent
    data = bytes(RtcpPsfbPacket(fmt=15, ssrc=7, media_ssrc=0, fci=pack_remb_fci(bitrate, [9])))
    (limit,) = decode_picture_feedback(data)
    assert isinstance(limit, MaximumBitrate)
    assert bitrate * (1 - 1 / (1 << 16)) <= limit.bitrate <= bitrate


@given(st.binary(max_size=120))
def test_any_bytes_are_requests_or_nothing(data: bytes) -> None:
    assert all(isinstance(one, KeyFrameRequest | MaximumBitrate) for one in decode_picture_feedback(data))


def test_an_application_packet_of_another_kind_is_no_limit() -> None:
    body = struct.pack("!II4sI", 7, 0, b"ABCD", 1)
    assert list(decode_picture_feedback(struct.pack("!BBH", 0x8F, 206, len(body) // 4) + body)) == []
