"""What the round trips of checks tell of a path, and when the next check is due."""

import math

import pytest

from sinchphone.protocol.congestion.meters import PathSample
from sinchphone.protocol.congestion.round_trips import RoundTripMeter

BASE = 0.04
EVERY = 0.4
BUDGET = 60_000.0
OCTETS = 8_000  # are sent in a second


class Checked:
    """A path whose checks take as long as told, while as much is sent all the time."""

    def __init__(self) -> None:
        self.meter = RoundTripMeter()
        self.now = 0.0
        self.transit = 7.0
        self.frames = 0

    def check(self, waits: float = 0.0, *, every: float = EVERY) -> PathSample | None:
        number = self.meter.asked(round(OCTETS * self.now), self.now)
        answered = self.now + BASE + waits
        sample = self.meter.answered(number, round(OCTETS * answered), 8.0 * OCTETS, 0.0, answered)
        self.now += every
        return sample

    def queue(self, *waits: float) -> float:
        samples = [self.check(each) for each in waits]
        return 0.0 if samples[-1] is None else samples[-1].queue

    def lose(self, count: int, *, every: float = 0.12) -> None:
        for _ in range(count):
            self.meter.asked(round(OCTETS * self.now), self.now)
            self.now += every

    def hear(self, seconds: float, *, later: float = 0.0, returned: bool = False) -> None:
        """The peer's packets until now, each ``later`` than usual: of its own, or ours."""
        for frame in range(round(seconds / 0.02)):
            self.frames += 1
            payload = self.frames.to_bytes(20)
            if returned:
                self.meter.sent(payload)
            self.meter.came(self.transit + later, payload, self.now - seconds + 0.02 * (frame + 1))


def test_checks_that_take_longer_tell_of_a_queue_and_one_alone_does_not() -> None:
    path = Checked()
    assert path.queue(0.0, 0.0, 0.0) == 0.0
    assert path.queue(0.3) == 0.0
    assert path.queue(0.3) == pytest.approx(0.26)
    assert path.queue(0.0) == 0.0


@pytest.mark.parametrize("waits", [(0.03, 0.0, 0.04, 0.02, 0.04, 0.03), (0.15, 0.0, 0.0, 0.15, 0.0)], ids=["jitter", "spikes"])
def test_jitter_and_spikes_are_no_queue(waits: tuple[float, ...]) -> None:
    path = Checked()
    path.check()
    for each in waits * 5:
        sample = path.check(each)
        assert sample is not None
        assert sample.queue == 0.0


def test_what_is_carried_is_told_by_how_much_later_the_second_check_comes() -> None:
    """Of 8 kB a second for 0.4 s, which took 0.8 s to pass, the link carries half."""
    path = Checked()
    path.check()
    path.check()
    path.check(0.4)
    sample = path.check(0.8)
    assert sample is not None
    assert sample.delivered == pytest.approx(4 * OCTETS)
    assert sample.growth == pytest.approx(0.5)


def test_what_the_peers_own_packets_wait_is_no_queue_of_ours() -> None:
    path = Checked()
    path.check()
    path.hear(0.3)
    path.now += 1.0
    path.hear(0.3, later=0.3)
    assert path.queue(0.3) == 0.0
    path.hear(0.3, later=0.3)
    assert path.queue(0.3) == 0.0
    path.hear(0.3, later=0.1)
    assert path.queue(0.3) == 0.0
    path.hear(0.3, later=0.1)
    assert path.queue(0.3) == pytest.approx(0.16), "the rest is on our way"


def test_what_our_own_packets_waited_that_the_peer_returns_is_our_queue() -> None:
    path = Checked()
    path.check()
    path.hear(0.3, returned=True)
    path.now += 1.0
    path.hear(0.3, later=0.3, returned=True)
    assert path.queue(0.3, 0.3) == pytest.approx(0.26)
    path.now += 4.0
    path.hear(0.3, later=0.3)
    assert path.queue(0.3, 0.3) == 0.0, "now it's a peer that talks"


def test_packets_that_come_later_than_answers_beside_them_have_not_waited_on_the_way_back() -> None:
    """But on a third party's way to the peer, say; for long nothing is concluded from them."""
    path = Checked()
    for _ in range(3):
        path.hear(0.3)
        path.check()
    path.hear(0.3, later=0.3)
    assert path.queue(0.3) == 0.0, "it may have"
    for _ in range(3):
        path.hear(0.3, later=0.3)
        path.check()
    path.hear(0.3, later=0.3)
    assert path.queue(0.3, 0.3) == pytest.approx(0.26)
    path.now += 31.0
    path.hear(0.3)
    path.check()
    path.hear(0.3, later=0.3)
    assert path.queue(0.3, 0.3) == 0.0


def test_packets_that_are_late_now_and_then_prove_nothing() -> None:
    path = Checked()
    for later in (0.0, 0.2, 0.2, 0.0, 0.2, 0.2, 0.0):
        path.hear(0.3, later=later)
        path.check()
    path.hear(0.3, later=0.3)
    assert path.queue(0.3, 0.3) == 0.0


def test_after_a_rebase_the_way_back_is_still_known_and_our_queue_too() -> None:
    """What waited on the way back was none of the queue that was taken for others', so it isn't taken away twice."""
    path = Checked()
    path.check()
    path.hear(0.3)
    for _ in range(5):
        path.hear(0.3, later=0.3)
        path.check(0.5)
    path.meter.rebase()
    path.hear(0.3, later=0.3)
    assert path.queue(0.5, 0.5) == 0.0
    assert path.queue(0.8, 0.8) == pytest.approx(0.26)


def test_a_peer_that_begins_to_count_anew_waits_for_nothing() -> None:
    path = Checked()
    path.check()
    path.hear(0.3)
    path.transit += 4000.0
    path.now += 0.3
    path.hear(0.3)
    assert path.queue(0.3, 0.3) == pytest.approx(0.26)


def test_answers_that_stay_away_in_a_row_hold_what_is_sent_and_single_ones_do_not() -> None:
    path = Checked()
    path.check()
    path.lose(1)
    path.now += 1.0
    assert not path.meter.is_overdue(0.0, path.now)
    path.check()
    path.lose(3)
    assert path.meter.is_overdue(0.0, path.now + 0.1)
    assert path.meter.are_missed


def test_where_packets_get_lost_it_takes_more_of_them() -> None:
    path = Checked()
    path.check()
    path.lose(3)
    assert not path.meter.is_overdue(0.2, path.now + 0.1)
    path.lose(6)
    assert path.meter.is_overdue(0.2, path.now + 0.1)


def test_nothing_is_held_for_longer_than_a_queue_of_a_second_takes_to_answer() -> None:
    path = Checked()
    path.check()
    path.lose(4)
    assert path.meter.is_overdue(0.0, path.now)
    assert not path.meter.is_overdue(0.0, path.now + 0.75)
    assert path.meter.are_missed, "and little is sent until there is an answer"
    path.check()
    assert not path.meter.are_missed


def test_where_the_peers_packets_stop_too_it_is_not_our_queue() -> None:
    path = Checked()
    path.check()
    path.hear(0.3)
    path.lose(4)
    assert not path.meter.is_overdue(0.0, path.now)


def test_after_a_rebase_a_longer_way_is_no_queue() -> None:
    path = Checked()
    path.queue(0.0, 0.0, 0.0)
    path.queue(*[0.2] * 5)
    path.meter.rebase()
    assert path.queue(0.2, 0.2) == 0.0


def test_an_answer_that_was_overtaken_or_comes_twice_tells_nothing() -> None:
    meter = RoundTripMeter()
    first, second = meter.asked(0, 0.0), meter.asked(0, 0.1)
    meter.answered(second, 0, 0.0, 0.0, 0.14)
    assert meter.answered(first, 0, 0.0, 0.0, 0.5) is None
    assert meter.answered(second, 0, 0.0, 0.0, 0.6) is None
    assert meter.answered(17, 0, 0.0, 0.0, 0.7) is None


def test_checks_are_seldom_where_little_may_be_sent_and_soon_after_one_that_is_late() -> None:
    path = Checked()
    for _ in range(20):
        path.check()
    since = path.now - EVERY
    assert path.meter.check_in(BUDGET, since) == pytest.approx(0.4)
    assert path.meter.check_in(20_000.0, since) == pytest.approx(0.928)
    assert path.meter.check_in(1.0, since) == pytest.approx(1.0)
    path.lose(1, every=0.0)
    assert path.meter.check_in(BUDGET, path.now) == pytest.approx(BASE + 0.1)
    path.lose(20)
    assert path.meter.check_in(BUDGET, path.now) > 0.2, "a path that is dead isn't asked more often for ever"


def test_packets_that_were_under_way_on_another_path_tell_nothing_of_this_one() -> None:
    path = Checked()
    path.hear(0.3, later=-0.2)
    path.check()
    path.hear(0.3)
    assert path.queue(0.2, 0.2) == pytest.approx(0.16)


def test_on_another_path_numbers_go_on() -> None:
    meter = RoundTripMeter(after=5)
    assert meter.asked(0, 0.0) == 6
    assert meter.check_in(BUDGET, math.inf) == 0.0
