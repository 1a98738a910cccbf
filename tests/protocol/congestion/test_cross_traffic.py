"""Whose packets a queue is of, told by how far apart ours leave it."""

import random

import pytest

from sinchphone.protocol.congestion.cross_traffic import CrossTraffic
from sinchphone.protocol.congestion.history import SentPacket

FRAME = 0.020
OURS, THEIRS = 120, 576  # bytes


def heard(rate: float, *, seconds: float = 2.0, each: float = FRAME, theirs: float = 0.0, jitter: float = 0.0) -> tuple[float, float]:
    """What is told of a link of ``rate``, into which we send a packet ``each`` so many seconds, and others one ``theirs``."""
    watch, dice = CrossTraffic(), random.Random(1)
    free = 0.0
    due, next_theirs, last = 0.0, 0.3, 0.0
    for number in range(round(seconds / each)):
        while theirs and next_theirs <= due:
            free = max(free, next_theirs) + THEIRS * 8 / rate
            next_theirs += theirs
        free = max(free, due) + OURS * 8 / rate
        last = max(last, free + dice.random() * jitter)
        watch.arrived(SentPacket(number, due, OURS, arrived_at=last + 5.0))
        due += each
    return watch.told


@pytest.mark.parametrize(("rate", "theirs"), [(40_000, 0.16), (80_000, 0.08)])
def test_gaps_of_two_kinds_tell_what_others_have_of_a_link_and_how_fast_it_is(rate: float, theirs: float) -> None:
    share, link = heard(rate, theirs=theirs)
    assert link == pytest.approx(rate, rel=0.05)
    assert 0.3 < share < 0.8


@pytest.mark.parametrize("rate", [20_000, 40_000])
def test_a_queue_of_ours_alone_tells_of_nobody_else(rate: float) -> None:
    share, link = heard(rate)
    assert share == pytest.approx(0.0, abs=0.01)
    assert link == pytest.approx(rate, rel=0.01)


def test_without_a_queue_nothing_is_told() -> None:
    assert heard(1_000_000) == (0.0, 0.0)


def test_jitter_is_nobody_else() -> None:
    assert heard(40_000, jitter=0.015)[0] < 0.3
    assert heard(1_000_000, jitter=0.040)[0] < 0.3


def test_a_radio_link_that_sends_some_packets_at_once_is_shared_by_nobody() -> None:
    """Four each 120 ms: they come together, and less of them than was sent."""
    watch = CrossTraffic()
    for number in range(100):
        watch.arrived(SentPacket(number, number * FRAME, OURS, arrived_at=0.2 + 0.120 * (number // 4) + 0.0005 * (number % 4)))
    assert watch.told == (0.0, 0.0)


def test_overtaken_packets_and_another_clock_tell_nothing() -> None:
    watch = CrossTraffic()
    for number in (3, 2, 1):
        watch.arrived(SentPacket(number, number * FRAME, OURS, arrived_at=9.0 + 0.01 * (3 - number)))
    watch.restart()
    watch.arrived(SentPacket(4, 4 * FRAME, OURS, arrived_at=700.0))
    assert watch.told == (0.0, 0.0)
