"""Calls as they are counted: each once, by how far it got and how it ended."""

import pytest

from sinchphone.exchange.record.counts import CallCounts
from sinchphone.histogram import Histogram
from sinchphone.protocol.call.states import Cause, State


def test_a_call_is_counted_in_each_state_and_once_at_its_end() -> None:
    counts = CallCounts()
    counts.placed("one", "mxp", 100.0)
    counts.placed("two", "pstn", 100.0)
    assert counts.going_on() == {("mxp", State.PROGRESSING): 1, ("pstn", State.PROGRESSING): 1}
    counts.rang("one", 100.2)
    assert counts.going_on() == {("mxp", State.RINGING): 1, ("pstn", State.PROGRESSING): 1}
    counts.answered("one", 103.0)
    assert counts.going_on() == {("mxp", State.ANSWERED): 1, ("pstn", State.PROGRESSING): 1}
    for call in ("one", "two", "one"):
        counts.over(call, Cause.HUNG_UP)
    assert (counts.going_on(), counts.ended) == ({}, {("mxp", Cause.HUNG_UP): 1, ("pstn", Cause.HUNG_UP): 1})


def test_how_long_it_took_is_noted_once_whoever_says_it_again() -> None:
    counts = CallCounts()
    counts.placed("one", "mxp", 100.0)
    for now in (100.2, 101.0):
        counts.rang("one", now)
    for now in (103.0, 110.0):
        counts.answered("one", now)
    counts.rang("one", 111.0)
    assert counts.ringing_seconds.sum == pytest.approx(0.2)
    assert counts.answer_seconds.sum == pytest.approx(3.0)
    assert (counts.ringing_seconds.cumulative()[-1], counts.answer_seconds.cumulative()[-1]) == (1, 1)


def test_who_answers_without_ringing_has_rung_at_the_answer() -> None:
    counts = CallCounts()
    counts.placed("one", "mxp", 100.0)
    counts.answered("one", 100.5)
    assert (counts.ringing_seconds.sum, counts.answer_seconds.sum) == (0.5, 0.5)


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    counts = CallCounts()
    counts.placed("one", "mxp", 100.0)
    counts.answered("one", 40.0)
    assert (counts.ringing_seconds.sum, counts.answer_seconds.sum) == (0.0, 0.0)


def test_a_part_of_a_call_and_a_call_that_is_over_count_for_nothing() -> None:
    counts = CallCounts()
    for tell in (counts.rang, counts.answered):
        tell("part", 1.0)
    counts.over("part", Cause.FAILURE)
    assert (counts.going_on(), counts.ended, counts.answer_seconds.cumulative()[-1]) == ({}, {}, 0)


def test_a_call_that_is_placed_by_two_who_know_it_is_one() -> None:
    counts = CallCounts()
    counts.placed("one", "pstn", 100.0)
    counts.answered("one", 101.0)
    counts.placed("one", "pstn", 105.0)
    assert counts.going_on() == {("pstn", State.ANSWERED): 1}


@pytest.mark.parametrize(
    ("value", "cumulative"), [(0.0, [1, 1, 1]), (1.0, [1, 1, 1]), (1.5, [0, 1, 1]), (2.0, [0, 1, 1]), (9.0, [0, 0, 1])]
)
def test_a_value_is_among_those_up_to_each_bound_that_it_does_not_pass(value: float, cumulative: list[int]) -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.note(value)
    assert (histogram.cumulative(), histogram.sum) == (cumulative, value)
