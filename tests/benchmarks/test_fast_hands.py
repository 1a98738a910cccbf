"""Whoever only looks doesn't wait for what a call needs."""

import fast_hands
import pytest

WORDS = ("call- Tab", "call @m Tab", "call bo Tab", "call --in Tab")
LIMITS = {"--help": 1.5, "history": 2.0, **dict.fromkeys(WORDS, 1.5)}


def test_quick_commands_cost_little_more_than_their_libraries() -> None:
    found = fast_hands.measure(2, unmeasured=0)
    for _ in range(2):
        if all(found.ratio(name) <= limit for name, limit in LIMITS.items()):
            break
        found = found.at_best(fast_hands.measure(6, unmeasured=0))
    print(fast_hands.report(found))
    assert {name: found.ratio(name) for name, limit in LIMITS.items() if found.ratio(name) > limit} == {}


@pytest.mark.parametrize("name", ["history", "--help"])
def test_no_loop_is_imported_where_nobody_is_asked(name: str) -> None:
    import startup

    assert not {"asyncio", "ssl"} & startup.imported(*([name, "--user", "nobody"] if name == "history" else [name]))
