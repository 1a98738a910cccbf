"""When a receiver tells what has come: by its share of the bits, and soon where the link has become slower."""

import math
from itertools import pairwise

import pytest

from sinchphone.protocol.congestion.feedback_schedule import FeedbackSchedule

FRAME = 0.020
LOUD, FEW = 180, 60  # bytes of a packet


class Receiver:
    """Packets come, and feedback goes out."""

    def __init__(self, most: float = math.inf) -> None:
        self.schedule = FeedbackSchedule(most)
        self.now = 100.0
        self.told: list[float] = []

    def hear(self, seconds: float, size: int, gap: float = FRAME) -> list[float]:
        """Packets of ``size`` bytes come each ``gap`` seconds; how long after the one before each feedback went."""
        before = len(self.told)
        for _ in range(round(seconds / gap)):
            self.now += gap
            if self.schedule.is_due(size, self.now):
                self.told.append(self.now)
        told = self.told[max(0, before - 1) :]
        return [after - at for at, after in pairwise(told)]


def test_feedback_takes_no_more_than_its_share_unless_little_comes() -> None:
    assert min(Receiver().hear(10, LOUD)) == pytest.approx(8 * 120 / (0.05 * 8 * LOUD / FRAME), abs=FRAME)
    assert min(Receiver().hear(10, FEW)) > 0.39


def test_of_packets_that_come_slower_all_at_once_is_told_soon() -> None:
    receiver = Receiver()
    receiver.hear(10, LOUD)
    slow_at = receiver.now
    receiver.hear(1.0, LOUD, 0.060)
    assert [at for at in receiver.told if at > slow_at + 0.18][:3] == pytest.approx(
        [slow_at + 0.24, slow_at + 0.36, slow_at + 0.48], abs=0.07
    )


def test_where_packets_come_by_turns_as_beside_others_it_is_told_sooner_for_a_moment_alone() -> None:
    receiver = Receiver()
    for _ in range(50):
        receiver.hear(0.4, LOUD)
        receiver.hear(0.3, LOUD, 0.060)
    between = [after - at for at, after in pairwise(receiver.told)]
    assert sum(each < 0.2 for each in between) < 10


def test_one_stall_is_no_reason_to_tell_more_often() -> None:
    calm, stalled = Receiver(), Receiver()
    calm.hear(20, LOUD)
    for _ in range(20):
        stalled.hear(0.8, LOUD)
        stalled.hear(0.2, LOUD, 0.2)
    assert len(stalled.told) <= len(calm.told)


def test_where_all_that_is_sent_has_a_limit_feedback_keeps_to_its_share_of_it() -> None:
    receiver = Receiver(most=20_000)
    receiver.hear(2, LOUD)
    assert min(receiver.hear(3, LOUD, 0.060)) > 8 * 120 / (0.05 * 20_000) - 0.001
