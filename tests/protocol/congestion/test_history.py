"""What is remembered of packets that were sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.congestion.history import KEPT_PACKETS, SentPackets


@given(
    st.lists(st.tuples(st.integers(0, 1500), st.integers(40, 1200), st.sampled_from([-900, -20, 0, 0, 1, 700])), min_size=1, max_size=80),
)
def test_the_rate_of_a_second_is_what_was_sent_in_it_whenever_it_is_asked_for(steps: list[tuple[int, int, int]]) -> None:
    """Milliseconds since the packet before, bytes, and when the rate is asked for, from then on."""
    sent, known, now = SentPackets(), list[tuple[int, int]](), 10_000
    for number, (pause, size, asked) in enumerate(steps):
        now += pause
        sent.add(number, size, now / 1000)
        known.append((now, size))
        until = now + asked
        octets = sum(bytes_ for at, bytes_ in known if until / 1000 - 1.0 < at / 1000 <= until / 1000)
        span = min(1.0, max(0.2, (until - known[0][0]) / 1000))
        assert sent.rate(until / 1000) == pytest.approx(octets * 8 / span)


def test_nothing_was_sent_before_the_first_packet() -> None:
    assert SentPackets().rate(1.0) == 0.0


def test_a_number_that_is_used_again_a_minute_later_is_another_packets() -> None:
    sent = SentPackets()
    sent.add(7, 100, 0.0)
    sent.add(7, 200, 59.0)  # sent again
    assert len(sent.packets) == 1
    sent.add(7, 300, 61.0)
    found = sent.find(7)
    assert found is not None and (found.size, found.sent_at) == (300, 61.0)


def test_a_packet_that_went_out_long_ago_is_not_known_any_more() -> None:
    sent = SentPackets()
    for number in range(KEPT_PACKETS + 1):
        sent.add(number, 100, number * 0.001)
    assert sent.find(0) is None
    assert sent.find(1) is not None
