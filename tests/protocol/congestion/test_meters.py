"""What arrivals and reports are taken for: queues, jitter, late packets, loss."""

import random
from collections.abc import Callable

import pytest

from sinchphone.protocol.congestion.history import SentPackets
from sinchphone.protocol.congestion.meters import ArrivalMeter, PathSample, ReportMeter
from sinchphone.protocol.congestion.queueing import QueueDelay
from sinchphone.protocol.rtp.transport_feedback import WRAP_SECONDS

FRAME = 0.020


def observed(*transits: float, queue: QueueDelay | None = None, begun: float = 0.0) -> QueueDelay:
    queue = queue or QueueDelay()
    for index, transit in enumerate(transits):
        queue.observe(transit, begun + index * FRAME + transit)
    return queue


def test_what_all_packets_wait_is_a_queue() -> None:
    assert observed(*[1.0] * 50, *[1.1] * 30).standing == pytest.approx(0.1)


def test_jitter_and_single_late_packets_are_none() -> None:
    dice = random.Random(1)
    assert observed(*[5 + dice.random() * 0.05 for _ in range(200)]).standing < 0.02
    assert observed(*[5.0] * 50, *[5.15, 5.13, 5.11, 5.09, 5.07, 5.05, 5.03, 5.01], 5.0).standing == 0.0


def test_a_queue_that_grows_is_seen_while_it_is_short() -> None:
    queue = observed(*[0.0] * 50, *[0.002 * step for step in range(30)])
    assert queue.growth == pytest.approx(0.1, abs=0.03)
    assert observed(*[0.0] * 50).growth == 0.0


def test_a_link_that_is_much_slower_all_at_once_is_seen_with_the_first_four_packets_that_it_delays() -> None:
    queue = QueueDelay()
    for index, transit in enumerate([*[0.02] * 50, 0.08, 0.12, 0.16]):
        queue.observe(transit, index * FRAME)
    assert queue.standing == 0.0
    queue.observe(0.20, 53 * FRAME)
    assert queue.surges
    assert queue.standing == pytest.approx(0.06)
    assert queue.growth == pytest.approx(0.04 / 0.06)  # of 60 ms between two that come


def test_neither_a_stall_nor_jitter_is_taken_for_a_slower_link() -> None:
    stall = [0.15, 0.13, 0.11, 0.09, 0.15, 0.13, 0.11, 0.09, 0.07, 0.05, 0.03, 0.01]
    dice = random.Random(3)
    for transits in ([0.02] * 50 + stall + [0.02] * 9, [dice.random() * 0.02 for _ in range(500)]):
        queue = QueueDelay()
        for index, transit in enumerate(transits):
            queue.observe(transit, index * FRAME)
            assert not queue.surges


def test_clocks_that_drift_are_no_queue_in_three_minutes() -> None:
    assert observed(*[index * FRAME * 200e-6 for index in range(9000)]).standing < 0.01


def test_after_a_rebase_the_delay_of_now_is_the_least() -> None:
    queue = observed(*[0.0] * 50, *[0.3] * 50)
    queue.rebase()
    assert observed(*[0.3] * 10, queue=queue, begun=2.0).standing == pytest.approx(0.0, abs=1e-9)


class Sender:
    """Sends packets whose numbers soon begin again."""

    def __init__(self) -> None:
        self.sent = SentPackets()
        self.number = 65_500
        self.now = 0.0


class Reports(Sender):
    """Packets each 20 ms and a report each second, which tells of the newest that has come."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = ReportMeter(self.sent)

    def second(
        self, *, queue: float = 0.0, loss: float = 0.0, round_trip: float | None = 0.04, delivered: int = 50, waited: float = 0.0
    ) -> float:
        for _ in range(50):
            self.sent.add(self.number % 65_536, 160, self.now)
            self.number += 1
            self.now += FRAME
        highest = self.number - 2 - round(queue / FRAME)
        sample = self.meter.report((1 << 16) + highest, loss, round_trip, self.now, waited)
        assert sample is not None
        self.delivered = sample.delivered
        return sample.queue


def test_reports_that_get_later_and_later_packets_tell_of_a_queue() -> None:
    reports = Reports()
    assert [reports.second() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert reports.second(queue=0.2, round_trip=0.24) > 0.1
    assert reports.second(queue=0.2, round_trip=0.24) > 0.1
    assert reports.second() == 0.0


def test_one_late_report_is_no_queue_but_a_lossy_one_is() -> None:
    reports = Reports()
    reports.second()
    assert reports.second(queue=0.2) == 0.0
    reports.second()
    reports.second()
    assert reports.second(queue=0.2, loss=0.1) > 0.1


def test_a_queue_that_stood_there_before_the_first_report_is_seen_where_packets_fall_out_of_it() -> None:
    reports = Reports()
    assert reports.second(queue=0.3, loss=0.3) > 0.1
    assert reports.second(queue=0.3, loss=0.3) > 0.1
    assert reports.second() == 0.0


def test_a_queue_that_stood_there_before_the_first_report_is_seen_where_it_grows() -> None:
    reports = Reports()
    reports.second(queue=0.2)
    assert reports.second(queue=0.3, round_trip=0.34) > 0.1


def test_a_long_way_is_no_queue() -> None:
    reports = Reports()
    assert [reports.second(queue=0.5, round_trip=0.54) for _ in range(5)] == [0.0] * 5
    assert reports.second(queue=0.8, round_trip=0.84) > 0.2


def test_after_a_rebase_loss_on_a_long_way_is_no_queue() -> None:
    reports = Reports()
    assert reports.second(queue=0.3, loss=0.3) > 0.1
    reports.meter.rebase()
    assert [reports.second(queue=0.3, loss=0.3) for _ in range(5)] == [0.0] * 5


def test_reports_tell_the_rate_that_arrives() -> None:
    reports = Reports()
    reports.second()
    reports.second(loss=0.25)
    assert reports.delivered == pytest.approx(0.75 * 50 * 160 * 8)


def test_what_a_report_itself_has_waited_is_no_queue_of_packets() -> None:
    reports = Reports()
    reports.second()
    assert reports.second(queue=0.2, round_trip=0.24, waited=0.2) == 0.0
    assert reports.second(queue=0.2, round_trip=0.24, waited=0.2) == 0.0
    assert reports.second(queue=0.4, round_trip=0.44, waited=0.2) > 0.1


def test_a_report_of_packets_that_are_not_ours_is_ignored() -> None:
    assert ReportMeter(SentPackets()).report(17, 0.0, None, 1.0) is None


@pytest.mark.parametrize("is_random", [False, True])
def test_a_full_queue_is_told_from_loss_by_packets_that_wait_longer_than_the_one_right_before(is_random: bool) -> None:
    """A link that takes 35 ms for each, whose queue holds half a second; or one that loses two of four and delays none."""
    told, free_at = Told(), 0.0
    for _ in range(20):
        numbers: list[tuple[int, float | None]] = []
        for _ in range(5):
            told.sent.add(told.number % 65_536, 160, told.now)
            waits = max(0.0, free_at - told.now)
            lost = told.number % 4 < 2 if is_random else waits > 0.5
            free_at = free_at if lost else told.now + waits + 0.035
            numbers.append((told.number % 65_536, None if lost else (told.now if is_random else free_at)))
            told.number += 1
            told.now += FRAME
        sample = told.meter.feedback(numbers, told.now + 0.02)
    assert sample is not None
    assert sample.loss > 0.3
    assert sample.is_full != is_random
    assert sample.round_trip < 0.1


def test_loss_that_lets_no_two_packets_in_a_row_through_tells_nothing_of_a_queue() -> None:
    told = Told()
    for _ in range(20):
        numbers: list[tuple[int, float | None]] = []
        for _ in range(5):
            told.sent.add(told.number % 65_536, 160, told.now)
            numbers.append((told.number % 65_536, None if told.number % 2 else told.now + 0.1))
            told.number += 1
            told.now += FRAME
        sample = told.meter.feedback(numbers, told.now + 0.3)
    assert sample is not None
    assert sample.loss > 0.4
    assert sample.is_full is None


class Told(Sender):
    """Packets each 20 ms, of which the peer tells when each one came, five at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = ArrivalMeter(self.sent)

    def go(self, seconds: float, arrives: Callable[[float], float]) -> PathSample:
        """What is told of the path after so long, where a packet of ``now`` came at ``arrives(now)`` by the peer's clock."""
        sample = None
        for _ in range(round(seconds / (5 * FRAME))):
            told: list[tuple[int, float | None]] = []
            for _ in range(5):
                self.sent.add(self.number % 65_536, 160, self.now)
                told.append((self.number % 65_536, arrives(self.now)))
                self.number += 1
                self.now += FRAME
            sample = self.meter.feedback(told)
        assert sample is not None
        return sample


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_another_clock_of_the_peer_is_no_queue_and_what_arrives_is_told_by_it_alone(jump: float) -> None:
    told = Told()
    told.go(5, lambda now: now + 7200)
    for _ in range(20):
        sample = told.go(0.2, lambda now: now + 7200 + jump)
        assert sample.queue == pytest.approx(0.0, abs=1e-6)
    assert sample.delivered == pytest.approx(50 * 160 * 8, rel=0.05)


@pytest.mark.parametrize("lie", [86_400.0, -86_400.0])
def test_one_moment_that_cannot_be_true_is_forgotten_with_the_next_that_can(lie: float) -> None:
    told = Told()
    told.go(5, lambda now: now)
    told.go(0.1, lambda now: now + lie)
    sample = told.go(2, lambda now: now)
    assert sample.queue == pytest.approx(0.0, abs=1e-6)
    assert sample.delivered == pytest.approx(50 * 160 * 8, rel=0.05)


def test_times_that_step_ahead_and_back_again_are_forgotten_as_one_step_is() -> None:
    """No step is as long as that to another clock: a quarter of an hour ahead, and back where it was."""
    told = Told()
    told.go(5, lambda now: now)
    told.go(4, lambda now: now + 200 * (now - 5))
    told.go(4, lambda now: now + 200 * (13 - now))
    sample = told.go(40, lambda now: now)
    assert sample.delivered == pytest.approx(50 * 160 * 8, rel=0.05)


def test_one_moment_a_little_ahead_is_forgotten_though_many_packets_follow_before_it() -> None:
    """As in a call with pictures: 200 packets in a second."""
    told = Told()
    told.go(5, lambda now: now + 9.5 * (now > 4.95))
    for _ in range(2400):
        told.sent.add(told.number % 65_536, 160, told.now)
        sample = told.meter.feedback([(told.number % 65_536, told.now)])
        told.number += 1
        told.now += 0.005
    assert sample is not None
    assert sample.delivered == pytest.approx(200 * 160 * 8, rel=0.05)


def test_a_peer_to_whom_all_packets_came_in_one_moment_makes_us_remember_no_more_than_what_is_sent() -> None:
    told = Told()
    told.go(60, lambda _: 5.0)
    assert len(told.meter._arrived) <= len(told.sent.packets)


def test_the_peers_clock_begins_again_after_twelve_days_and_that_is_no_other_clock() -> None:
    told = Told()
    told.go(5, lambda now: (now + WRAP_SECONDS - 6) % WRAP_SECONDS)
    sample = told.go(3, lambda now: (now + WRAP_SECONDS - 6 + 0.2) % WRAP_SECONDS)
    assert sample.queue == pytest.approx(0.2, abs=1e-6)


class SlowLink:
    """Passes packets of 160 bytes one after the other."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.free_at = 0.0

    def __call__(self, now: float) -> float:
        self.free_at = max(now, self.free_at) + 160 * 8 / self.rate
        return self.free_at


def test_of_a_link_that_has_become_slower_it_is_told_what_it_carries_now_and_the_queue_in_front_of_what_is_sent_next() -> None:
    told, link = Told(), SlowLink(200_000)
    assert told.go(5, link).ahead == pytest.approx(0.0, abs=0.01)
    link.rate, waiting, samples = 20_000, list[tuple[int, float]](), list[PathSample]()
    for _ in range(60):
        told.sent.add(told.number % 65_536, 160, told.now)
        waiting.append((told.number % 65_536, link(told.now)))
        told.number += 1
        told.now += FRAME
        come = [(number, at) for number, at in waiting if at <= told.now]
        if len(come) == 5:
            samples.append(sample := told.meter.feedback(come) or samples[-1])
            assert sample.ahead == pytest.approx(link.free_at - told.now, abs=0.12)
            waiting = waiting[5:]
    assert len(samples) == 3
    assert {round(sample.delivered or 0) for sample in samples} == {20_000}


def test_what_is_told_as_missing_and_comes_after_others_is_not_lost() -> None:
    """Each fifth packet is overtaken by the four that follow, and told of with the next ones."""
    told = Told()
    late: int | None = None
    for _ in range(60):
        numbers: list[tuple[int, float | None]] = [] if late is None else [(late, told.now + 0.02)]
        late = told.number % 65_536
        for step in range(5):
            told.sent.add(told.number % 65_536, 160, told.now)
            numbers.append((told.number % 65_536, told.now if step else None))
            told.number += 1
            told.now += FRAME
        sample = told.meter.feedback(numbers)
        assert sample is not None
        assert sample.loss == 0.0


def test_what_is_told_as_missing_and_never_comes_is_lost() -> None:
    told = Told()
    for _ in range(30):
        numbers: list[tuple[int, float | None]] = []
        for step in range(5):
            told.sent.add(told.number % 65_536, 160, told.now)
            numbers.append((told.number % 65_536, told.now if step else None))
            told.number += 1
            told.now += FRAME
        sample = told.meter.feedback(numbers)
    assert sample is not None
    assert sample.loss == pytest.approx(0.2, abs=0.03)
