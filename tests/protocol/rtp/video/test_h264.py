"""H.264 in RTP: units alone, together and in fragments; which of them begin a picture, and which make a key frame."""

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.rtp.video.h264 import cut_h264, is_h264_key, read_h264, split_units

SPS, PPS, IDR = bytes.fromhex("6742e01f"), bytes.fromhex("68ce3c80"), bytes.fromhex("6588")
TOGETHER = bytes.fromhex("78000467 42e01f000468 ce3c800002 6588".replace(" ", ""))


def joined(payloads: list[bytes]) -> bytes:
    return b"".join(part.data for part in map(read_h264, payloads) if part is not None)


@given(st.lists(st.binary(min_size=2, max_size=4000).map(lambda body: b"\x65" + body.replace(b"\0", b"\1")), min_size=1, max_size=4))
def test_a_frame_is_joined_as_it_was_cut_and_no_packet_is_too_long(units: list[bytes]) -> None:
    frame = b"".join(b"\0\0\0\1" + unit for unit in units)
    payloads = cut_h264(frame, 1100)
    assert joined(payloads) == frame
    assert max(map(len, payloads)) <= 1100
    assert b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads) == frame


def test_start_codes_of_three_bytes_and_zeros_behind_a_unit_are_no_part_of_it() -> None:
    assert list(split_units(b"\0\0\1" + SPS + b"\0\0\0\1" + PPS + b"\0\0\0\0\1" + IDR)) == [SPS, PPS, IDR]


def test_parameter_sets_and_a_slice_in_one_packet_are_a_key_frame() -> None:
    part = read_h264(TOGETHER)
    assert part is not None and part.starts
    assert list(split_units(part.data)) == [SPS, PPS, IDR]
    assert is_h264_key(part.data)


def test_parameter_sets_and_a_slice_in_three_packets_are_a_key_frame() -> None:
    assert is_h264_key(joined([SPS, PPS, IDR]))
    assert not is_h264_key(joined([SPS, PPS]))
    assert not is_h264_key(joined([b"\x41\x9a\x02"]))


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        ("6742e01f", True),
        ("09f0", True),
        ("6588", True),
        ("6508", False),  # not the picture's first slice
        ("419a02", True),
        ("411a02", False),
        ("68ce3c80", False),
        ("7c8588aa", True),  # FU-A, the first
        ("7c0588aa", False),
        ("7c4588aa", False),  # the last
    ],
)
def test_a_picture_begins_where_its_first_slice_or_a_parameter_set_is(payload: str, starts: bool) -> None:
    part = read_h264(bytes.fromhex(payload))
    assert part is not None and part.starts is starts


@pytest.mark.parametrize("payload", ["", "65", "7c85", "78", "780000", "7800ff65", "79000102", "fe00", "1f01"])
def test_what_cannot_be_read_is_none(payload: str) -> None:
    assert read_h264(bytes.fromhex(payload)) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_part_or_nothing(payload: bytes) -> None:
    part = read_h264(payload)
    assert part is None or part.data
