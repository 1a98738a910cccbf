"""Whether what the phone says of its sound is true: its score against PESQ over all lines, and its figures against the emulator's own.

usage: python tests/benchmarks/estimate.py [--set report|tuning] [--seeds N] [--sentences N] [CONDITION...]

On a virtual clock (virtual_call.py), without devices: each second the listener's counters are judged as in a call (``audio.quality``). The
listener of half a call learns no round trip: it is told the line's. For each line: the mean PESQ of its sentences, the mean score
that the phone gives of the seconds in which they are heard, and the rank correlation (Spearman) of both over all lines. Then loss,
jitter, delay, bits and the concealed share that the phone tells, beside what the line and the player have counted.
"""

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any, cast

import numpy as np
import speech
from figures import median, table
from line import ALL, DELAY_S, Condition, Line
from virtual_call import AFTER_S, TERMS, VirtualCall

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.quality import Quality, Sample
from sinchphone.engine.calls.media.monitor import _sample
from sinchphone.media.port import PortStats
from sinchphone.media.sound import Levels

LADDER = TERMS[1]
LINES = tuple(each for each in ALL if each.material == "speech" and not (each.ppm or each.busy_s or each.both_ways))
CODEC_MS = 6.5  # that Opus looks ahead
LATE_S = 6.0
QUIET = Levels(near_dbfs=-math.inf, far_dbfs=-math.inf)
FIRST_SEED = {"tuning": 1, "report": 1001}


class CountedLine:
    """A line, and what it did to each packet of sound that it took for the first time."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._seen: set[int] = set()
        self.first = self.lost = self.arrived_octets = 0
        self.transits: list[tuple[float, float]] = []  # when it was sent, and how long it took [s]
        self._jitter, self._before = 0.0, 0.0
        self._jitters: list[tuple[float, float]] = []  # when a packet came, and the jitter with it

    def take(self, sequence: int, size: int, now: float) -> float | None:
        arrives = self._line.take(sequence, size, now)
        self.arrived_octets += 0 if arrives is None else size
        if sequence in self._seen:
            return arrives
        self._seen.add(sequence)
        self.first += 1
        self.lost += arrives is None
        if arrives is not None:
            self._note(now, arrives - now)
        return arrives

    def _note(self, now: float, transit: float) -> None:
        """RFC 3550 6.4.1, of packets in the order in which they were sent."""
        self._jitter += (abs(transit - self._before) - self._jitter) / 16 if self.transits else 0.0
        self._before = transit
        self.transits.append((now, transit))
        self._jitters.append((now + transit, self._jitter))

    def jitter_ms(self, now: float) -> float:
        """Of all that has come until then."""
        return 1000 * next((jitter for came, jitter in reversed(self._jitters) if came <= now), 0.0)

    def fastest_ms(self, now: float) -> float:
        """What the fastest packet of late took."""
        return 1000 * min((transit for sent, transit in self.transits if now - LATE_S <= sent <= now), default=0.0)

    def waiting_s(self, now: float) -> float:
        return self._line.waiting_s(now)

    @property
    def octets(self) -> int:
        return self._line.octets


class JudgedCall(VirtualCall):
    """A virtual call whose listener judges it each second, and in which others count too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.counted = CountedLine(self.line)
        self.line = cast(Line, self.counted)
        self.quality = Quality()
        self.scores: list[tuple[float, float]] = []  # when, and the score of the second before
        self.jitters: list[tuple[float, float]] = []  # told, and counted
        self.delays: list[tuple[float, float]] = []  # when, and what was told
        self.frames: list[tuple[float, float]] = []  # when, and how many in a packet
        self.told: tuple[PortStats, PortStats] | None = None  # by the listener and the speaker, while the speaker still sends,
        self.by_others = (0.0, 0.0, 0.0, 0.0)  # and what was counted until then: as in Found
        self.made_up = self.decoded = 0  # samples, by the decoder
        self._count(cast(Any, self.receiver._decoder))
        self._at(1.0, self._judge, None)

    def _count(self, decoder: Any) -> None:
        conceal, decode, recover = decoder.conceal, decoder.decode, decoder.recover

        def concealed(samples: int) -> Samples:
            self.made_up += samples
            made: Samples = conceal(samples)
            return made

        def counted(coded: Callable[..., Samples]) -> Callable[..., Samples]:
            def sound(*given: Any) -> Samples:
                samples = coded(*given)
                self.decoded += len(samples)
                return samples

            return sound

        decoder.conceal, decoder.decode, decoder.recover = concealed, counted(decode), counted(recover)

    def _judge(self, _: None) -> None:
        stats = self.listener.stats("opus")
        if self._now <= len(self._sound) / RATE:
            line, made = self.counted, self.made_up + self.decoded
            self.told = stats, self.speaker.stats("opus")
            self.by_others = line.lost / line.first, line.octets, line.arrived_octets, self.made_up / made if made else 0.0
            self.frames.append((self._now, self.speaker._outbound._setting.frames))
        self.quality.push(sample_of(stats, self._now))
        if self.quality.report.mos is not None:
            self.scores.append((self._now, self.quality.report.mos))
        if stats.jitter_ms is not None and stats.delay_ms is not None:
            self.jitters.append((stats.jitter_ms, self.counted.jitter_ms(self._now)))
            self.delays.append((self._now, stats.delay_ms))
        self._at(self._now + 1.0, self._judge, None)


def sample_of(stats: PortStats, now: float) -> Sample:
    """As the engine makes it of a leg's counters."""
    return replace(_sample(stats, QUIET, now, muted=False, held=False), connected=True, round_trip_ms=2000 * DELAY_S)


@dataclass(frozen=True)
class Found:
    """Of one line: its scores, and what the phone told beside what was counted."""

    pesq: float
    mos: float
    loss_percent: tuple[float, float]
    jitter_ms: tuple[float, float]
    delay_ms: tuple[float, float]  # of the buffer
    sent_kbps: tuple[float, float]
    received_kbps: tuple[float, float]
    concealed_percent: tuple[float, float]


def measure(condition: Condition, said: speech.Speech, seed: int, *, judges: bool = True) -> Found:
    """One call; without ``judges`` no PESQ."""
    call = JudgedCall(LADDER, condition, seed)
    heard, offset_ms = call.listen(said.sound)
    scores = speech.judge(said, heard, offset_ms) if judges else []
    begin, end = said.marks[0][0] / RATE, said.marks[-1][1] / RATE
    mos = [score for at, score in call.scores if begin + 1 <= at <= end + AFTER_S]
    assert call.told is not None
    (told, spoke), (lost, sent, arrived, made_up) = call.told, call.by_others
    kbps = 8e-3 / int(said.seconds)
    return Found(
        float(np.mean([each.pesq for each in scores])) if scores else float("nan"),
        float(np.mean(mos)),
        (100 * told.packets_lost / (told.packets_lost + told.packets_received), 100 * lost),
        (mean(one for one, _ in call.jitters), mean(other for _, other in call.jitters)),
        _delays(call, said, scores),
        (spoke.line_bytes_sent * kbps, sent * kbps),
        (told.line_bytes_received * kbps, arrived * kbps),
        (100 * told.concealed_samples / told.played_samples, 100 * made_up),
    )


def _delays(call: JudgedCall, said: speech.Speech, scores: Sequence[speech.Score]) -> tuple[float, float]:
    """The buffer's: as told while a sentence was heard, and how much later than the line and the codec ask for it was; of the median."""
    pairs = []
    for (start, end), score in zip(said.marks, scores, strict=False):
        told = [delay for at, delay in call.delays if start / RATE <= at <= end / RATE + AFTER_S]
        frames = median(each for at, each in call.frames if start / RATE <= at <= end / RATE)
        if told:
            counted = score.delay_ms - call.counted.fastest_ms(end / RATE) - CODEC_MS - 20 * (frames - 1)
            pairs.append((median(told), counted))
    return median(one for one, _ in pairs), median(other for _, other in pairs)


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
    found: dict[str, list[Found]] = {}
    for line in LINES:
        if not given.conditions or line.name in given.conditions:
            found[line.name] = [measure(line, said, seed) for seed in seeds]
    means = {name: (mean(one.pesq for one in each), mean(one.mos for one in each)) for name, each in found.items()}
    print(table("score", ["PESQ", "ours"], means))
    print(f"\nrank correlation: {spearman(list(means.values())):.2f}")
    columns = ("loss_percent", "jitter_ms", "delay_ms", "sent_kbps", "received_kbps", "concealed_percent")
    told = {name: [_pair([getattr(one, column) for one in each]) for column in columns] for name, each in found.items()}
    print(table("told / counted", [column.replace("_", " ") for column in columns], told))


def _pair(pairs: list[tuple[float, float]]) -> str:
    told, counted = (mean(one[side] for one in pairs) for side in (0, 1))
    return f"{told:.2f} / {counted:.2f}"


if __name__ == "__main__":
    main()
