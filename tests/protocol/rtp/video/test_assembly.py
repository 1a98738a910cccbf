"""Frames out of packets: order, loss, key frames, and lines of numbers that break off."""

from collections.abc import Iterable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.rtp.packet import RtpPacket
from sinchphone.protocol.rtp.video.assembly import EncodedPicture, FrameAssembler, FrameFormat
from sinchphone.protocol.rtp.video.h264 import is_h264_key, read_h264
from sinchphone.protocol.rtp.video.vp8 import cut_vp8, is_vp8_key, read_vp8

PATIENCE = 0.1
VP8 = FrameFormat(read_vp8, is_vp8_key)
H264 = FrameFormat(read_h264, is_h264_key)


def frame_of(index: int, *, key: bool, size: int = 900) -> bytes:
    return bytes((0x10 | (not key), index & 0xFF)) + bytes(size - 2)


def packets_of(count: int, *, first: int = 0, keys: Iterable[int] = (0,), size: int = 900, number: int = 0) -> list[list[RtpPacket]]:
    """Frames of three packets each."""
    frames = []
    for index in range(number, number + count):
        parts = cut_vp8(frame_of(index, key=index in keys, size=size), index, 400)
        at = first + (index - number) * len(parts)
        frames.append(
            [RtpPacket(96, (at + step) % 0x10000, 3000 * index, 5, part, marker=step == len(parts) - 1) for step, part in enumerate(parts)]
        )
    return frames


def push_all(assembler: FrameAssembler, packets: Iterable[RtpPacket], now: float = 0.0) -> list[EncodedPicture]:
    return [frame for packet in packets for frame in assembler.push(packet, now, PATIENCE)]


def indexes(frames: Iterable[EncodedPicture]) -> list[int]:
    return [frame.data[1] for frame in frames]


@pytest.mark.parametrize("first", [0, 65_530])
def test_frames_in_order_come_out_at_once_and_over_the_wrap(first: int) -> None:
    frames = push_all(FrameAssembler(VP8), [packet for frame in packets_of(8, first=first) for packet in frame])
    assert indexes(frames) == list(range(8))
    assert [frame.is_key for frame in frames] == [True, *7 * [False]]
    assert [frame.timestamp for frame in frames] == [3000 * index for index in range(8)]


def test_packets_of_padding_between_frames_are_no_gap() -> None:
    assembler = FrameAssembler(VP8)
    (first,), (second,) = packets_of(1), packets_of(1, first=8, number=1)
    padding = [RtpPacket(96, 3 + step, first[0].timestamp, 5, b"") for step in range(5)]
    assert indexes(push_all(assembler, [*first, *padding, *second])) == [0, 1]
    assert (assembler.dropped, assembler.needs_key) == (0, False)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_overtaken_packets_make_the_same_frames(order: tuple[int, ...]) -> None:
    assembler = FrameAssembler(VP8)
    first, second, third = packets_of(3)
    mixed = [*second, third[0]]
    frames = push_all(assembler, [*first, *(mixed[index] for index in order), *third[1:]])
    assert indexes(frames) == [0, 1, 2]
    assert assembler.dropped == 0


def test_a_doubled_packet_changes_nothing() -> None:
    packets = [packet for frame in packets_of(4) for packet in frame for _ in range(2)]
    assert indexes(push_all(FrameAssembler(VP8), packets)) == [0, 1, 2, 3]


def test_a_packet_that_is_sent_again_in_time_mends_the_frame() -> None:
    assembler = FrameAssembler(VP8)
    first, second, third = packets_of(3)
    assert indexes(push_all(assembler, first)) == [0]
    assert push_all(assembler, [second[0], second[2], *third], now=0.0) == []
    assert indexes(assembler.push(second[1], 0.09, PATIENCE)) == [1, 2]
    assert not assembler.needs_key


def test_after_a_loss_nothing_comes_out_before_the_next_key_frame() -> None:
    assembler = FrameAssembler(VP8)
    frames = packets_of(6, keys=(0, 4))
    assert indexes(push_all(assembler, [*frames[0], frames[1][0], frames[1][2], *frames[2]])) == [0]
    assert push_all(assembler, frames[3], now=0.2) == []
    assert assembler.needs_key
    assert indexes(push_all(assembler, [*frames[4], *frames[5]], now=0.2)) == [4, 5]
    assert assembler.dropped == 3
    assert not assembler.needs_key


def test_a_gap_is_given_up_although_no_further_packet_comes() -> None:
    assembler = FrameAssembler(VP8)
    frames = packets_of(3)
    push_all(assembler, [*frames[0], *frames[1][1:], *frames[2]])
    assert assembler.expire(0.05, PATIENCE) == []
    assert not assembler.needs_key
    assert assembler.expire(0.2, PATIENCE) == []
    assert assembler.needs_key


@pytest.mark.parametrize("late", [0, 1, 2], ids=["its first packet comes last", "its middle", "its marker"])
def test_a_whole_key_frame_after_a_gap_is_not_kept_waiting(late: int) -> None:
    assembler = FrameAssembler(VP8)
    frames = packets_of(4, keys=(0, 3))
    key = [*frames[3][:late], *frames[3][late + 1 :], frames[3][late]]
    pushed = push_all(assembler, [*frames[0], *frames[1][1:], *frames[2], *key])
    assert indexes(pushed) == [0, 3]
    assert assembler.dropped == 2
    assert push_all(assembler, [frames[1][0]]) == []


def test_what_is_stuck_for_long_is_told_before_it_is_given_up() -> None:
    assembler = FrameAssembler(VP8)
    frames = packets_of(3)
    push_all(assembler, [*frames[0], *frames[1][1:], *frames[2]])
    assert not assembler.is_stuck(0.05, 0.1)
    assert assembler.is_stuck(0.15, 0.1)
    assert indexes(assembler.push(frames[1][0], 0.16, 1.0)) == [1, 2]
    assert not assembler.is_stuck(0.9, 0.1)


def test_who_joins_in_the_middle_of_a_frame_waits_for_a_key_frame() -> None:
    assembler = FrameAssembler(VP8)
    frames = packets_of(4, keys=(0, 3))
    assert indexes(push_all(assembler, [*frames[0][1:], *frames[1], *frames[2], *frames[3]])) == [3]


def test_a_sender_without_marker_bits_is_understood_one_frame_later() -> None:
    packets = [
        RtpPacket(96, packet.sequence, packet.timestamp, 5, packet.payload, marker=False) for frame in packets_of(4) for packet in frame
    ]
    assert indexes(push_all(FrameAssembler(VP8), packets)) == [0, 1, 2]


@pytest.mark.parametrize("jump", [12_676, 3_000, 40_000])
def test_a_new_line_of_numbers_is_taken_up_at_its_next_key_frame(jump: int) -> None:
    assembler = FrameAssembler(VP8)
    push_all(assembler, [packet for frame in packets_of(2, first=21_294) for packet in frame])
    later = packets_of(4, first=(21_294 + jump) % 0x10000, keys=(5,), number=4)
    assert indexes(push_all(assembler, [packet for frame in later for packet in frame], now=1.0)) == [5, 6, 7]


def test_a_single_stray_packet_disturbs_nothing() -> None:
    assembler = FrameAssembler(VP8)
    frames = packets_of(3)
    stray = RtpPacket(96, 30_000, 5, 5, b"\x10\x10\0", marker=True)
    assert indexes(push_all(assembler, [*frames[0], stray, *frames[1], *frames[2]])) == [0, 1, 2]


def test_three_packets_of_parameter_sets_and_a_slice_are_one_key_frame() -> None:
    assembler = FrameAssembler(H264)
    units = [bytes.fromhex(text) for text in ("6742e01f", "68ce3c80", "6588aabb")]
    packets = [RtpPacket(102, index, 90, 5, unit, marker=index == 2) for index, unit in enumerate(units)]
    (frame,) = push_all(assembler, packets)
    assert frame.is_key


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 3), st.binary(max_size=8), st.booleans()), max_size=60))
def test_whatever_comes_frames_come_out_at_most_once_each_and_never_before_a_key_frame(
    packets: list[tuple[int, int, bytes, bool]],
) -> None:
    assembler = FrameAssembler(VP8)
    frames = []
    for step, (sequence, timestamp, payload, marker) in enumerate(packets):
        frames += assembler.push(RtpPacket(96, sequence, timestamp, 5, payload, marker), step * 0.03, PATIENCE)
    assert not frames or frames[0].is_key


def test_attack_a_frame_without_an_end_is_given_up() -> None:
    """Packets of one time stamp, in order, none with the marker: nothing is missing, and nothing becomes whole."""
    assembler = FrameAssembler(VP8)
    endless = (RtpPacket(96, number % 0x10000, 3000, 5, b"\0\0") for number in range(4000))
    assert push_all(assembler, endless) == []
    assert (assembler.dropped, assembler.needs_key) == (4000 // 1500, True)
    (frame,) = packets_of(1, first=4000, number=7, keys=[7])
    assert indexes(push_all(assembler, frame)) == [7]
