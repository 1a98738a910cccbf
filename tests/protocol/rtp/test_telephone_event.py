"""Digits as RTP events (RFC 4733): what is sent for them, and what is heard of it on a bad line."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.digits import DIGITS
from sinchphone.protocol.rtp.telephone_event import (
    MAX_UNSENT_DIGITS,
    Digit,
    DigitReceiver,
    DigitSender,
    EventPacket,
    TelephoneEvent,
    decode_event,
    encode_event,
)

TICK = 0.020
Sent = tuple[float, EventPacket]


def send(digits: str, clock_rate: int = 8_000, start: int = 1_000) -> list[Sent]:
    """Every packet for ``digits`` and when it goes, while sound runs on at 50 frames a second."""
    sender = DigitSender(clock_rate)
    sender.push(digits)
    sent = []
    tick = 0
    while not sender.idle:
        packet = sender.tick(start + tick * clock_rate // 50)
        if packet is not None:
            sent.append((tick * TICK, packet))
        tick += 1
    return sent


def hear(packets: Iterable[Sent], clock_rate: int = 8_000, receiver: DigitReceiver | None = None) -> list[Digit]:
    receiver = receiver or DigitReceiver()
    digits: list[Digit] = []
    now = 0.0
    for now, packet in packets:
        digits += receiver.push(packet.payload, packet.timestamp, marker=packet.marker, clock_rate=clock_rate, now=now)
    return digits + receiver.expire(now + 1)


def heard(packets: Iterable[Sent], clock_rate: int = 8_000) -> str:
    return "".join(digit.digit for digit in hear(packets, clock_rate))


def event(code: int, duration: int, *, end: bool = False) -> bytes:
    return encode_event(TelephoneEvent(code, end, 10, duration))


def test_the_payload_is_that_of_the_rfc() -> None:
    """RFC 4733 2.3 and the digit 9 of its 2.5.1.3."""
    assert encode_event(TelephoneEvent(9, False, 7, 400)) == bytes([9, 7, 400 >> 8, 400 & 0xFF])
    assert encode_event(TelephoneEvent(1, True, 10, 800)) == bytes([1, 0x80 | 10, 3, 32])
    assert decode_event(bytes([11, 0xC0 | 20, 0, 160])) == TelephoneEvent(11, True, 20, 160)


@given(st.integers(0, 255), st.booleans(), st.integers(0, 63), st.integers(0, 65_535))
def test_an_event_is_read_as_it_was_written(code: int, end: bool, volume: int, duration: int) -> None:
    assert decode_event(encode_event(TelephoneEvent(code, end, volume, duration))) == TelephoneEvent(code, end, volume, duration)


@pytest.mark.parametrize("clock_rate", [8_000, 48_000])
def test_a_digit_has_a_marker_first_one_time_stamp_a_growing_duration_and_three_ends(clock_rate: int) -> None:
    sent = [packet for _, packet in send("7", clock_rate)]
    events = [decode_event(packet.payload) for packet in sent]
    assert [packet.marker for packet in sent] == [True] + [False] * (len(sent) - 1)
    assert {packet.timestamp for packet in sent} == {1_000}
    assert [each.duration for each in events if each and not each.end] == [clock_rate // 50 * step for step in (1, 2, 3, 4)]
    assert [(each.duration, each.code) for each in events if each and each.end] == [(clock_rate // 10, 7)] * 3


def test_two_digits_have_two_time_stamps_and_a_pause_between_them() -> None:
    sent = send("11")
    first, second = sorted({packet.timestamp for _, packet in sent})
    assert second - first >= 8_000 * 0.140  # 100 ms of tone, 40 of silence at least
    assert heard(sent) == "11"


def test_pauses_last_half_a_second_and_a_second() -> None:
    without, with_pauses = send("12")[-1][0], send("1wW2")[-1][0]
    assert with_pauses - without == pytest.approx(1.5)


def test_sound_goes_in_the_pauses_and_is_held_back_during_a_digit() -> None:
    sender = DigitSender(8_000)
    sender.push("5w")
    sounding = []
    while not sender.idle:
        sounding.append(sender.sounding)
        assert (sender.tick(0) is not None) == sounding[-1]
    assert sounding[:7] == [True] * 7
    assert not any(sounding[7:])
    assert sender.done == sender.pushed == 2


@pytest.mark.parametrize("wrong", ["x", "1 2", "é", "1" * (MAX_UNSENT_DIGITS + 1)])
def test_what_is_not_a_digit_is_refused_and_nothing_is_sent(wrong: str) -> None:
    sender = DigitSender(8_000)
    with pytest.raises(LocalProtocolError):
        sender.push(wrong)
    assert sender.idle


def test_digits_that_wait_are_limited_in_number() -> None:
    sender = DigitSender(8_000)
    sender.push("1" * MAX_UNSENT_DIGITS)
    with pytest.raises(LocalProtocolError):
        sender.push("2")


@pytest.mark.parametrize("clock_rate", [8_000, 48_000])
def test_every_digit_is_heard_once_with_its_duration(clock_rate: int) -> None:
    assert hear(send(DIGITS, clock_rate), clock_rate) == [Digit(each, 100) for each in DIGITS]


@pytest.mark.parametrize("loss", [0.05, 0.2, 0.4])
def test_digits_are_exact_on_a_line_that_loses_packets(loss: float) -> None:
    """With 40 % one digit in 600 loses all its seven packets: the seeds here don't."""
    for seed in range(20):
        chance = random.Random(seed)
        digits = "".join(chance.choices(DIGITS, k=20))
        kept = [each for each in send(digits) if chance.random() >= loss]
        if len({packet.timestamp for _, packet in kept}) == len(digits):
            assert heard(kept) == digits
        else:
            assert loss == 0.4


@given(st.text(st.sampled_from(DIGITS), min_size=1, max_size=6), st.data())
def test_whatever_is_lost_or_doubled_each_digit_of_which_something_came_is_heard_once(digits: str, data: st.DataObject) -> None:
    sent = send(digits)
    copies = data.draw(st.lists(st.sampled_from([0, 1, 1, 2]), min_size=len(sent), max_size=len(sent)))
    arrived = [each for each, count in zip(sent, copies, strict=True) for _ in range(count)]
    came = {packet.timestamp: DIGITS[packet.payload[0]] for _, packet in arrived}
    assert heard(arrived) == "".join(came.values())


@given(st.text(st.sampled_from(DIGITS), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_packets_in_any_order_make_no_digit_twice_and_no_two_of_one(digits: str, chance: random.Random) -> None:
    sent = send(digits)
    packets = [packet for _, packet in sent]
    chance.shuffle(packets)
    result = heard([(at, packet) for (at, _), packet in zip(sent, packets, strict=True)])
    assert all(result.count(digit) <= digits.count(digit) for digit in DIGITS)


def test_a_digit_whose_ends_are_all_lost_is_heard_when_the_next_one_begins_or_after_a_while() -> None:
    endless = [(at, packet) for at, packet in send("42") if not packet.payload[1] & 0x80]
    assert hear(endless) == [Digit("4", 80), Digit("2", 80)]
    receiver = DigitReceiver()
    receiver.push(event(4, 160), 0, marker=True, clock_rate=8_000, now=0.0)
    assert receiver.expire(0.2) == []
    assert receiver.expire(0.26) == [Digit("4", 20)]
    assert receiver.expire(9.0) == []


def test_packets_that_come_after_a_digit_was_given_up_do_not_make_it_a_second_one() -> None:
    receiver = DigitReceiver()
    receiver.push(event(4, 160), 0, marker=True, clock_rate=8_000, now=0.0)
    assert receiver.expire(1.0) == [Digit("4", 20)]
    assert receiver.push(event(4, 800, end=True), 0, marker=False, clock_rate=8_000, now=1.1) == []


def test_a_late_packet_of_the_digit_before_changes_nothing() -> None:
    sent = send("12")
    late = next(each for each in sent if each[1].payload[0] == 1 and each[1].payload[1] & 0x80)
    at = next(index for index, each in enumerate(sent) if each[1].payload[0] == 2) + 2
    assert heard([*sent[:at], (sent[at][0], late[1]), *sent[at:]]) == "12"


def test_a_key_held_down_for_ten_seconds_is_one_digit() -> None:
    """RFC 4733 2.5.1.3: 65535 ticks are the most; then a new segment begins where the old one ended, without a marker."""
    packets: list[Sent] = []
    for tick in range(1, 501):
        segment, duration = divmod(tick * 160, 0xFFFF)
        packets.append((tick * TICK, EventPacket(event(5, duration), segment * 0xFFFF, tick == 1)))
    packets += [(10.0, EventPacket(event(5, 80_000 % 0xFFFF, end=True), 0xFFFF, False))] * 3
    assert hear(packets) == [Digit("5", 10_000)]


def test_the_same_digit_again_right_after_is_another_one() -> None:
    """Its marker tells it from a segment that goes on."""
    first = [(0.0, EventPacket(event(5, 0xFFFF), 0, True))]
    second = [(8.2, EventPacket(event(5, 800, end=True), 0xFFFF, True))]
    assert [digit.digit for digit in hear([*first, *second])] == ["5", "5"]


@pytest.mark.parametrize("counted_in", [48_000, 8_000])
def test_a_duration_in_the_clock_of_the_sound_is_not_taken_for_six_times_as_long(counted_in: int) -> None:
    """What baresip sends beside Opus: telephone-event/8000 with durations in 48 000. Others mean 8000."""
    receiver, digits = DigitReceiver(), []
    for at, packet in send("8", counted_in):
        digits += receiver.push(packet.payload, packet.timestamp, marker=packet.marker, clock_rate=8_000, now=at, exact=False)
    assert digits == [Digit("8", 100)]


def test_ends_with_time_stamps_of_their_own_are_one_digit() -> None:
    """As rtpengine 10.5 sends them where it makes 48 000 ticks a second of 8000."""
    receiver, digits = DigitReceiver(), []
    packets = [(1000, 960 * tick, False) for tick in range(1, 9)] + [(1000, 8640, True), (1960, 8640, True), (2920, 8640, True)]
    packets += [(20_000, 960 * tick, False) for tick in range(1, 9)] + [(20_000, 8640, True)]
    for number, (timestamp, duration, end) in enumerate(packets):
        payload = encode_event(TelephoneEvent(4, end, 10, duration))
        digits += receiver.push(payload, timestamp, marker=duration == 960, clock_rate=48_000, now=number * 0.02)
    assert [one.digit for one in digits] == ["4", "4"]
    assert digits[0].duration_ms == 180


def test_events_that_are_no_digits_are_ignored() -> None:
    """A hook flash, a modem's tones, and what is too short."""
    for payload in (event(16, 800, end=True), event(36, 800, end=True), b"", b"\x05\x8a\x03"):
        assert hear([(0.0, EventPacket(payload, 7, True))]) == []


def test_a_sender_that_begins_anew_is_heard() -> None:
    receiver = DigitReceiver()
    far = 3_000_000_000
    assert [each.digit for each in hear([(0.0, EventPacket(event(1, 800, end=True), far, True))], receiver=receiver)] == ["1"]
    assert [each.digit for each in hear([(9.0, EventPacket(event(2, 800, end=True), far - 80_000, True))], receiver=receiver)] == ["2"]
    receiver.restart()
    assert [each.digit for each in hear([(9.5, EventPacket(event(3, 800, end=True), far, True))], receiver=receiver)] == ["3"]


def test_the_time_stamp_may_wrap_between_and_within_digits() -> None:
    assert heard(send("12345", start=0x1_0000_0000 - 2_000)) == "12345"


def test_a_flood_of_digits_is_cut_down_to_what_a_keypad_can_do() -> None:
    """Attack: ten thousand digits a second."""
    receiver = DigitReceiver()
    flood = [(index / 10_000, EventPacket(event(1, 800, end=True), index * 7, True)) for index in range(20_000)]
    assert len(hear(flood, receiver=receiver)) <= 24 + 2 * 15 + 1
    assert receiver.dropped > 19_000


def test_what_a_stall_held_up_comes_at_once_and_is_heard() -> None:
    burst = [(5.0, packet) for _, packet in send("0123456789")]
    assert heard(burst) == "0123456789"


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 0xFFFFFFFF), st.booleans(), st.floats(0, 0.1))))
def test_any_packets_are_taken(packets: list[tuple[bytes, int, bool, float]]) -> None:
    receiver, now = DigitReceiver(), 0.0
    for payload, timestamp, marker, pause in packets:
        now += pause
        for digit in receiver.push(payload, timestamp, marker=marker, clock_rate=8_000, now=now):
            assert digit.digit in DIGITS
            assert digit.duration_ms >= 0
