"""What people hear over bad lines: PESQ and delay of ours, Chromium, libwebrtc, stock aiortc and baresip; for all, the same are lost.

usage: python tests/benchmarks/quality.py [--seeds N] [--set report|tuning] [--systems "NAME;…"] [--conditions "NAME;…"] [--minutes N]
       python tests/benchmarks/quality.py --table        what was measured of this version, without measuring
       python tests/benchmarks/quality.py --quick        two minutes; fails where ours is far behind libwebrtc (in CI)

::

    peer a (process, namespace) -- relay that loses and delays (emulator.py) -- peer b (process, namespace) -> what it heard -> PESQ

Needs Linux, root, /dev/net/tun; espeak-ng and recorded sentences (speech.py); PyPI's pesq, and wrtc for libwebrtc M152 (installed into
a cache folder); Debian's chromium; baresip-core, pulseaudio and libasound2-plugins for baresip. Systems whose programs aren't there are
left out, and named.

A row is one line with one seed: all systems are called in one run, then judged, and the row is kept (--rows FILE, of JSON lines). What
is kept of the same version, set and number of sentences isn't measured again: a run that ended can be taken up. Constants of the program
may be chosen on the set *tuning*; tables that are told are of the set *report*, of other sentences, voices and patterns of loss.

Delays are one way, from the moment 20 ms of sound are handed over, at once, to the moment they are asked for; of it the line takes
20 ms. (Of Chromium, from its fake capture to its playback, between two worklets that are alike.) Of baresip, which plays through a sound
server, no delay is told. A call during which others took the CPU is made again. The relay and all peers have a high priority.

A receiver that is busy for 100 ms at a time: its program's own loop is (Python's, the page's), twice a second, and the player goes on.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import emulator
import platformdirs
import quality_baresip as baresip
import quality_rows as rows
import speech
from line import ALL, Condition, named
from quality_calls import BARESIP, LIBWEBRTC, OURS, SYSTEMS, Bench, Job, available, can_take

PROJECT = Path(__file__).parents[2]
FIRST_SEED = {"tuning": 1, "report": 1001}  # patterns of loss of one set are not in the other
LONG_S = 180.0  # of a call between two clocks
QUICK_LINES = ("clean", "10 % in bursts of 3", "64 kbit/s, queue 300 ms")
QUICK_SYSTEMS = (LIBWEBRTC, OURS)
QUICK_SENTENCES = 3
QUICK_TRIES = 3
UNMEASURED = (AssertionError, KeyError, OSError, ValueError, subprocess.SubprocessError)  # what a call that didn't come about raises
QUICK_LIMIT_S = 300.0  # no further try
QUICK_PESQ, QUICK_MS = 0.4, 30.0  # so far behind is red


class Run:
    """Measures rows, one after the other; ``with`` it what the peers need is there."""

    def __init__(self, systems: list[str], sentences: int, chosen: str, at_once: int) -> None:
        self._systems, self._sentences, self._chosen, self._at_once = systems, sentences, chosen, at_once
        self._stack = contextlib.ExitStack()
        self._environment = dict(os.environ)
        self._benches: dict[tuple[str, float], Bench] = {}

    def __enter__(self) -> "Run":
        with contextlib.ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quality-")))
            if BARESIP in self._systems:
                self._environment = stack.enter_context(baresip.sound_server(self._folder / "pulse", self._at_once))
            self._environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT), self._environment.get("PYTHONPATH")]))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def row(self, key: rows.Key) -> rows.Row:
        """All systems over one line; first the calls, then, when nobody is disturbed by it, the judgement."""
        condition = named(key.line)
        bench = self._bench(condition)
        jobs = [Job(system, condition, key.seed) for system in self._systems if can_take(system, condition)]
        with ThreadPoolExecutor(self._at_once) as pool:
            judgements = list(pool.map(bench.call, jobs))
        return rows.Row(key, {job.system: judge() for job, judge in zip(jobs, judgements, strict=True)})

    def _bench(self, condition: Condition) -> Bench:
        seconds = LONG_S if condition.ppm else 0.0
        which = condition.material, seconds
        if which not in self._benches:
            said = speech.speech(self._sentences, self._chosen, condition.material, seconds)
            self._benches[which] = Bench(self._folder / f"bench{len(self._benches)}", said, self._environment, self._at_once)
        return self._benches[which]


def version() -> str:
    """Of the program that is measured: the commit, and a plus where it was changed since."""
    git = ["git", "-C", str(PROJECT)]
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "sinchphone"], capture_output=True, text=True, check=False).stdout
    return (commit or "unknown") + ("+" if changed else "")


def measure(given: argparse.Namespace, keys: list[rows.Key], kept: rows.Rows) -> None:
    """What isn't kept yet, until the time is over."""
    systems = list(available(given.systems.split(";")))
    todo = [key for key in keys if not kept.has(key, [each for each in systems if can_take(each, named(key.line))])]
    limit = time.monotonic() + 60 * given.minutes
    with Run(systems, given.sentences, given.set, given.at_once) as run:
        for count, key in enumerate(todo, 1):
            if time.monotonic() > limit:
                print("\nThe time is over.", file=sys.stderr)
                break
            print(f"\r{count} of {len(todo)} rows: {key.line}, {key.seed}    ", end="", file=sys.stderr, flush=True)
            try:
                kept.keep(run.row(key))
            except UNMEASURED as error:  # told by the call already
                print(f"\n{key.line}, {key.seed} is left out: {error!r}", file=sys.stderr)


def quick() -> bool:
    """Whether ours is nowhere far behind libwebrtc, three times in a row; what can't be measured here says nothing."""
    systems = list(available(list(QUICK_SYSTEMS)))
    if len(systems) < len(QUICK_SYSTEMS):
        return True
    red, limit = list(QUICK_LINES), time.monotonic() + QUICK_LIMIT_S
    with Run(systems, QUICK_SENTENCES, "report", 2) as run:
        for attempt in range(QUICK_TRIES):
            tried = list(_tried(run, red, attempt))
            print(rows.report(tried, systems, [row.key.line for row in tried]))
            red = [row.key.line for row in tried if rows.is_far_behind(row, OURS, LIBWEBRTC, QUICK_PESQ, QUICK_MS)]
            if not red or time.monotonic() > limit:
                return True
    print(f"Far behind {LIBWEBRTC}, {QUICK_TRIES} times: {', '.join(red)}.")
    return False


def _tried(run: Run, lines: list[str], attempt: int) -> Iterator[rows.Row]:
    """A row of each line; none of a line on which the machine was too busy for any call."""
    for line in lines:
        try:
            yield run.row(rows.Key("", "report", line, FIRST_SEED["report"] + attempt, QUICK_SENTENCES))
        except UNMEASURED as error:
            print(f"{line} says nothing: {error!r}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--set", choices=list(speech.SETS), default="report")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=speech.COUNT)
    parser.add_argument("--systems", default=";".join(SYSTEMS))
    parser.add_argument("--conditions", default=";".join(each.name for each in ALL))
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rows", type=Path, default=platformdirs.user_cache_path("sinchphone-tests") / "quality.jsonl")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended then too
    lacks = emulator.missing() or speech.missing(given.set)
    if lacks is not None and not given.table:
        print(f"This benchmark needs {lacks}.", file=sys.stderr)
        sys.exit(0 if given.quick else 1)
    if given.quick:
        sys.exit(0 if quick() else 1)
    first, lines = FIRST_SEED[given.set], given.conditions.split(";")
    keys = [rows.Key(version(), given.set, line, first + seed, given.sentences) for seed in range(given.seeds) for line in lines]
    kept = rows.Rows(given.rows)
    if not given.table:
        measure(given, keys, kept)
    print(rows.report(kept.of(keys), given.systems.split(";"), lines))


if __name__ == "__main__":
    main()
