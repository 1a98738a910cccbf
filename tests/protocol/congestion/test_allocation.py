"""Sound before pictures, equals alike, and never more than there is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.congestion.allocation import Demand, Priority, allocate


def sound(most: float = 70_000.0, least: float = 0.0) -> Demand:
    return Demand(priority=Priority.SOUND, least=least, most=most)


def pictures(least: float = 40_000.0, most: float = 1_000_000.0) -> Demand:
    return Demand(priority=Priority.PICTURES, least=least, most=most)


def test_sound_gets_all_that_it_can_use_and_pictures_the_rest() -> None:
    assert allocate(300_000, {1: pictures(), 2: sound()}) == {1: 230_000, 2: 70_000}


def test_pictures_stop_where_what_is_left_is_of_no_use_to_them() -> None:
    assert allocate(100_000, {1: sound(), 2: pictures()}) == {1: 70_000, 2: 0}


def test_sound_gets_what_there_is_even_if_it_is_too_little() -> None:
    assert allocate(15_000, {1: sound(least=18_000), 2: pictures()}) == {1: 15_000, 2: 0}


def test_equals_share_evenly_and_what_one_does_not_need_is_the_others() -> None:
    assert allocate(400_000, {1: pictures(), 2: pictures()}) == {1: 200_000, 2: 200_000}
    assert allocate(400_000, {1: pictures(most=90_000), 2: pictures()}) == {1: 90_000, 2: 310_000}


def test_of_equals_that_do_not_all_fit_the_most_demanding_one_gets_nothing() -> None:
    assert allocate(100_000, {1: pictures(least=40_000), 2: pictures(least=60_000)}) == {1: 100_000, 2: 0}


@pytest.mark.parametrize("budget", [0.0, -1.0, 50_000.0, math.inf])
def test_nobody_asks_nobody_gets(budget: float) -> None:
    assert allocate(budget, {}) == {}


AMOUNT = st.floats(0, 1e7)
DEMAND = st.builds(
    lambda priority, least, more: Demand(priority=priority, least=least, most=least + more), st.sampled_from(Priority), AMOUNT, AMOUNT
)


@given(AMOUNT, st.dictionaries(st.integers(0, 9), DEMAND, max_size=6))
def test_nobody_gets_more_than_it_wants_nor_all_together_more_than_there_is(budget: float, demands: dict[int, Demand]) -> None:
    shares = allocate(budget, demands)
    assert shares.keys() == demands.keys()
    assert sum(shares.values()) <= budget * (1 + 1e-9) + 1e-6
    for stream, demand in demands.items():
        assert 0 <= shares[stream] <= demand.most
        assert not shares[stream] or shares[stream] >= demand.least or demand.priority == Priority.SOUND
