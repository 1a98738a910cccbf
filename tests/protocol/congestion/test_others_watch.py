"""When others are believed to fill the path's queue, and what is sent beside them; how fast links are told in spite of chance."""

from collections.abc import Iterable

import pytest

from sinchphone.protocol.congestion.controller import CongestionController
from sinchphone.protocol.congestion.cross_traffic import CrossTraffic
from sinchphone.protocol.congestion.history import SentPacket, SentPackets
from sinchphone.protocol.congestion.link_rate import LinkRate
from sinchphone.protocol.congestion.meters import ArrivalMeter, PathSample
from sinchphone.protocol.congestion.others import OthersWatch

STEP, FRAME = 0.1, 0.020
HIS, HERS = 30_000.0, 40_000.0  # of what we send comes through, by turns


class Watched:
    """A look at the path ten times a second."""

    def __init__(self) -> None:
        self.watch, self.now = OthersWatch(), 0.0

    def look(self, seconds: float, *, loss: float = 0.0, congested: bool = True, round_trip: float = 0.0) -> OthersWatch:
        for step in range(round(seconds / STEP)):
            self.now += STEP
            comes = HERS if step % 10 < 3 else HIS
            sample = PathSample(queue=0.2, delay=0.2, growth=0.0, loss=loss, sent=55_000, delivered=comes, round_trip=round_trip)
            self.watch.look(sample, self.now, STEP, is_congested=congested)
        return self.watch

    @property
    def are_there(self) -> bool:
        return self.watch.are_there(self.now)


def test_a_queue_that_is_there_most_of_the_time_though_less_is_sent_is_of_others() -> None:
    watched = Watched()
    watched.look(3.0)
    assert not watched.are_there
    watched.look(1.0)
    assert watched.are_there
    half = Watched()
    for _ in range(20):
        half.look(0.5)
        half.look(0.5, congested=False)
        assert not half.are_there


@pytest.mark.parametrize(("round_trip", "little"), [(0.0, 30_000), (0.3, 44_000)])
def test_little_is_sent_where_half_of_it_gets_lost_until_much_less_does(round_trip: float, little: float) -> None:
    """As much as packets of 20 ms need where the peer tells of each packet."""
    watched = Watched()
    assert watched.look(10, loss=0.3, round_trip=round_trip).least == 55_000
    assert watched.look(20, loss=0.5, round_trip=round_trip).least == little
    assert watched.look(20, loss=0.3, round_trip=round_trip).least == little
    assert watched.look(20, loss=0.15, round_trip=round_trip).least == 55_000


@pytest.mark.parametrize(
    ("seconds", "loss", "round_trip", "is_full", "found"),
    [
        (1.5, 0.5, 0.37, True, True),
        (0.8, 0.5, 0.37, True, False),  # an interruption
        (5.0, 0.3, 0.37, True, False),
        (5.0, 0.5, 0.12, True, False),  # a short queue of ours
        (5.0, 0.5, 0.60, False, False),  # a long way with loss
        (5.0, 0.5, 0.60, None, False),  # or which lets no two packets in a row through
    ],
)
def test_a_full_queue_that_stood_there_before_us_is_of_others(
    seconds: float, loss: float, round_trip: float, is_full: bool | None, found: bool
) -> None:
    """No delay shows it: none of our packets ever missed it."""
    watch, steps = OthersWatch(), round(seconds / STEP)
    for step in range(steps):
        sample = PathSample(
            queue=0.0, delay=0.0, growth=0.0, loss=loss, sent=50_000, delivered=20_000, round_trip=round_trip, is_full=is_full
        )
        watch.look(sample, STEP * step, STEP, is_congested=False)
    assert watch.are_there(seconds) == found
    assert watch.least == (44_000 if found else 55_000)


def test_a_full_queue_is_known_though_no_two_packets_in_a_row_come_for_a_moment() -> None:
    watch = OthersWatch()
    for step in range(round(1.5 / STEP)):
        is_full = None if step % 3 else True
        sample = PathSample(queue=0.0, delay=0.0, growth=0.0, loss=0.5, sent=50_000, delivered=20_000, round_trip=0.37, is_full=is_full)
        watch.look(sample, STEP * step, STEP, is_congested=False)
    assert watch.are_there(1.5)


def test_packets_stay_long_where_a_little_more_gets_lost_than_made_them_so() -> None:
    watched = Watched()
    seen = []
    for loss in (0.18, 0.10, 0.18, 0.30, 0.18):
        watched.look(20, loss=loss)
        seen.append(watched.watch.lose_in_bursts(watched.now))
    assert seen == [False, True, True, False, False]


@pytest.mark.parametrize(("link", "tried"), [(30_000, True), (48_000, False), (90_000, True)])
def test_more_than_was_carried_is_not_tried_where_the_link_is_known_to_be_no_faster(link: float, tried: bool) -> None:
    """One that looks much slower was only busy when it was measured."""
    controller, budgets = CongestionController(), []
    controller.judge(PathSample(queue=0.2, delay=0.2, growth=0.5, loss=0.0, sent=70_000, delivered=50_000), 1.0)
    for step in range(1, 40):
        sent = controller.budget
        controller.judge(PathSample(queue=0, delay=0, growth=0, loss=0, sent=sent, delivered=sent, link=link), 1.0 + STEP * step)
        budgets.append(controller.budget)
    assert (max(budgets) > 50_000) == tried


def test_a_packet_that_is_told_of_twice_has_come_once() -> None:
    sent = SentPackets()
    meter = ArrivalMeter(sent)
    for number in range(10):
        sent.add(number, 100, number * FRAME)
    arrivals = [(number, 5.0 + number * FRAME) for number in range(10)]
    assert meter.feedback(arrivals) is not None
    assert meter.feedback(arrivals) is None
    assert meter.feedback([(number, at + 0.5) for number, at in arrivals]) is None


def told(offsets: Iterable[float], period: float) -> tuple[float, float]:
    """Of packets of which so many come in each ``period``, at these times of it, for two seconds, behind a queue that grows."""
    watch, number = CrossTraffic(), 0
    for begin in range(round(2 / period)):
        for offset in offsets:
            watch.arrived(SentPacket(number, number * FRAME, 120, arrived_at=5.0 + begin * period + offset))
            number += 1
    return watch.told


def test_gaps_that_differ_all_the_way_are_of_bursts_and_tell_of_nobody() -> None:
    """Where others are, the shortest gaps are alike: nobody is in them."""
    assert told((0.0, 0.003, 0.009, 0.018), 0.12) == (0.0, 0.0)
    share, link = told((0.0, 0.003, 0.006, 0.018), 0.12)
    assert share > 0.5
    assert link == pytest.approx(8 * 120 / 0.003)


def test_one_packet_that_looks_too_fast_does_not_make_the_link_fast() -> None:
    """What it's compared with was late, all of it."""
    link, sent = LinkRate(), SentPackets()
    longer = iter([0.010, 0.002, 0.010])
    for frame in range(20):
        padding = 80 if frame in (8, 12, 16) else 0
        sent.add(frame, 130 + padding, frame * FRAME, padding)
        link.arrived(sent.packets[-1], 5.0 + (next(longer) if padding else 0.0))
    assert link.rate(20 * FRAME) == pytest.approx(64_000)
