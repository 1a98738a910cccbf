"""The budget on a virtual clock, over a path that is a number of bits a second and a queue."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.congestion.controller import DRAINING_FLOOR, CongestionController
from sinchphone.protocol.congestion.meters import PathSample

STEP = 0.1


@dataclass
class Path:
    """Carries ``capacity`` bit/s, keeps ``most`` seconds of queue; ``wanted`` bit/s are sent where the budget allows it."""

    capacity: float
    most: float = 0.3
    wanted: float = 70_000.0
    extra_delay: float = 0.0
    line_loss: float = 0.0
    told: bool = True  # how fast the link is
    controller: CongestionController = field(default_factory=CongestionController)
    now: float = 0.0
    queue: float = 0.0
    queues: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    _base: float = 0.0

    def go(self, seconds: float, each: Callable[[], None] = lambda: None) -> "Path":
        for _ in range(round(seconds / STEP)):
            each()
            self.now += STEP
            sent = min(self.wanted, self.controller.budget)
            before = self.queue
            grown = before + STEP * (sent / self.capacity - 1)
            self.queue = min(self.most, max(0.0, grown))
            dropped = max(0.0, grown - self.most) / (STEP * sent / self.capacity)
            loss = 1 - (1 - dropped) * (1 - self.line_loss)
            delivered = min(sent, self.capacity) if before or self.queue else sent
            delay = max(0.0, self.queue + self.extra_delay - self._base)
            sample = PathSample(
                queue=delay,
                delay=delay,
                growth=(self.queue - before) / STEP,
                loss=loss,
                sent=sent,
                delivered=delivered * (1 - self.line_loss),
                link=self.capacity if self.told else None,
            )
            if self.controller.judge(sample, self.now):
                self._base = self.queue + self.extra_delay
            self.queues.append(self.queue)
            self.rates.append(sent)
        return self

    def longest(self, over: float = 0.1) -> float:
        """Seconds that a longer queue stood there."""
        best = run = 0
        for queue in self.queues:
            run = run + 1 if queue > over else 0
            best = max(best, run)
        return best * STEP


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("told", [True, False])
def test_a_path_that_carries_all_is_soon_asked_for_all_and_never_for_more(told: bool) -> None:
    path = Path(1_000_000, told=told).go(60)
    assert set(path.rates[30:]) == {70_000.0}
    assert path.controller.budget <= 115_000


@pytest.mark.parametrize("capacity", [60_000, 64_000, 80_000, 100_000])
def test_a_link_that_is_known_is_never_filled(capacity: float) -> None:
    path = Path(capacity, wanted=120_000).go(60)
    assert max(path.queues) == 0.0
    assert mean(path.rates[100:]) > 0.9 * capacity


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("most", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("capacity", [24_000, 40_000, 64_000])
def test_a_queue_of_ours_does_not_stand_for_two_seconds_and_the_path_is_used(capacity: float, most: float, told: bool) -> None:
    path = Path(capacity, most, told=told).go(60)
    assert path.longest() <= 2.0
    assert mean(path.rates[100:]) > 0.85 * capacity
    assert mean(path.queues[100:]) < 0.03


def test_a_link_that_was_taken_for_a_little_slower_is_used_all_the_same() -> None:
    path = Path(24_000).go(20.0)
    path.controller._capacity = 22_000.0
    path.controller._budget = 0.92 * 22_000
    path.go(10.0)
    assert path.rates[-1] == pytest.approx(0.92 * 24_000, rel=0.01)
    assert path.longest() < 2


def test_a_path_that_narrows_in_mid_call_is_followed_at_once() -> None:
    path = Path(200_000, wanted=120_000).go(20)
    path.capacity = 50_000
    path.go(30)
    assert path.longest() <= 2.0
    assert mean(path.rates[-200:]) == pytest.approx(0.95 * 50_000, rel=0.1)


@pytest.mark.parametrize("wider", [2.0, 4.0])
def test_a_path_that_widens_is_used_again_within_ten_seconds(wider: float) -> None:
    path = Path(50_000, wanted=90_000).go(30)
    path.capacity *= wider
    path.go(10)
    assert path.rates[-1] > 75_000


def test_loss_alone_does_not_lower_the_rate() -> None:
    path = Path(1_000_000, line_loss=0.2).go(30)
    assert set(path.rates[5:]) == {70_000.0}
    assert not path.controller.congested_since(0.0)


def test_more_that_only_falls_out_of_a_queue_too_short_to_be_seen_is_taken_back() -> None:
    path = Path(64_000, most=0.02, wanted=60_000, told=False).go(10)
    path.wanted = 120_000
    path.go(3)
    assert mean(path.rates[-5:]) < 75_000
    assert path.controller.congested_since(10.0)


def test_a_route_that_becomes_longer_is_no_queue_for_long() -> None:
    path = Path(1_000_000).go(10)
    path.extra_delay = 0.3
    path.go(5)
    assert path.rates[-1] == 70_000
    path.extra_delay = 0.0
    path.go(5)
    assert path.rates[-1] == 70_000


def test_somebody_who_has_little_to_say_proves_little_and_is_not_taken_for_congested() -> None:
    path = Path(300_000, wanted=4_000).go(60)
    assert path.controller.budget <= 115_000
    assert not path.controller.congested_since(0.0)


def test_steps_up_are_small_and_watched_where_nothing_tells_how_fast_the_link_is() -> None:
    path = Path(50_000, wanted=500_000, told=False).go(40)
    path.capacity = 1_000_000
    before = path.rates[-1]
    path.go(30)
    for rate in path.rates[400:]:
        assert rate <= 1.5 * max(before, 50_000) + 1
        before = max(before, rate)


@pytest.mark.parametrize(
    ("usual", "delay", "growth", "delivered", "carried"),
    [
        (58_000, 0.4, 0.3, 40_000, 36_800),
        (58_000, 0.4, 0.3, 58_000, 53_360),
        (40_000, 0.1, 0.1, 40_000, 36_800),
        (58_000, 0.1, 0.1, 40_000, None),
        (58_000, 0.4, 0.0, 40_000, None),
        (58_000, 0.1, 0.3, 57_000, None),
    ],
)
def test_one_report_alone_of_a_queue_that_grows_is_reason_to_send_no_more_than_comes(
    usual: float, delay: float, growth: float, delivered: float, carried: float | None
) -> None:
    """A long one, or a shorter one where less comes than was sent and more was sent than usual: else the line only stood for a moment."""
    controller = CongestionController()
    for second in range(1, 9):
        rate = min(controller.budget, usual)
        clear = PathSample(queue=0.0, delay=0.0, growth=0.0, loss=0.0, sent=rate, delivered=rate)
        controller.judge(clear, float(second))
    before = controller.budget
    controller.judge(PathSample(queue=0.015, delay=delay, growth=growth, loss=0.0, sent=58_000, delivered=delivered), 9.0)
    assert controller.budget == pytest.approx(before if carried is None else carried)
    assert not controller.congested_since(0.0)


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_first_report_of_a_queue_through_which_less_comes_than_was_sent_is_believed_at_once(loss: float) -> None:
    controller = CongestionController()
    controller.judge(PathSample(queue=0.0, delay=0.2, growth=0.0, loss=loss, sent=36_000, delivered=24_000), 1.0)
    assert controller.budget == pytest.approx(0.92 * 24_000)


def test_what_was_not_sent_is_tried_in_steps_where_nothing_tells_how_fast_the_link_is() -> None:
    """A codec that spends less than it may shows no more than that."""
    controller = CongestionController()
    for second in range(1, 8):
        before = sent = 0.8 * controller.budget
        controller.judge(PathSample(queue=0.0, delay=0.0, growth=0.0, loss=0.0, sent=sent, delivered=sent), float(second))
        assert controller.budget <= max(44_000, 1.3 * before)


@pytest.mark.parametrize(("link", "loss", "share"), [(64_000, 0.2, 55_000), (36_000, 0.2, 50_400), (50_000, 0.5, 30_000)])
def test_beside_others_who_keep_the_queue_full_we_take_a_share_and_lose_by_the_line(link: int, loss: float, share: float) -> None:
    """Less than speech needs would only leave more to them; not much more than the link, and little where half of it gets lost."""
    path = Path(link, wanted=70_000)
    waits = itertools.cycle([0.30, 0.22, 0.28, 0.05, 0.31, 0.18, 0.30])
    for _ in range(200):
        path.now += STEP
        queue = next(waits)
        told = PathSample(queue=queue, delay=queue, growth=0.0, loss=loss, sent=path.controller.budget, delivered=20_000, link=link)
        path.controller.judge(told, path.now)
    assert path.controller.budget == pytest.approx(share)
    assert not path.controller.congested_since(path.now - 5)


def congested(queue: float, ahead: float = 0.0, *, sent: float = 70_000.0, growth: float = 0.5) -> PathSample:
    """A queue of ours over a link of 24 kbit/s."""
    return PathSample(queue=queue, delay=queue, growth=growth, loss=0.0, sent=sent, delivered=24_000, ahead=ahead)


@pytest.mark.parametrize(("ahead", "held"), [(0.3, 0.0), (0.7, 0.4), (3.0, 0.6)])
def test_nothing_is_sent_into_a_queue_so_long_that_it_comes_too_late_but_not_for_long(ahead: float, held: float) -> None:
    controller = CongestionController()
    controller.judge(congested(0.1, ahead), 10.0)
    assert controller.budget == DRAINING_FLOOR
    assert controller.is_held(10.0 + held - 0.01) == (held > 0)
    assert not controller.is_held(10.0 + held + 0.01)


def test_what_comes_through_of_little_that_is_sent_while_hardly_a_queue_is_left_says_nothing_of_the_capacity() -> None:
    controller = CongestionController()
    controller.judge(congested(0.3), 10.0)
    little = PathSample(queue=0.03, delay=0.03, growth=0.0, loss=0.0, sent=15_000, delivered=15_000)
    for step in range(1, 4):
        controller.judge(little, 10.0 + step * STEP)
    clear = PathSample(queue=0.0, delay=0.0, growth=0.0, loss=0.0, sent=15_000, delivered=15_000)
    controller.judge(clear, 10.5)
    assert controller.budget == pytest.approx(0.92 * 24_000)


def test_a_queue_that_comes_back_soon_after_a_fall_is_not_taken_for_that_of_others() -> None:
    """What came through before the fall, and would have drained it long since, is not what the link carries."""
    controller, fast = CongestionController(), PathSample(queue=0.0, delay=0.0, growth=0.0, loss=0.0, sent=60_000, delivered=60_000)
    samples = [
        fast,
        congested(0.2),
        congested(0.1, growth=-0.4, sent=16_000),
        PathSample(queue=0.0, delay=0.0, growth=0.0, loss=0.0, sent=16_000, delivered=24_000),
        congested(0.03, sent=25_000),
    ]
    for step, sample in enumerate([*samples, congested(0.07, sent=25_000, growth=0.1), congested(0.08, sent=25_000, growth=0.1)]):
        controller.judge(sample, 10.0 + 0.4 * step)
    assert not controller.is_beside_others(13.0)


@dataclass
class Shared:
    """A queue of 0.3 s that others keep full, whatever we send: of that so much comes through, by turns."""

    shares: tuple[float, ...]
    carried: float = 40_000.0  # before they came
    controller: CongestionController = field(default_factory=CongestionController)
    now: float = 0.0
    _base: float = 0.0

    def go(self, seconds: float, *, loss: float) -> "Shared":
        shares = itertools.cycle(self.shares)
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            queue, sent = (0.3 if loss or self.now > 2 else 0.0), min(self.carried, self.controller.budget)
            delay, delivered = queue - self._base, sent * next(shares)
            told = PathSample(queue=delay, delay=delay, growth=0.0, loss=loss, sent=sent, delivered=delivered)
            if self.controller.judge(told, self.now):
                self._base = queue
        return self


def test_a_queue_that_stays_though_less_is_sent_than_was_carried_is_soon_believed_to_be_of_others() -> None:
    """They need not even make us lose anything; a queue of ours would be gone by then."""
    shared = Shared((1.0,)).go(3.5, loss=0.0)
    assert shared.controller.is_beside_others(shared.now)
    assert shared.controller.budget == 55_000


@pytest.mark.parametrize(("others", "known"), [(0.5, True), (0.1, False)])
def test_a_queue_that_is_back_at_once_is_of_others_where_their_packets_are_seen_in_it(others: float, known: bool) -> None:
    """No more is sent than was carried before; one look at it is enough."""
    controller = CongestionController()
    for now, queue, sent in ((1.0, 0.2, 40_000), (1.1, 0.2, 22_000), (1.2, 0.0, 15_000), (1.4, 0.2, 18_000), (1.5, 0.2, 18_000)):
        told = PathSample(queue=queue, delay=queue, growth=0.0, loss=0.0, sent=sent, delivered=22_000, others=others, shared_link=40_000)
        controller.judge(told, now)
    assert controller.is_beside_others(1.5) == known
    assert (controller.budget == 55_000) == known


def test_others_are_not_looked_for_in_a_first_queue_which_sending_less_may_drain() -> None:
    controller = CongestionController()
    for now in (1.0, 1.1, 1.2):
        told = PathSample(queue=0.2, delay=0.2, growth=0.0, loss=0.3, sent=44_000, delivered=30_000, others=0.6, shared_link=75_000)
        controller.judge(told, now)
    assert not controller.is_beside_others(1.2)


@pytest.mark.parametrize(("link", "in_bursts"), [(80_000, True), (40_000, False)])
def test_packets_are_longer_at_once_where_the_link_is_known_to_be_faster_than_what_is_sent(link: float, in_bursts: bool) -> None:
    """Then it's packets of others that keep the queue full for a moment; on a slower link our own do, by turns."""
    controller = CongestionController()
    for now, queue, sent in ((1.0, 0.2, 40_000), (1.1, 0.2, 22_000), (1.2, 0.0, 15_000), (1.4, 0.2, 18_000), (1.5, 0.2, 18_000)):
        told = PathSample(queue=queue, delay=queue, growth=0.0, loss=0.0, sent=sent, delivered=22_000, others=0.5, shared_link=link)
        controller.judge(told, now)
    controller.judge(told, 1.6)
    assert controller.loses_in_bursts(1.6) == in_bursts


def test_as_long_as_the_queue_overflows_and_our_share_varies_others_are_there() -> None:
    shared = Shared((0.6, 0.6, 0.8, 0.8)).go(60, loss=0.3)
    assert shared.controller.is_beside_others(shared.now)
    assert shared.controller.budget == 55_000


def test_a_queue_that_overflows_by_as_much_for_long_is_drained_in_case_it_is_ours_by_now() -> None:
    shared = Shared((0.6, 0.6, 0.8, 0.8)).go(10, loss=0.3)
    shared.shares, shared.carried, rates = (0.8,), 50_000, []
    for _ in range(30):
        shared.go(1, loss=0.2)
        rates.append(shared.controller.budget)
    assert min(rates) < 30_000


@pytest.mark.parametrize(("loss", "in_bursts"), [(0.12, True), (0.3, False)])
def test_where_others_leave_us_much_longer_packets_outlast_theirs(loss: float, in_bursts: bool) -> None:
    shared = Shared((0.6, 0.6, 0.8, 0.8)).go(5, loss=loss)
    assert not shared.controller.loses_in_bursts(shared.now)
    shared.go(20, loss=loss)
    assert shared.controller.loses_in_bursts(shared.now) == in_bursts


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.floats(0, 2), st.floats(-3, 3), st.floats(0, 1), st.floats(0, 1e6), st.none() | st.floats(0, 1e6)),
        max_size=60,
    )
)
def test_whatever_is_measured_there_is_a_budget(steps: list[tuple[float, float, float, float, float, float | None]]) -> None:
    controller, now = CongestionController(), 0.0
    for later, queue, growth, loss, sent, delivered in steps:
        now += later
        controller.judge(PathSample(queue=queue, delay=queue, growth=growth, loss=loss, sent=sent, delivered=delivered), now)
        assert DRAINING_FLOOR <= controller.budget < 1e7
