"""Faults on request: which requests they meet, how often, and that they can always be ended (pure)."""

import pytest

from sinchphone.exchange.management.faults import MAX_RULES, FaultRule, Faults
from sinchphone.exchange.refusals import RefusedError


def test_a_rule_meets_its_path_and_method_so_many_times_and_no_others() -> None:
    faults = Faults()
    faults.add(FaultRule(path="/publish/*", method="POST", status=503, times=2))
    assert faults.take("GET", "/publish/a/b") is None
    assert faults.take("POST", "/subscribe/a/b") is None
    met = [faults.take("POST", "/publish/a/b") for _ in range(3)]
    assert [one.status if one else None for one in met] == [503, 503, None]
    assert len(faults) == 0


def test_a_rule_without_times_stays_until_it_is_removed_and_the_oldest_counts() -> None:
    faults = Faults()
    first = faults.add(FaultRule(path="/v1/*", status=500))
    faults.add(FaultRule(path="/v1/time", status=404))
    for _ in range(5):
        assert (faults.take("GET", "/v1/time") or first).status == 500
    assert faults.remove(first.id) and not faults.remove(first.id)
    assert (faults.take("GET", "/v1/time") or first).status == 404
    assert faults.clear() == 1 and faults.take("GET", "/v1/time") is None


@pytest.mark.parametrize("path", ["/", "/exchange", "/exchange/stop", "/__sinchphone/faults", "/__sinchphone/faults/1"])
def test_what_ends_faults_and_finds_the_exchange_never_fails(path: str) -> None:
    faults = Faults()
    faults.add(FaultRule(path="*", drop=True))
    assert faults.take("POST", path) is None


@pytest.mark.parametrize(
    ("pattern", "path", "fits"), [("/a/?", "/a/b", True), ("/a/?", "/a/bc", False), ("/a", "/A", False), ("*", "/", True)]
)
def test_patterns_are_those_of_a_shell_and_case_counts(pattern: str, path: str, fits: bool) -> None:
    assert FaultRule(path=pattern, drop=True).fits("GET", path) is fits


def test_there_is_an_end_to_how_many_there_can_be() -> None:
    faults = Faults()
    for _ in range(MAX_RULES):
        faults.add(FaultRule(path="/a", drop=True))
    with pytest.raises(RefusedError):
        faults.add(FaultRule(path="/a", drop=True))
