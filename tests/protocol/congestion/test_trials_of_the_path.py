"""When the path is tried for more, and what a queue is put down to, on traces of looks at it."""

from itertools import pairwise

import pytest

from sinchphone.protocol.congestion.controller import DRAINING_FLOOR, FLOOR, CongestionController
from sinchphone.protocol.congestion.meters import PathSample
from tests.protocol.congestion.test_congestion_controller import Path


def look(
    queue: float = 0.0, *, sent: float, delivered: float | None = None, growth: float = 0.0, loss: float = 0.0, link: float | None = None
) -> PathSample:
    """All that was sent comes, unless it's said."""
    comes = sent if delivered is None else delivered
    return PathSample(queue=queue, delay=queue, growth=growth, loss=loss, sent=sent, delivered=comes, link=link)


def until_tried(path: Path) -> float:
    """The budget of the first trial after a queue."""
    usual = path.controller.budget
    for _ in range(100):
        path.go(0.1)
        if path.controller.budget > usual:
            return path.controller.budget
    raise AssertionError("the path wasn't tried")


@pytest.fixture
def narrow() -> Path:
    """A link of 50 kbit/s that nothing is told of, after a queue: it's known what it carries."""
    path = Path(50_000, told=False)
    while path.controller.steady != pytest.approx(0.92 * 50_000) or path.controller.budget != path.controller.steady:
        path.go(0.1)
        assert path.now < 60
    return path


def test_who_says_little_doesnt_have_the_path_tried(narrow: Path) -> None:
    budgets: list[float] = []
    narrow.wanted = 8_000
    narrow.go(20, lambda: budgets.append(narrow.controller.budget))
    assert min(budgets) == max(budgets) == pytest.approx(46_000)


def test_a_pause_in_a_trial_says_nothing_of_what_the_path_carries(narrow: Path) -> None:
    assert until_tried(narrow) == pytest.approx(1.12 * 50_000)
    narrow.wanted = 5_000
    narrow.go(2)
    assert narrow.controller.budget == narrow.controller.steady == pytest.approx(46_000)


def test_three_trials_in_a_row_that_are_carried_show_that_the_path_is_another_one(narrow: Path) -> None:
    """The last one is larger: what carries so much more is no chance."""
    narrow.capacity, narrow.wanted = 1_000_000, 200_000
    budgets = [until_tried(narrow)]
    for _ in range(40):
        narrow.go(0.1)
        if narrow.controller.budget != budgets[-1]:
            budgets.append(narrow.controller.budget)
    assert budgets[:3] == [pytest.approx(50_000 * 1.12), pytest.approx(50_000 * 1.12**2), pytest.approx(50_000 * 1.12**2 * 1.35)]
    assert budgets[-1] > budgets[2]


def test_trials_end_at_what_the_link_is_known_to_carry(narrow: Path) -> None:
    """The first one is carried; the next would be 62.7 kbit/s."""
    narrow.capacity, narrow.told = 60_000, True
    assert until_tried(narrow) == pytest.approx(56_000)
    tried, begun = [], len(narrow.queues)
    narrow.go(20, lambda: tried.append(narrow.controller.budget))
    assert max(tried) <= 60_000
    assert max(narrow.queues[begun:]) == 0
    assert tried[-1] == pytest.approx(0.92 * 60_000)


def test_after_a_standstill_the_first_trial_is_of_more_than_speech_needs() -> None:
    """Though next to nothing came through: as much is sent at any rate."""
    controller, now = CongestionController(), 1.0
    for _ in range(3):
        controller.judge(look(0.3, sent=DRAINING_FLOOR, delivered=2_000), now)
        now += 0.1
    budgets = []
    for _ in range(40):
        controller.judge(look(sent=controller.budget), now)
        budgets.append(controller.budget)
        now += 0.1
    assert max(budgets[:25]) == pytest.approx(FLOOR)
    assert max(budgets[25:29]) == pytest.approx(1.12 * FLOOR)


@pytest.mark.parametrize(("each", "theirs"), [(0.4, True), (1.0, False)])
def test_a_queue_that_stays_too_long_is_of_others_only_where_looks_are_frequent(each: float, theirs: bool) -> None:
    """What is told once in a second is of what was: a queue of ours may go meanwhile, and does so here."""
    controller = CongestionController()
    controller.judge(look(sent=60_000), 10.0)
    controller.judge(look(0.2, sent=60_000, delivered=24_000, growth=0.5), 10.0 + each)
    controller.judge(look(0.19, sent=12_000, delivered=24_000, growth=-0.04), 10.0 + 2 * each)
    controller.judge(look(0.15, sent=6_000, delivered=24_000, growth=-0.04), 10.0 + 3 * each)
    assert controller.is_beside_others(10.0 + 3 * each) == theirs


def test_a_trial_that_fails_is_followed_by_a_longer_wait(narrow: Path) -> None:
    begun: list[float] = []
    for _ in range(300):
        before = narrow.controller.budget
        narrow.go(0.1)
        if before < 50_000 < narrow.controller.budget:
            begun.append(narrow.now)
    first, second, third = (later - earlier for earlier, later in pairwise(begun[:4]))
    assert first + 0.5 < second < third + 0.3 < 8


def test_a_link_that_looks_slower_than_what_is_carried_was_only_busy() -> None:
    """A little slower it may be."""
    for link, budget in ((30_000, 44_000), (38_000, 0.92 * 38_000)):
        controller = CongestionController()
        controller.judge(look(sent=44_000, link=link), 1.0)
        assert controller.budget == pytest.approx(budget)


def test_more_of_which_nothing_arrives_is_taken_back_once_that_lasts() -> None:
    """Packets get lost by chance, too: once, and again a moment later."""
    controller = CongestionController()
    controller.judge(look(sent=40_000), 1.0)
    for now, is_full in ((1.5, True), (1.6, False), (2.7, True)):
        controller.judge(look(sent=60_000, delivered=41_000 if is_full else 60_000, loss=0.3 * is_full), now)
        assert not controller.congested_since(0.0)
    for now in (3.0, 3.4, 3.8):
        controller.judge(look(sent=60_000, delivered=41_000, loss=0.3), now)
    assert controller.congested_since(3.8)
    assert controller.budget == pytest.approx(0.92 * 41_000)


@pytest.mark.parametrize(("growth", "less"), [(0.0, True), (-0.2, False)])
def test_the_longer_a_queue_doesnt_get_shorter_the_less_is_sent(growth: float, less: bool) -> None:
    controller, budgets = CongestionController(), []
    for step in range(10):
        controller.judge(look(0.2, sent=60_000, delivered=60_000, growth=growth), 10.0 + 0.1 * step)
        budgets.append(controller.budget)
    assert (budgets[-1] < 0.7 * budgets[0]) == less
    assert (budgets[-1] == pytest.approx(budgets[0])) != less


@pytest.mark.parametrize(("later", "carries"), [(5.0, 26_000), (12.0, 30_000)])
def test_a_new_queue_soon_after_the_last_is_found_at_what_arrives_and_later_at_what_the_link_carries(later: float, carries: float) -> None:
    """A loud moment may have been too much for the link where nobody else is; where there was a queue just now it's what is left of it."""
    controller = CongestionController()
    controller.judge(look(0.2, sent=60_000, delivered=26_000, link=30_000), 20.0)
    controller.judge(look(sent=20_000, link=30_000), 20.1)
    controller.judge(look(0.2, sent=40_000, delivered=26_000, link=30_000), 20.1 + later)
    assert controller.steady == pytest.approx(0.92 * carries)


def test_a_deep_queue_that_goes_is_ours_however_long_that_takes() -> None:
    controller = CongestionController()
    controller.judge(look(sent=60_000), 10.0)
    for step in range(1, 50):
        controller.judge(look(3.0 - 0.05 * step, sent=12_000, delivered=24_000, growth=-0.5), 10.0 + 0.1 * step)
        assert not controller.is_beside_others(10.0 + 0.1 * step)


@pytest.mark.parametrize(("again", "theirs"), [(18_000, True), (22_000, False)])
def test_a_queue_that_is_back_isnt_of_others_where_more_is_sent_than_was_carried(again: float, theirs: bool) -> None:
    """Though their packets are seen in it."""
    controller = CongestionController()
    for now, queue, sent in ((1.0, 0.2, 40_000), (1.1, 0.2, 22_000), (1.2, 0.0, 15_000), (1.4, 0.2, again)):
        sample = PathSample(queue=queue, delay=queue, growth=0.0, loss=0.0, sent=sent, delivered=22_000, others=0.5, shared_link=40_000)
        controller.judge(sample, now)
    assert controller.is_beside_others(1.4) == theirs


def test_into_a_queue_of_others_is_sent_however_long_it_is() -> None:
    """It doesn't go though nothing is sent."""
    for share, held in ((0.5, False), (0.0, True)):
        controller = CongestionController()
        for now, queue, sent in ((1.0, 0.2, 40_000), (1.1, 0.2, 22_000), (1.2, 0.0, 15_000), (1.4, 0.2, 18_000), (1.5, 1.0, 60_000)):
            sample = PathSample(
                queue=queue, delay=queue, growth=0.0, loss=0.0, sent=sent, delivered=22_000, others=share, shared_link=40_000
            )
            controller.judge(sample, now)
        assert controller.is_held(1.5) == held
