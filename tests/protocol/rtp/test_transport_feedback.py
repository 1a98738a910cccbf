"""Transport-wide feedback: what is told of packets is what came, whatever order, numbers and gaps they had (draft-holmer-rmcat-01)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.rtp.packet import RtpPacket, decode_packet, encode_packet
from sinchphone.protocol.rtp.transport_feedback import (
    EXTENSION_BYTES,
    WRAP_SECONDS,
    Arrivals,
    decode_feedbacks,
    number_packet,
    packet_number,
)

MTU = 1200
PACKET = RtpPacket(111, 65_535, 960, 7, b"sound", True)


def told(*packets: bytes) -> dict[int, float | None]:
    return {number: at for packet in packets for feedback in decode_feedbacks(packet) for number, at in feedback.by_number}


def send(arrivals: Arrivals) -> dict[int, float | None]:
    return told(*arrivals.encode(1, 2, "name"))


def test_a_numbered_packet_is_the_same_packet() -> None:
    numbered = number_packet(encode_packet(PACKET), 3, 65_534)
    assert packet_number(numbered, 3) == 65_534
    assert packet_number(numbered, 4) is None
    assert decode_packet(numbered) == PACKET
    assert len(numbered) == len(encode_packet(PACKET)) + EXTENSION_BYTES


@pytest.mark.parametrize(
    "extension",
    [b"\xbe\xde\x00\x02\x10\x7f\x00\x31\x12\x34\x00\x00", b"\x10\x00\x00\x02\x01\x01\x7f\x03\x02\x12\x34\x00"],
    ids=["headers of one byte", "headers of two"],
)
def test_the_number_is_found_beside_other_extensions(extension: bytes) -> None:
    packet = encode_packet(PACKET)
    assert packet_number(b"\x90" + packet[1:12] + extension + packet[12:], 3) == 0x1234


@given(st.binary(min_size=12, max_size=60), st.integers(1, 14))
def test_any_packet_has_a_number_or_none(packet: bytes, identifier: int) -> None:
    number = packet_number(packet, identifier)
    assert number is None or 0 <= number < 65_536


@given(st.integers(0, 65_535), st.lists(st.tuples(st.integers(1, 60), st.floats(-0.5, 12)), min_size=1, max_size=60))
def test_what_is_told_is_what_came(number: int, steps: list[tuple[int, float]]) -> None:
    arrivals, now, came = Arrivals(), 1e6, {}
    for ahead, later in steps:
        number, now = (number + ahead) % 65_536, max(0.0, now + later)
        arrivals.note(number, now)
        came[number] = now
    found = send(arrivals)
    assert {number for number, at in found.items() if at is not None} <= set(came)
    newest = list(came)[-3:]
    for each in newest:
        at = found[each]
        assert at is not None
        assert at == pytest.approx(came[each] % WRAP_SECONDS, abs=0.0002)
    assert not arrivals


def test_numbers_go_on_after_the_last_one() -> None:
    arrivals = Arrivals()
    for step in range(6):
        arrivals.note((65_534 + step) % 65_536, step * 0.02)
    assert list(send(arrivals)) == [65_534, 65_535, 0, 1, 2, 3]


def test_what_was_overtaken_by_its_report_is_told_later() -> None:
    arrivals = Arrivals()
    for number in (10, 11, 13):
        arrivals.note(number, number * 0.02)
    assert send(arrivals)[12] is None
    arrivals.note(14, 0.30)
    arrivals.note(12, 0.31)
    late = send(arrivals)
    assert late[12] == pytest.approx(0.31)
    assert late[13] == pytest.approx(0.26)
    assert late[14] == pytest.approx(0.30)


def test_after_a_jump_of_thirty_thousand_the_new_numbers_are_told_and_little_else() -> None:
    arrivals = Arrivals()
    arrivals.note(5, 1.0)
    send(arrivals)
    arrivals.note(30_005, 1.1)
    assert send(arrivals) == {30_005: pytest.approx(1.1)}


def test_a_lot_to_tell_is_split_below_the_size_of_a_packet() -> None:
    arrivals = Arrivals()
    for number in range(0, 2000, 2):
        arrivals.note(number, number * 0.07)
    packets = arrivals.encode(1, 2, "name")
    assert len(packets) > 1
    assert max(map(len, packets)) < MTU


def test_feedback_as_others_write_it_is_read() -> None:
    """Runs, vectors of one bit and of two, a negative delta, padding."""
    chunks = struct.pack("!HHH", 1 << 13 | 2, 0x8000 | 0b1_0000000000001, 0xC000 | 2 << 12)
    body = struct.pack("!IIHHI", 1, 2, 65_534, 17, 2 << 8 | 9) + chunks + bytes([4, 8, 12, 16]) + struct.pack("!h", -400)
    padding = -len(body) % 4 or 4
    packet = struct.pack("!BBH", 0x80 | 0x20 | 15, 205, (len(body) + padding) // 4) + body + bytes(padding - 1) + bytes([padding])
    found = told(packet)
    assert {number: at for number, at in found.items() if at is not None} == {
        65_534: 0.129,
        65_535: 0.131,
        0: 0.134,
        13: 0.138,
        14: 0.038,
    }
    assert len(found) == 17


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_feedback_or_nothing(one: bytes, other: bytes) -> None:
    head = struct.pack("!BBHIIHHI", 0x80 | 15, 205, (12 + len(other)) // 4 + 2, 1, 2, 3, len(one), 0)
    for data in (one, head + other):
        for feedback in decode_feedbacks(data):
            assert len(feedback.arrivals) <= 2000


def test_a_compound_packet_tells_of_no_more_packets_than_one_report_may() -> None:
    body = struct.pack("!IIHHIH", 1, 2, 0, 1_500, 5 << 8, 1_500)
    one = struct.pack("!BBH", 0x8F, 205, (len(body) + 2) // 4) + body + b"\0\0"
    assert len(decode_feedbacks(one)) == 1
    assert sum(len(feedback.arrivals) for feedback in decode_feedbacks(one * 50)) <= 2000


def test_attack_padding_longer_than_its_part_is_read_from_no_other_part() -> None:
    """A count of padding that leads before the packet would count from its end."""
    arrivals = Arrivals()
    arrivals.note(5, 1.0)
    (whole,) = arrivals.encode(1, 2, "us")
    overlong = struct.pack("!BBHII", 0x80 | 0x20 | 15, 205, 2, 1, 255)
    assert decode_feedbacks(overlong + 8 * whole) == []
