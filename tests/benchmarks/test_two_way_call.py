"""What comes back of the peer neither hides a queue of ours nor is taken for one."""

import pytest
from line import Condition
from two_way_call import FREE, MOVED, MOVED_AT, MOVES, falls, measure, move
from virtual_call import Terms, longest_wait, rate

REPORT_S = (1.0, 5.0)


@pytest.mark.parametrize("report_s", REPORT_S)
@pytest.mark.parametrize(("before", "after", "queue_s"), [(1000, 24, 1.0), (1000, 24, 0.3), (1000, 40, 1.0)])
@pytest.mark.parametrize("way", ["the peer talks", "it returns our packets", "it forwards sound"])
def test_a_queue_of_ours_goes_soon_whatever_the_peer_sends(way: str, before: float, after: float, queue_s: float, report_s: float) -> None:
    call = measure(report_s, falls(before, after, queue_s), way, 2)
    assert longest_wait(call.waiting) <= 2.3
    assert 0.75 * after < rate(call, 18, 30) < 1.05 * after


@pytest.mark.parametrize("report_s", REPORT_S)
@pytest.mark.parametrize("queue_s", [0.3, 1.0])
def test_sound_of_a_third_party_that_comes_late_to_the_peer_hides_none(queue_s: float, report_s: float) -> None:
    call = measure(report_s, falls(1000, 32, queue_s, at=17.0), "that comes late", 2)
    assert longest_wait(call.waiting) <= 2.3


@pytest.mark.parametrize("report_s", REPORT_S)
def test_a_way_back_that_is_full_for_ten_seconds_takes_nothing_from_a_line_that_is_fast(report_s: float) -> None:
    call = measure(report_s, FREE, "way back narrow", 2)
    assert longest_wait(call.waiting_back) > 5
    assert rate(call, 5, 29) > 60


@pytest.mark.parametrize("terms", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("condition", MOVED, ids=lambda each: each.name)
def test_a_longer_path_that_the_call_moves_to_is_no_queue_and_one_of_its_own_is_seen(condition: Condition, terms: Terms) -> None:
    call = move(terms, condition, 2)
    (_, _), (_, after) = condition.kbps
    assert longest_wait(call.waiting[round(50 * MOVED_AT) :]) <= 2.8
    assert 0.75 * min(after, 65) < rate(call, MOVED_AT + 4, MOVED_AT + 12) < 1.05 * min(after, 80)
