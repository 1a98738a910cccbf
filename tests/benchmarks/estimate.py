"""Whether what the phone says of its sound is true: its score against PESQ over all lines, and its figures against the emulator's own.

usage: python tests/benchmarks/estimate.py [--set report|tuning] [--seeds N] [--sentences N] [CONDITION...]

On a virtual clock (virtual_call.py), without devices: each second the listener's counters are judged as in a call (``audio.quality``). The
listener of half a call learns no round trip: it is told the line's. For each line: the mean PESQ of its sentences, the mean score
that the phone gives of the seconds in which they are heard, and the rank correlation (Spearman) of both over all lines. Then loss,
jitter, delay, bits and the concealed share that the phone tells, beside what the line and who hears have counted (judged_call.py), with
an exclamation mark where they aren't the same.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from statistics import mean

import numpy as np
import speech
from figures import table
from judged_call import JudgedCall
from line import ALL, Condition
from virtual_call import AFTER_S

from sinchphone.audio.frame import RATE

LINES = tuple(each for each in ALL if each.material == "speech" and not (each.ppm or each.busy_s or each.both_ways))
NEAR, ABOUT = 0.05, 0.2  # what is told is true: within a share of the larger one, or so many of its unit
FIRST_SEED = {"tuning": 1, "report": 1001}


@dataclass(frozen=True)
class Figures:
    """Of one call: what the phone told, and what was counted."""

    loss_percent: tuple[float, float]
    jitter_ms: tuple[float, float]  # RFC 3550 A.8, on the time line of the time stamps
    delay_ms: tuple[float, float]  # of what is heard, against the fastest packet of late
    sent_kbps: tuple[float, float]
    received_kbps: tuple[float, float]
    concealed_percent: tuple[float, float]


def figures(condition: Condition, said: speech.Speech, seed: int) -> Figures:
    """A call in which marks are heard in place of sound."""
    call = JudgedCall(condition, seed, marked=True)
    call.listen(said.sound)
    assert call.told is not None
    (told, spoke), (lost, sent, arrived, made_up) = call.told, call.by_others
    kbps = 8e-3 / int(said.seconds)
    return Figures(
        (100 * told.packets_lost / (told.packets_lost + told.packets_received), 100 * lost),
        _means(call.jitters),
        _means(call.delays),
        (spoke.line_bytes_sent * kbps, sent * kbps),
        (told.line_bytes_received * kbps, arrived * kbps),
        (100 * (told.concealed_samples + told.absent_samples) / told.played_samples, 100 * made_up),
    )


def scores(condition: Condition, said: speech.Speech, seed: int) -> tuple[float, float]:
    """A call that is heard: the mean PESQ of its sentences, and of the phone's own score meanwhile."""
    call = JudgedCall(condition, seed, marked=False)
    heard, offset_ms = call.listen(said.sound)
    return mean(each.pesq for each in speech.judge(said, heard, offset_ms)), mos(call, said)


def mos(call: JudgedCall, said: speech.Speech) -> float:
    """The phone's own score while sentences were heard."""
    begin, end = said.marks[0][0] / RATE, said.marks[-1][1] / RATE
    return mean(score for at, score in call.scores if begin + 1 <= at <= end + AFTER_S)


def _means(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return mean(one for one, _ in pairs), mean(other for _, other in pairs)


def ranks(values: Iterable[float]) -> np.ndarray:
    """Places in order, equal ones share theirs."""
    known = np.array(list(values))
    return np.array([(known < each).sum() + ((known == each).sum() - 1) / 2 for each in known])


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """The rank correlation."""
    one, other = zip(*pairs, strict=True)
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("conditions", nargs="*")
    parser.add_argument("--set", choices=list(speech.SETS), default="report")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sentences", type=int, default=speech.COUNT)
    given = parser.parse_args()
    said = speech.speech(given.sentences, given.set)
    seeds = range(FIRST_SEED[given.set], FIRST_SEED[given.set] + given.seeds)
    lines = [line for line in LINES if not given.conditions or line.name in given.conditions]
    scored = {line.name: [scores(line, said, seed) for seed in seeds] for line in lines}
    means = {name: (mean(one for one, _ in each), mean(other for _, other in each)) for name, each in scored.items()}
    print(table("score", ["PESQ", "ours"], means))
    print(f"\nrank correlation: {spearman(list(means.values())):.2f}")
    columns = [each.name for each in fields(Figures)]
    found = {line.name: [figures(line, said, seed) for seed in seeds] for line in lines}
    told = {name: [_pair([getattr(one, column) for one in each]) for column in columns] for name, each in found.items()}
    print(table("told / counted", [column.replace("_", " ") for column in columns], told))


def _pair(pairs: list[tuple[float, float]]) -> str:
    told, counted = (mean(one[side] for one in pairs) for side in (0, 1))
    return f"{told:.2f} / {counted:.2f}" + ("" if abs(told - counted) <= NEAR * max(told, counted) + ABOUT else " !")


if __name__ == "__main__":
    main()
