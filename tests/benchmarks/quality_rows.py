"""Rows of the benchmark of sound: kept one by one as JSON lines, and the tables made of them.

Intervals are of 95 %: of the mean of the paired differences (the same sentence over the same losses), by drawing sentences anew.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from figures import median, table
from quality_calls import CHROMIUM, LIBWEBRTC, OURS, OURS_EQUAL, Found
from speech import Score

DRAWS = 2000
BEHIND_PESQ, BEHIND_MS = 0.05, 5.0  # ours is behind where the whole interval is worse than that
NOT_FOR_PESQ = ("music", "two talkers")
_HARDLY_A_WORD = 1.2  # PESQ up to which no delay can be found

Interval = tuple[float, float, float]  # mean, and its bounds


@dataclass(frozen=True)
class Key:
    """What a row is of."""

    version: str
    set: str
    line: str
    seed: int
    sentences: int


@dataclass(frozen=True)
class Row:
    """What each system made of one line, in one run."""

    key: Key
    found: dict[str, Found]


class Rows:
    """Those that a file keeps; the last one of a key counts. What can't be read (a run was killed while it wrote) is measured again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        text = file.read_text("utf-8", errors="replace") if file.exists() else ""
        self._is_cut = bool(text) and not text.endswith("\n")
        read = [_read(line) for line in text.splitlines() if line]
        self._rows = {row.key: row for row in read if row is not None}
        if None in read:
            count = read.count(None)
            print(f"{count} row{'s' * (count > 1)} can't be read in {file}.", file=sys.stderr)

    def has(self, key: Key, systems: Sequence[str]) -> bool:
        """Whether there is a row, of all these systems."""
        return key in self._rows and set(systems) <= set(self._rows[key].found)

    def keep(self, row: Row) -> None:
        self._rows[row.key] = row
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write("\n" * self._is_cut + json.dumps(asdict(row), ensure_ascii=False) + "\n")
        self._is_cut = False

    def of(self, keys: Sequence[Key]) -> list[Row]:
        return [self._rows[key] for key in keys if key in self._rows]


def _read(line: str) -> Row | None:
    try:
        told = json.loads(line)
        found = {
            system: Found(**{**each, "scores": [Score(**score) for score in each["scores"]]}) for system, each in told["found"].items()
        }
        return Row(Key(**told["key"]), found)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def interval(differences: Sequence[float]) -> Interval:
    """The mean and what 95 % of means of as many drawn anew lie between."""
    values = np.array(differences or [np.nan])
    means = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def differences(rows: Sequence[Row], one: str, other: str, value: Callable[[Score], float]) -> list[float]:
    """``one`` less ``other``, of each sentence that both said."""
    pairs = [
        (value(mine), value(theirs))
        for row in rows
        if one in row.found and other in row.found
        for mine, theirs in zip(row.found[one].scores, row.found[other].scores, strict=True)
    ]
    return [mine - theirs for mine, theirs in pairs if not np.isnan(mine - theirs)]


def is_far_behind(row: Row, one: str, other: str, pesq: float, ms: float) -> bool:
    """Whether it's worse by so much on average. Disturbed calls say nothing."""
    if row.found[one].disturbed or row.found[other].disturbed:
        return False
    worse = -float(np.mean(differences([row], one, other, _pesq)))
    return worse > pesq or median(differences([row], one, other, _delay)) > ms


def report(rows: Sequence[Row], systems: Sequence[str], lines: Sequence[str]) -> str:
    """Scores, bit rates, and how ours compare with the peers; then the lines that are left out."""
    by_line = {line: [row for row in rows if row.key.line == line] for line in lines}
    known = {line: found for line, found in by_line.items() if found}
    shown = [system for system in systems if any(system in row.found for row in rows)]
    wide = [f"{system:>19}" for system in shown]
    quality: dict[str, list[float | str]] = {}
    rates: dict[str, list[float | str]] = {}
    for line, found in known.items():
        name = f"{line} ({len(found)})"
        quality[name] = [_cell(line, [row.found[system] for row in found if system in row.found]) for system in shown]
        rates[name] = [f"{np.mean([row.found[each].kbps for row in found if each in row.found] or [np.nan]):.0f}" for each in shown]
    parts = [table("PESQ (worst) / ms", wide, quality), table("kbit/s of IP packets", wide, rates)] if known else []
    parts += [each for one in (OURS_EQUAL, OURS) for other in (CHROMIUM, LIBWEBRTC) if (each := compared(known, one, other))]
    left = [line for line in lines if line not in known]
    if any(each.disturbed for row in rows for each in row.found.values()):
        parts.append("\n* calls during which others took the CPU, however often they were made again: that says little.")
    return "\n".join([*parts, *([f"\nNot measured: {'; '.join(left)}."] if left else [])])


def markdown(rows: Sequence[Row], systems: Sequence[str], lines: Sequence[str]) -> str:
    """The table of the documentation: each line, and of each system the score (its worst) / delay, bit rate."""
    shown = [system for system in systems if any(system in row.found for row in rows)]
    told = ["| line | " + " | ".join(shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for line in lines:
        found = [row for row in rows if row.key.line == line]
        cells = [_with_rate(line, [row.found[system] for row in found if system in row.found]) for system in shown]
        told += ["| " + " | ".join([line, *cells]) + " |"] if found else []
    return "\n".join(told)


def _with_rate(line: str, found: Sequence[Found]) -> str:
    return f"{_cell(line, found)}, {np.mean([each.kbps for each in found]):.0f}" if found else ""


def compared(by_line: dict[str, list[Row]], one: str, other: str) -> str:
    """A table of the paired differences; empty where they never met."""
    found: dict[str, list[float | str]] = {}
    for line, rows in by_line.items():
        if not any(one in row.found and other in row.found for row in rows):
            continue
        is_judged = line.startswith(NOT_FOR_PESQ)
        score = interval(differences(rows, one, other, _distance if is_judged else _pesq))
        delay = interval(differences(rows, one, other, _delay))
        worse = -score[1] if is_judged else score[2]  # a distance is worse where it's larger
        behind = [word for word, is_so in (("score", worse < -BEHIND_PESQ), ("delay", delay[1] > BEHIND_MS)) if is_so]
        unit = " dB" if is_judged else ""
        found[line] = [f"{_told(score, '.2f')}{unit}", _told(delay, ".0f"), " and ".join(behind) or "-"]
    return table(f"{one} less {other}", [f"{'PESQ':>24}", f"{'ms':>20}", "behind in"], found) if found else ""


def _told(each: Interval, form: str) -> str:
    mean, low, high = (format(value, "+" + form) for value in each)
    return f"{mean} [{low}, {high}]"


def _cell(line: str, found: Sequence[Found]) -> str:
    """The mean, the worst and the median delay; of music and two talkers the distance and the share of gaps, if any; a star: disturbed."""
    scores = [score for each in found for score in each.scores]
    if not scores:
        return "-"
    is_judged, pesq = line.startswith(NOT_FOR_PESQ), float(np.mean([each.pesq for each in scores]))
    delay = median(each.delay_ms for each in scores) if is_judged or pesq > _HARDLY_A_WORD else math.nan
    told = ("" if math.isnan(delay) else f" / {delay:.0f}") + ("*" if any(each.disturbed for each in found) else "")
    if is_judged:
        gaps = f"{100 * np.mean([each.gaps for each in scores]):.1f} %"
        return f"{np.mean([each.distance_db for each in scores]):.1f} dB" + ("" if gaps == "0.0 %" else f", {gaps}") + told
    return f"{pesq:.2f} ({min(each.pesq for each in scores):.2f}){told}"


def _pesq(score: Score) -> float:
    return score.pesq


def _delay(score: Score) -> float:
    return score.delay_ms


def _distance(score: Score) -> float:
    return score.distance_db
