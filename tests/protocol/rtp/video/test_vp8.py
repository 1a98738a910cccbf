"""VP8 in RTP: the descriptor's length in every form, and frames cut and joined again."""

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.rtp.video.part import Part
from sinchphone.protocol.rtp.video.vp8 import cut_vp8, is_vp8_key, read_vp8


@given(st.binary(min_size=1, max_size=9000), st.integers(0, 0x7FFF), st.integers(60, 1200))
def test_a_frame_is_joined_as_it_was_cut_and_no_packet_is_too_long(frame: bytes, picture_id: int, most: int) -> None:
    payloads = cut_vp8(frame, picture_id, most)
    parts = [read_vp8(payload) for payload in payloads]
    assert b"".join(part.data for part in parts if part is not None) == frame
    assert [part is not None and part.starts for part in parts] == [True, *(len(parts) - 1) * [False]]
    assert max(map(len, payloads)) <= most


@given(st.binary(min_size=1, max_size=400), st.integers(0, 0x7FFF))
def test_the_library_reads_the_same_descriptor(frame: bytes, picture_id: int) -> None:
    for index, payload in enumerate(cut_vp8(frame, picture_id, 100)):
        descriptor, rest = VpxPayloadDescriptor.parse(payload)
        assert (descriptor.picture_id, descriptor.partition_start, descriptor.partition_id) == (picture_id, int(not index), 0)
        part = read_vp8(payload)
        assert part is not None and part.data == rest


@pytest.mark.parametrize(
    ("head", "starts"),
    [
        ("10", True),
        ("00", False),
        ("11", False),  # the second partition's beginning
        ("9080 05", True),  # a picture id of 7 bits
        ("9080 8123", True),
        ("9040 07", True),
        ("9020 20", True),
        ("90f0 8123 07 20", True),
        ("90f0 23 07 20", True),
        ("9000", True),  # an extension that says nothing
    ],
)
def test_every_form_of_the_descriptor_has_its_length(head: str, starts: bool) -> None:
    assert read_vp8(bytes.fromhex(head) + b"frame") == Part(b"frame", starts)


@pytest.mark.parametrize("payload", ["", "10", "90", "9080", "908081", "90f081230720"])
def test_a_packet_without_a_frame_in_it_is_none(payload: str) -> None:
    assert read_vp8(bytes.fromhex(payload)) is None


@given(st.binary(max_size=40))
def test_any_bytes_are_a_part_or_nothing(payload: bytes) -> None:
    part = read_vp8(payload)
    assert part is None or part.data


def test_a_key_frame_is_told_by_its_first_bit() -> None:
    assert is_vp8_key(b"\x50\x12") and not is_vp8_key(b"\x51\x12") and not is_vp8_key(b"")
