"""Generic NACK: bytes against aiortc's reading of them, and which packets are asked for at which moment."""

import struct

from aiortc.rtp import RtcpPacket, RtcpRtpfbPacket
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.rtp.nack import MAX_ROUND_TRIP, PICTURE_PATIENCE, Missing, Nack, decode_nacks, encode_nack
from sinchphone.protocol.rtp.packet import decode_reports, is_rtcp

FRAME_S = 0.020


@given(st.integers(0, 0xFFFF), st.sets(st.integers(0, 400), min_size=1, max_size=20))
def test_a_request_is_read_as_it_was_written_by_us_and_by_the_library(first: int, steps: set[int]) -> None:
    sequences = tuple((first + step) % 0x10000 for step in sorted(steps))
    data = encode_nack(7, Nack(9, sequences), "name")
    assert is_rtcp(data)
    assert decode_nacks(data) == [Nack(9, sequences)]
    theirs = RtcpPacket.parse(data)[-1]
    assert isinstance(theirs, RtcpRtpfbPacket)
    lost = tuple(number % 0x10000 for number in theirs.lost)  # the library forgets the wrap
    assert (theirs.fmt, theirs.ssrc, theirs.media_ssrc, lost) == (1, 7, 9, sequences)


def test_a_request_goes_with_a_report_as_a_compound_packet_must() -> None:
    (report,) = decode_reports(encode_nack(7, Nack(9, (1,)), "name"))
    assert (report.ssrc, report.sender, report.blocks) == (7, None, ())


def test_a_flood_of_numbers_is_cut() -> None:
    body = struct.pack("!II", 7, 9) + b"".join(struct.pack("!HH", 17 * i, 0xFFFF) for i in range(300))
    data = struct.pack("!BBH", 0x81, 205, len(body) // 4) + body
    (nack,) = decode_nacks(data)
    assert len(nack.sequences) <= 32 * 17
    assert decode_nacks(data * 4) == [nack]


@given(st.binary(max_size=200))
def test_any_bytes_are_requests_or_nothing(data: bytes) -> None:
    assert all(0 <= sequence < 0x10000 for nack in decode_nacks(data) for sequence in nack.sequences)


def test_other_feedback_is_no_request() -> None:
    pli = struct.pack("!BBHII", 0x81, 206, 2, 7, 9)
    transport_wide = struct.pack("!BBHIIHH", 0x8F, 205, 3, 7, 9, 1, 0)
    assert decode_nacks(pli + transport_wide) == []


def arrive(missing: Missing, *packets: tuple[int, float]) -> None:
    for sequence, now in packets:
        missing.arrived(sequence, now)


def test_what_is_in_order_is_not_asked_for() -> None:
    missing = Missing()
    arrive(missing, *((sequence % 0x10000, FRAME_S * i) for i, sequence in enumerate(range(65_500, 65_600))))
    assert missing.due(2.0) == ()


def test_a_gap_is_asked_for_at_once_and_again_after_a_round_trip_but_not_for_ever() -> None:
    missing = Missing()
    missing.round_trip = 0.040
    arrive(missing, (65_534, 0.0), (1, 0.060))
    asked = {round(0.060 + 0.005 * step, 3): missing.due(0.060 + 0.005 * step) for step in range(80)}
    assert {at: sequences for at, sequences in asked.items() if sequences} == {
        0.06: (65_535, 0),
        0.11: (65_535, 0),
        0.16: (65_535, 0),
    }
    assert len(missing) == 0 or missing.due(1.0) == ()


def test_what_was_sent_again_is_told_from_what_was_only_overtaken() -> None:
    missing = Missing()
    missing.round_trip = 0.040
    arrive(missing, (10, 0.0), (12, 0.020), (14, 0.040))
    assert missing.due(0.040) == (11, 13)
    assert not missing.arrived(11, 0.050)
    assert missing.arrived(13, 0.081)
    assert not missing.arrived(13, 0.082)


def test_what_came_by_another_way_is_not_asked_for() -> None:
    missing = Missing()
    arrive(missing, (10, 0.0), (13, 0.020))
    missing.found(12)
    assert missing.due(0.020) == (11,)


def test_nothing_is_asked_for_over_a_path_that_is_too_long() -> None:
    missing = Missing()
    missing.round_trip = MAX_ROUND_TRIP + 0.001
    arrive(missing, (10, 0.0), (12, 0.020))
    assert missing.due(0.020) == ()


def test_an_interruption_is_no_loss_to_mend() -> None:
    missing = Missing()
    arrive(missing, (10, 0.0), (100, 2.0))
    assert missing.due(2.0) == ()


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF) | st.integers(0, 60), st.sampled_from([0.0, 0.001, 0.02, 0.5]), st.booleans()), max_size=200)
)
def test_whatever_arrives_few_packets_are_waited_for(steps: list[tuple[int, float, bool]]) -> None:
    missing, now = Missing(), 0.0
    for sequence, later, asks in steps:
        now += later
        missing.arrived(sequence, now)
        assert len(missing) <= 130
        if asks:
            assert len(missing.due(now)) <= 130


def test_a_round_trip_that_was_long_once_does_not_make_an_answer_look_overtaken() -> None:
    missing = Missing()
    for seconds in (0.002, 0.090):
        missing.round_trip = seconds
    arrive(missing, (10, 0.0), (12, 0.020))
    assert missing.due(0.020) == (11,)
    assert missing.arrived(11, 0.023)


def test_where_packets_overtake_each_other_they_are_waited_for_and_not_asked_for() -> None:
    """One in twenty is 45 ms late; the first is asked for, for nobody knew."""
    missing, asked = Missing(), 0
    missing.round_trip = 0.040
    arrivals = sorted((number * 0.020 + 0.045 * (number % 20 == 7), number) for number in range(1000))
    for at, number in arrivals:
        missing.arrived(number, at)
        asked += len(missing.due(at))
    assert asked <= 2


def test_what_is_lost_there_is_asked_for_a_little_later_and_at_once_when_the_overtaking_is_over() -> None:
    missing = Missing()
    missing.round_trip = 0.040
    for number, at in ((0, 0.0), (1, 0.02), (3, 0.06), (2, 0.09), (4, 0.09)):
        missing.arrived(number, at)
    missing.arrived(6, 1.0)
    assert missing.due(1.0) == ()
    assert missing.due(1.08) == (5,)
    missing.arrived(7, 20.0)
    missing.arrived(9, 20.0)
    assert missing.due(20.0) == (8,)


def test_a_packet_whose_copy_came_first_tells_all_the_same_that_it_was_overtaken() -> None:
    missing = Missing()
    missing.arrived(0, 0.0)
    missing.arrived(2, 0.0)
    assert missing.found(1)
    missing.arrived(1, 0.045)
    missing.arrived(4, 0.1)
    assert missing.due(0.1) == ()


def test_an_answer_that_comes_after_the_second_request_is_no_packet_that_was_overtaken() -> None:
    missing = Missing()
    missing.round_trip = 0.040
    arrive(missing, (1, 0.0), (3, 0.040))
    assert missing.due(0.040) == (2,)
    assert missing.due(0.095) == (2,)
    assert missing.arrived(2, 0.105)
    arrive(missing, (5, 0.120))
    assert missing.due(0.120) == (4,)  # at once: nothing is known to come late


def test_an_answer_that_comes_twice_is_one_of_ours_both_times() -> None:
    missing = Missing()
    missing.round_trip = 0.040
    arrive(missing, (1, 0.0), (3, 0.040))
    missing.due(0.040)
    missing.due(0.095)
    assert [missing.arrived(2, 0.105), missing.arrived(2, 0.140)] == [True, True]
    assert not missing.arrived(4, 0.060)


def test_an_answer_that_comes_when_it_is_waited_for_no_longer_is_one_of_ours() -> None:
    missing = Missing()
    missing.round_trip = 0.040
    arrive(missing, (1, 0.0), (3, 0.040))
    assert missing.due(0.040) == (2,)
    assert missing.due(0.500) == ()
    assert len(missing) == 0
    assert [missing.arrived(2, 0.520), missing.arrived(2, 0.540)] == [True, False]


def test_an_answer_to_what_was_only_overtaken_is_one_of_ours() -> None:
    missing = Missing()
    missing.round_trip = 0.040
    arrive(missing, (1, 0.0), (3, 0.040))
    missing.due(0.040)
    assert [missing.arrived(2, 0.045), missing.arrived(2, 0.085)] == [False, True]


def test_packets_of_pictures_are_asked_for_longer_and_in_larger_gaps_than_those_of_sound() -> None:
    sound, pictures = Missing(), Missing(PICTURE_PATIENCE)
    for missing in (sound, pictures):
        missing.round_trip = 0.120
        missing.arrived(10, 0.0)
        missing.arrived(71, 0.0)
    asked = [sum(len(missing.due(0.01 * step)) > 0 for step in range(150)) for missing in (sound, pictures)]
    assert asked[0] == 0
    assert 5 <= asked[1] <= 10
    assert not len(pictures)


def test_padding_is_no_request() -> None:
    request = struct.pack("!BBHIIHHI", 0x80 | 0x20 | 1, 205, 4, 1, 2, 40, 0, 4)
    assert decode_nacks(request) == [Nack(2, (40,))]
