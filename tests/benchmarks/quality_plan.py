"""Which rows the benchmark of sound makes, how long each takes, and which of them a limit leaves out."""

from collections.abc import Callable, Sequence
from functools import cache

import quality_rows as rows
from figures import table
from line import named
from quality_calls import AFTER_S, can_take
from quality_run import FIRST_SEED, said_in, shortest_s, width

AROUND_S = 6.0  # a call: starting both ends and ending them
JUDGED_S = 0.5  # a sentence: PESQ and the search for it


def keys(version: str, chosen: str, lines: Sequence[str], seeds: int, sentences: int) -> list[rows.Key]:
    """All lines with one seed, then with the next. A call that is long anyway has enough sentences for all seeds: it's made once."""
    numbers = range(FIRST_SEED[chosen], FIRST_SEED[chosen] + seeds)
    each = [rows.Key(version, chosen, line, number, sentences) for number in numbers for line in lines]
    return [key for key in each if key.seed == FIRST_SEED[chosen] or not shortest_s(named(key.line))]


def seconds(key: rows.Key, systems: Sequence[str], at_once: int, spoken_s: float) -> float:
    """What a row takes where no call is made again."""
    calls = sum(can_take(system, named(key.line)) for system in systems)
    waves = -(-calls // width([named(key.line)], at_once))
    repeated = max(1.0, shortest_s(named(key.line)) / spoken_s)
    return waves * (max(spoken_s, shortest_s(named(key.line))) + AFTER_S + AROUND_S) + calls * key.sentences * repeated * JUDGED_S


def spoken_s(key: rows.Key) -> float:
    """How long the sentences of a row are, once."""
    return _length_s(key.set, key.seed, key.sentences)


@cache
def _length_s(chosen: str, seed: int, sentences: int) -> float:
    return said_in(rows.Key("", chosen, "clean", seed, sentences)).seconds


def told(
    wanted: Sequence[rows.Key], systems: Sequence[str], at_once: int, minutes: float, spoken_s: Callable[[rows.Key], float] = spoken_s
) -> str:
    """The rows in the order in which they are measured, when each of them is over, and what is left out."""
    taken: dict[str, list[float | str]] = {}
    left: list[str] = []
    total = 0.0
    for key in wanted:
        name, took = f"{key.line}, {key.seed}", seconds(key, systems, at_once, spoken_s(key))
        if total + took > 60 * minutes:
            left.append(name)
        else:
            total += took
            taken[name] = [f"{took:.0f}", f"{total / 60:.1f}"]
    parts = [table("row", ["seconds", "over after min"], taken), f"\n{len(taken)} rows, {total / 60:.0f} minutes."]
    return "\n".join([*parts, *([f"{len(left)} are left out: {'; '.join(left)}."] if left else [])])
