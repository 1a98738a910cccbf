"""Allowances: used up, and back with time."""

import importlib.util

from sinchphone.exchange.access import limits
from sinchphone.exchange.access.limits import Allowances
from sinchphone.exchange.directory.passwords import hash_password, is_password


def test_an_allowance_is_used_up_and_comes_back_with_time() -> None:
    some: Allowances[str] = Allowances(2, 0.5)
    assert [some.take("ada", 0.0) for _ in range(3)] == [True, True, False]
    assert not some.take("ada", 1.0)
    assert some.take("ada", 2.0)
    assert [some.take("ada", 1000.0) for _ in range(3)] == [True, True, False]


def test_everybody_has_an_allowance_of_their_own() -> None:
    some: Allowances[str] = Allowances(1, 0.1)
    assert some.take("ada", 0.0)
    assert some.take("bob", 0.0)
    assert not some.has("ada", 0.0)


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    some: Allowances[str] = Allowances(2, 1.0)
    assert some.take("ada", 100.0)
    assert some.take("ada", 50.0)
    assert not some.has("ada", 50.0)


def test_only_those_who_asked_last_are_remembered() -> None:
    some: Allowances[int] = Allowances(1, 0.0)
    for who in range(limits.MAX_ASKERS + 10):
        some.take(who, 0.0)
    assert some.has(0, 0.0)
    assert not some.has(limits.MAX_ASKERS + 9, 0.0)


def test_a_password_costs_what_rfc_7914_and_its_readers_ask_for() -> None:
    found = importlib.util.find_spec(hash_password.__module__)
    assert found is not None
    assert found.loader is not None
    fresh = importlib.util.module_from_spec(found)  # tests have made the other one cheap
    found.loader.exec_module(fresh)
    _, log2_cost, blocks, runs, _, _ = fresh.hash_password("not-a-secret").split("$")
    assert (log2_cost, blocks, runs) == ("15", "8", "3")


def test_a_password_is_kept_with_a_salt_of_its_own_and_recognised() -> None:
    first, second = hash_password("not-a-secret"), hash_password("not-a-secret")
    assert first != second
    assert "not-a-secret" not in first
    assert is_password("not-a-secret", first)
    assert not is_password("not-a-secreT", first)
