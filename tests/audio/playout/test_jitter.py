"""The jitter buffer on a virtual clock: what comes out, in which order, how late, and what hostile packets can't do."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.playout.jitter import MAX_PACKETS, JitterBuffer, Late, Lost, NotYet, Packet

FRAME = 960
FRAME_S = 0.020


def packet(index: int, *, sequence: int = 65_530, timestamp: int = 0xFFFFF000, recoverable: int = 0) -> Packet:
    """The packet of frame ``index`` of a stream whose counters soon wrap around."""
    return Packet((sequence + index) % 0x10000, (timestamp + FRAME * index) % 0x100000000, b"%d" % index, FRAME, recoverable)


def played(buffer: JitterBuffer, now: float) -> int | None:
    """The index of the packet that is pulled, None for anything else."""
    pulled = buffer.pull(now)
    return int(pulled.payload) if isinstance(pulled, Packet) else None


def running(packets: int = 0, *, since: float = 0.0) -> JitterBuffer:
    """A buffer that has taken and played so many packets of a clean line."""
    buffer = JitterBuffer()
    for i in range(packets):
        buffer.push(packet(i), since + i * FRAME_S)
        if i:
            assert played(buffer, since + i * FRAME_S + 0.001) == i - 1
    return buffer


def test_an_empty_buffer_has_nothing_yet() -> None:
    assert JitterBuffer().pull(5.0) == NotYet()


def test_the_first_packet_is_held_for_the_initial_target_and_no_longer() -> None:
    buffer = JitterBuffer()
    buffer.push(packet(0), 10.0)
    assert buffer.pull(10.019) == NotYet()
    assert buffer.pull(10.021) == packet(0)


def test_packets_leave_in_order_although_both_counters_wrap_around() -> None:
    buffer = running(40)
    assert played(buffer, 0.9) == 39
    assert buffer.stats().stray == 0


def test_packets_that_overtook_each_other_leave_in_order_and_nothing_is_lost() -> None:
    buffer = JitterBuffer()
    heard = []
    for slot, index in enumerate((0, 2, 1, 4, 3, 6, 5)):
        buffer.push(packet(index), slot * FRAME_S)
        heard.append(played(buffer, slot * FRAME_S + 0.005))
    heard += [played(buffer, 0.145), played(buffer, 0.165)]
    assert [index for index in heard if index is not None] == [0, 1, 2, 3, 4, 5, 6]
    assert (buffer.stats().lost_samples, buffer.stats().late) == (0, 0)


def test_a_packet_that_was_overtaken_by_the_first_one_is_still_heard() -> None:
    buffer = JitterBuffer()
    buffer.push(packet(1), 0.0)
    buffer.push(packet(0), 0.001)
    assert [played(buffer, 0.03), played(buffer, 0.05)] == [0, 1]


def test_a_double_is_played_once() -> None:
    buffer = JitterBuffer()
    for _ in range(3):
        buffer.push(packet(0), 0.0)
    buffer.push(packet(1), 0.02)
    assert [played(buffer, 0.03), played(buffer, 0.05), played(buffer, 0.07)] == [0, 1, None]
    assert buffer.stats().doubled == 2


def test_a_double_of_what_was_played_is_late() -> None:
    buffer = running(10)
    buffer.push(packet(3), 0.2)
    assert played(buffer, 0.2) == 9
    assert buffer.stats().late == 1


def test_a_hole_is_lost_as_soon_as_a_later_packet_shows_it() -> None:
    buffer = running(10)
    assert played(buffer, 0.2) == 9
    buffer.push(packet(11), 0.22)
    assert buffer.pull(0.22) == Lost(FRAME, None)
    assert buffer.pull(0.24) == packet(11)
    assert buffer.stats().lost_samples == FRAME


def test_a_hole_with_a_copy_in_the_packet_after_it_names_that_packet() -> None:
    buffer = running(10)
    assert played(buffer, 0.2) == 9
    following = packet(11, recoverable=FRAME)
    buffer.push(following, 0.22)
    assert buffer.pull(0.22) == Lost(FRAME, following)
    assert buffer.pull(0.24) == following


def test_of_a_long_hole_only_its_end_is_rebuilt_from_a_copy() -> None:
    buffer = running(10)
    assert played(buffer, 0.2) == 9
    following = packet(13, recoverable=FRAME)
    buffer.push(following, 0.26)
    assert [buffer.pull(0.26) for _ in range(4)] == [Lost(FRAME, None), Lost(FRAME, None), Lost(FRAME, following), following]


def test_what_was_made_up_while_waiting_stands_for_a_packet_that_is_lost() -> None:
    buffer = running(10)
    assert played(buffer, 0.2) == 9
    assert buffer.pull(0.22) == NotYet()
    buffer.wait(480)
    buffer.push(packet(11, recoverable=FRAME), 0.23)
    assert buffer.pull(0.23) == Lost(480, packet(11, recoverable=FRAME))


def test_a_late_packet_that_was_waited_for_is_played_whole() -> None:
    buffer = running(10)
    assert played(buffer, 0.2) == 9
    assert buffer.pull(0.22) == NotYet()
    buffer.wait(480)
    buffer.push(packet(10), 0.225)
    assert buffer.pull(0.23) == Late(packet(10), 0)
    assert buffer.stats().lost_samples == 0


@pytest.mark.parametrize(("waited", "stood"), [(480, (480, 0)), (960, (960, 0)), (1440, (960, 480))])
def test_a_spare_that_comes_late_is_heard_from_where_the_player_has_got_to(waited: int, stood: tuple[int, int]) -> None:
    """So what comes after it is no later than before; its beginning is heard too where that's no later than it ought to be."""
    buffer = running(10)
    assert played(buffer, 0.2) == 9
    for at in range(0, waited, 480):
        assert buffer.pull(0.2201 + at / 48_000) == NotYet()
        buffer.wait(480)
    now = 0.2201 + waited / 48_000
    buffer.push(packet(12), now)
    buffer.push(spare(10), now)
    buffer.push(spare(11), now)
    target_before = buffer.target
    buffer.least_delay = 0.0
    heard = [buffer.pull(now), buffer.pull(now)]
    assert target_before < 0.03
    assert [each.stood if isinstance(each, Late) else 0 for each in heard] == list(stood)
    assert buffer.stats().mended == sum(each < FRAME for each in stood)


def test_a_spare_that_comes_late_is_heard_whole_where_the_sound_is_sooner_than_it_ought_to_be() -> None:
    buffer = running(10)
    buffer.least_delay = 0.1
    assert played(buffer, 0.2) == 9
    assert buffer.pull(0.22) == NotYet()
    buffer.wait(480)
    buffer.push(packet(11), 0.23)
    buffer.push(spare(10), 0.23)
    assert buffer.pull(0.23) == Late(spare(10), 0)


def test_a_pause_of_the_sender_is_no_loss() -> None:
    buffer = running(10)
    assert played(buffer, 0.2) == 9
    resumed = Packet(packet(10).sequence, packet(19).timestamp, b"10")  # DTX: the sequence goes on, the time stamp jumps
    for step in range(1, 19):
        assert buffer.pull(0.2 + 0.01 * step) == NotYet()
        buffer.wait(480)
    buffer.push(resumed, 0.38)
    while (pulled := buffer.pull(0.39)) != resumed:
        assert isinstance(pulled, Lost)
    assert buffer.stats().lost_samples == 0


def test_the_target_of_a_clean_line_is_a_few_milliseconds() -> None:
    assert running(100).target < 0.010


def test_the_target_follows_the_jitter_up_and_down() -> None:
    dice = random.Random(1)
    buffer = JitterBuffer()
    for i in range(500):
        buffer.push(packet(i), i * FRAME_S + dice.uniform(0, 0.040))
        buffer.pull(i * FRAME_S + 0.05)
    assert 0.036 < buffer.target < 0.052
    for i in range(500, 1100):
        buffer.push(packet(i), i * FRAME_S)
        buffer.pull(i * FRAME_S + 0.05)
    assert buffer.target < 0.012


def test_the_target_rides_over_peaks_that_come_back() -> None:
    buffer = JitterBuffer()
    for i in range(400):
        buffer.push(packet(i), i * FRAME_S + (0.150 if i % 100 == 50 else 0.0))
        buffer.pull(i * FRAME_S + 0.16)
    assert 0.150 <= buffer.target < 0.170


def test_one_peak_alone_is_not_paid_for() -> None:
    buffer = JitterBuffer()
    for i in range(400):
        buffer.push(packet(i), i * FRAME_S + (0.150 if i == 200 else 0.0))
        buffer.pull(i * FRAME_S + 0.16)
    assert buffer.target < 0.012


def fed(buffer: JitterBuffer, waits: list[float], begun: int = 0) -> JitterBuffer:
    """A packet each 20 ms that has waited so long in a queue."""
    for i, wait in enumerate(waits, begun):
        buffer.push(packet(i), i * FRAME_S + wait)
        buffer.pull(i * FRAME_S + wait + 0.001)
    return buffer


QUEUE = [0.3 * min(i, 60 - i) / 30 for i in range(60)]  # fills and empties again


def test_a_queue_that_is_gone_is_forgotten_a_second_later() -> None:
    buffer = fed(JitterBuffer(), [0.0] * 100 + QUEUE)
    assert buffer.target > 0.2
    fed(buffer, [0.0] * 80, 160)
    assert buffer.target < 0.030


def test_a_queue_that_comes_back_is_remembered() -> None:
    buffer = fed(JitterBuffer(), ([0.0] * 100 + QUEUE) * 3)
    fed(buffer, [0.0] * 80, 480)
    assert buffer.target > 0.2


def test_the_end_of_a_queue_is_not_taken_for_what_comes_after_it() -> None:
    emptying = [0.3 - 0.002 * i for i in range(100)]
    buffer = fed(JitterBuffer(), [0.0] * 100 + emptying)
    assert buffer.target > 0.2
    fed(buffer, [0.1 - 0.002 * i for i in range(50)] + [0.0] * 80, 200)
    assert buffer.target < 0.030


def test_a_queue_that_stays_is_the_path_and_nothing_is_waited_for_above_it() -> None:
    """As that of a TCP flow: the fastest packets of the last seconds stood in it too."""
    filling = [0.003 * i for i in range(100)]
    buffer = fed(JitterBuffer(), [0.0] * 100 + filling + [0.3] * 50)
    assert buffer.target > 0.3
    fed(buffer, [0.3] * 160, 250)
    assert buffer.target < 0.030
    assert buffer.delay(410 * FRAME_S + 0.3 + 0.010) < 0.040


def test_a_queue_that_was_the_path_is_not_forgotten_as_soon_as_it_gets_shorter() -> None:
    buffer = fed(JitterBuffer(), [0.3] * 300 + [0.1] * 30)
    assert buffer.target > 0.2


def test_a_burst_after_one_stall_counts_as_one_late_packet() -> None:
    buffer = running(100)
    for i in range(100, 115):
        buffer.push(packet(i), 115 * FRAME_S)
    assert buffer.target < 0.012


def test_the_target_follows_a_path_that_becomes_longer_within_half_a_second() -> None:
    buffer = running(100)
    for i in range(100, 125):
        buffer.push(packet(i), i * FRAME_S + 0.100)
    assert 0.100 <= buffer.target < 0.120


def test_the_target_waits_for_copies_when_packets_are_lost() -> None:
    dice = random.Random(2)
    buffers = [JitterBuffer(), JitterBuffer()]
    for i in range(300):
        lost = dice.random() < 0.1
        for buffer, recoverable in zip(buffers, (0, FRAME), strict=True):
            if not lost:
                buffer.push(packet(i, recoverable=recoverable), i * FRAME_S)
            for _ in range(2):
                buffer.pull(i * FRAME_S + 0.025)
    without, with_copies = buffers
    assert without.target < 0.012
    assert 0.030 <= with_copies.target < 0.035


def test_the_target_waits_for_copies_in_packets_that_are_slower_than_others() -> None:
    """A full queue loses packets, and what comes after them has waited in it."""
    buffer = JitterBuffer()
    for i in range(500):
        if i % 20:
            buffer.push(packet(i, recoverable=FRAME), i * FRAME_S + (0.050 if i % 20 == 1 else 0.0))
        buffer.pull(i * FRAME_S + 0.075)
    assert 0.070 <= buffer.target < 0.080


def test_a_sender_that_starts_anew_is_heard_again_after_two_packets() -> None:
    buffer = running(50)
    heard = []
    for i in range(5):
        buffer.push(packet(i, sequence=777, timestamp=123_456), 1.0 + i * FRAME_S)
        heard.append(played(buffer, 1.01 + i * FRAME_S))
    assert heard == [49, 0, 1, 2, 3]  # the second packet lets the first one in
    assert (buffer.stats().resyncs, buffer.stats().stray) == (1, 0)


def test_one_stray_packet_changes_nothing() -> None:
    buffer = running(50)
    buffer.push(packet(0, sequence=777, timestamp=123_456), 0.99)
    for i in range(50, 60):
        buffer.push(packet(i), i * FRAME_S)
        assert played(buffer, i * FRAME_S + 0.001) == i - 1
    assert (buffer.stats().resyncs, buffer.stats().stray) == (0, 1)


@pytest.mark.parametrize("jump_s", [-20_000, -5, -0.5, 0.9, 5, 20_000])
def test_a_time_stamp_that_jumps_is_followed_within_a_tenth_of_a_second(jump_s: float) -> None:
    buffer = running(50)
    jump = int(jump_s * 48_000)
    heard = []
    for i in range(50, 60):
        buffer.push(packet(i, timestamp=0xFFFFF000 + jump), i * FRAME_S)
        heard += [played(buffer, i * FRAME_S + 0.001 + 0.01 * k) for k in range(2)]
    assert {56, 57, 58} <= set(heard)
    assert buffer.delay(60 * FRAME_S) < 0.1


def test_after_a_long_silence_sound_begins_at_once_whether_the_time_stamps_went_on_or_not() -> None:
    for timestamp in (0xFFFFF000, 0xFFFFF000 + 30 * 48_000):
        buffer = running(50)
        assert played(buffer, 1.0) == 49
        for _ in range(3000):
            buffer.pull(1.1)
            buffer.wait(480)
        for i in range(50, 60):
            buffer.push(packet(i, timestamp=timestamp), 30 + i * FRAME_S)
        assert played(buffer, 30 + 50 * FRAME_S + 0.03) == 50
        assert buffer.stats().lost_samples == 0


def test_a_burst_at_the_start_is_not_played_from_its_beginning() -> None:
    buffer = JitterBuffer()
    for i in range(20):
        buffer.push(packet(i), 0.0)
    assert played(buffer, 0.025) == 19


def test_a_player_that_comes_late_hears_what_is_said_now() -> None:
    buffer = JitterBuffer()
    for i in range(100):
        buffer.push(packet(i), i * FRAME_S)
    assert played(buffer, 100 * FRAME_S) in (98, 99)
    assert buffer.stats().skipped >= 98


def test_nobody_pulls_and_the_buffer_stays_bounded() -> None:
    buffer = JitterBuffer()
    for i in range(5 * MAX_PACKETS):
        buffer.push(packet(i), i * FRAME_S)
        assert len(buffer) <= MAX_PACKETS


def test_packets_that_overlap_are_dropped_and_time_goes_on() -> None:
    buffer = running(10)
    buffer.push(Packet(packet(10).sequence, (packet(9).timestamp + 7) % 0x100000000, b"x"), 0.19)
    buffer.push(packet(11), 0.2)
    pulled = [buffer.pull(0.2 + 0.01 * k) for k in range(4)]
    assert pulled[0] == packet(9)
    assert packet(11) in pulled
    assert buffer.stats().late == 1


_COUNTERS = st.integers(0, 0xFFFF) | st.integers(0, 20)
_STAMPS = st.integers(0, 0xFFFFFFFF) | st.integers(0, 40).map(lambda i: FRAME * i)
_STEPS = st.lists(
    st.tuples(st.just("push"), _COUNTERS, _STAMPS, st.sampled_from([0, 120, 960]))
    | st.tuples(st.just("pull"), st.sampled_from([0.0, 0.01, 0.02, 0.7])),
    max_size=120,
)


@given(_STEPS)
def test_any_packets_in_any_order_leave_the_buffer_bounded_and_no_packet_twice(steps: list[tuple[Any, ...]]) -> None:
    buffer, now, pulled, pushed = JitterBuffer(), 0.0, [], 0
    for step in steps:
        if step[0] == "push":
            buffer.push(Packet(step[1], step[2], b"%d" % pushed, 960, step[3]), now)
            pushed += 1
        else:
            now += step[1]
            result = buffer.pull(now)
            if isinstance(result, NotYet):
                buffer.wait(480)
            elif isinstance(result, Lost):
                assert 0 < result.samples <= 960
            else:
                pulled.append((result.packet if isinstance(result, Late) else result).payload)
        assert len(buffer) <= MAX_PACKETS
    assert len(pulled) == len(set(pulled)) <= pushed


def spare(index: int, *, timestamp: int = 0xFFFFF000) -> Packet:
    return Packet((65_530 + index) % 0x10000, (timestamp + FRAME * index) % 0x100000000, b"%d" % index, FRAME, spare=True)


def test_a_spare_that_comes_in_time_is_played_in_its_place_and_counts_as_mended() -> None:
    buffer = running(10)
    assert played(buffer, 0.19) == 9
    buffer.push(packet(11), 0.22)
    buffer.push(spare(10), 0.22)
    assert [played(buffer, 0.22), played(buffer, 0.24)] == [10, 11]
    assert (buffer.stats().mended, buffer.stats().lost_samples, buffer.stats().received) == (1, 0, 11)


def test_a_spare_of_what_is_there_of_what_was_played_or_of_the_future_is_nothing() -> None:
    buffer = running(10)
    buffer.push(packet(10), 0.2)
    for index in (10, 9, 3, 11, 40, -2000):
        buffer.push(spare(index), 0.201)
    assert len(buffer) == 2
    assert [played(buffer, 0.201), played(buffer, 0.221), played(buffer, 0.241)] == [9, 10, None]
    assert (buffer.stats().doubled, buffer.stats().late, buffer.stats().stray, buffer.stats().mended) == (0, 0, 0, 0)


def test_a_spare_alone_starts_no_sound() -> None:
    buffer = JitterBuffer()
    buffer.push(spare(0), 0.0)
    assert buffer.pull(1.0) == NotYet()


def test_a_packet_that_was_only_overtaken_by_its_spare_is_no_double() -> None:
    buffer = running(10)
    buffer.push(packet(11), 0.22)
    buffer.push(spare(10), 0.22)
    buffer.push(packet(10), 0.221)
    assert [played(buffer, 0.222), played(buffer, 0.223), played(buffer, 0.243)] == [9, 10, 11]
    assert (buffer.stats().doubled, buffer.stats().mended) == (0, 0)


@pytest.mark.parametrize(("copies", "least", "most"), [(1, 0.025, 0.032), (2, 0.035, 0.042), (3, 0.055, 0.062)])
def test_the_target_waits_for_as_many_copies_as_bursts_need(copies: int, least: float, most: float) -> None:
    buffer, lost = JitterBuffer(), {i for begun in range(20, 400, 12) for i in range(begun, begun + copies)}
    for i in range(400):
        now = i * FRAME_S
        if i not in lost:
            buffer.push(packet(i), now)
            for age in range(1, copies + 1):
                buffer.push(spare(i - age), now)
        for _ in range(2):
            buffer.pull(now + 0.015)
    assert least <= buffer.target <= most


def test_copies_that_are_not_needed_are_not_waited_for() -> None:
    buffer = JitterBuffer()
    for i in range(400):
        buffer.push(packet(i), i * FRAME_S)
        buffer.push(spare(i - 1), i * FRAME_S)
        buffer.pull(i * FRAME_S + 0.015)
    assert buffer.target < 0.012


@pytest.mark.parametrize(("later", "least", "most"), [(0.060, 0.060, 0.075), (0.300, 0.0, 0.012)])
def test_what_is_sent_again_is_waited_for_unless_it_takes_too_long(later: float, least: float, most: float) -> None:
    buffer = JitterBuffer()
    arrivals = [(i * FRAME_S + (later if i % 10 == 5 else 0.0), i) for i in range(400)]
    for now, i in sorted(arrivals):
        buffer.push(spare(i) if i % 10 == 5 else packet(i), now)
        for _ in range(2):
            buffer.pull(now + 0.001)
    assert least <= buffer.target <= most


def test_after_a_restart_the_next_packet_begins_anew_however_near_its_counters_are() -> None:
    buffer = running(50)
    buffer.restart()
    assert buffer.pull(1.0) == NotYet()
    heard = []
    for i in range(5):
        buffer.push(packet(i, sequence=65_530 + 45, timestamp=0xFFFFF000 + 44 * FRAME), 1.1 + i * FRAME_S)
        heard.append(played(buffer, 1.111 + i * FRAME_S))
    assert heard == [0, 1, 2, 3, 4]
    assert buffer.stats().late == 0


def test_of_several_copies_only_the_first_to_come_is_waited_for() -> None:
    buffer = JitterBuffer()
    for i in range(400):
        now = i * FRAME_S
        if i % 10:
            buffer.push(packet(i), now)
            for age in (1, 2, 3):
                buffer.push(spare(i - age), now)
        for _ in range(2):
            buffer.pull(now + 0.015)
    assert buffer.target < 0.032
