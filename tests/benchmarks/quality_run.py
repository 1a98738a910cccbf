"""Rows of the benchmark of sound in the making: calls side by side, then, when nobody is disturbed by it, what was heard is judged."""

import contextlib
import fcntl
import os
import queue
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import quality_baresip as baresip
import quality_rows as rows
import speech
from line import Condition, named
from quality_calls import BARESIP, TRIES, Bench, Found, Job, can_take

PROJECT = Path(__file__).parents[2]
FIRST_SEED = {"tuning": 1, "report": 1001}  # patterns of loss of one set are not in the other
BLOCK, NUMBERS = 20, 80  # emulators of a run, and in all; what is above is for tests
LONG_S = 180.0  # of a call between two clocks
UNMEASURED = (AssertionError, KeyError, OSError, ValueError, subprocess.SubprocessError)  # what a call that didn't come about raises


def said_in(key: rows.Key) -> speech.Speech:
    """What is said in the calls of a row."""
    condition = named(key.line)
    return speech.speech(key.sentences, key.set, condition.material, shortest_s(condition), first_sentence(key))


def first_sentence(key: rows.Key) -> int:
    """Each seed has sentences of its own, as far as there are more."""
    return (key.seed - FIRST_SEED[key.set]) * key.sentences % speech.COUNT


def shortest_s(condition: Condition) -> float:
    """How long a call over it lasts at least: two clocks drift apart slowly."""
    return LONG_S if condition.ppm else 0.0


def width(conditions: Iterable[Condition], at_once: int) -> int:
    """How many calls there may be side by side: a program that is busy takes the CPU from others."""
    return 1 if any(each.busy_s for each in conditions) else at_once


@contextlib.contextmanager
def free_numbers(count: int) -> Iterator[range]:
    """Numbers of emulators that no other run on this machine has: it would take the hosts away."""
    assert count <= BLOCK, f"no more than {BLOCK} at once"
    for first in range(0, NUMBERS, BLOCK):
        with (Path(tempfile.gettempdir()) / f"sinchphone-bench-{first}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield range(first, first + count)
            return
    raise AssertionError("as many runs as there can be are under way")


class Run:
    """Measures rows; ``with`` it what the peers need is there. A call that was disturbed is made again, ``tries`` times in all."""

    def __init__(self, systems: Sequence[str], at_once: int, *, tries: int = TRIES) -> None:
        self._systems, self._at_once, self._tries = systems, at_once, tries
        self._stack = contextlib.ExitStack()
        self._environment = dict(os.environ)
        self._benches: dict[tuple[object, ...], Bench] = {}
        self._numbers: queue.SimpleQueue[int] = queue.SimpleQueue()  # of emulators

    def __enter__(self) -> "Run":
        with contextlib.ExitStack() as stack:
            for number in stack.enter_context(free_numbers(self._at_once)):
                self._numbers.put(number)
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quality-")))
            if BARESIP in self._systems:
                self._environment = stack.enter_context(baresip.sound_server(self._folder / "pulse", self._at_once))
            self._environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT), self._environment.get("PYTHONPATH")]))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measured(self, keys: Sequence[rows.Key]) -> Iterator[rows.Row]:
        """Those whose calls all came about; the others are named."""
        jobs = [
            (key, Job(system, named(key.line), key.seed)) for key in keys for system in self._systems if can_take(system, named(key.line))
        ]
        for key in keys:
            self._bench(key)  # not at once
        with ThreadPoolExecutor(width((job.condition for _, job in jobs), self._at_once)) as pool:
            calls = list(pool.map(lambda each: self._call(*each), jobs))
        for key in keys:
            mine = [(job.system, judge) for (of, job), judge in zip(jobs, calls, strict=True) if of == key]
            if all(judge is not None for _, judge in mine):
                yield rows.Row(key, {system: judge() for system, judge in mine if judge is not None})

    def _call(self, key: rows.Key, job: Job) -> Callable[[], Found] | None:
        try:
            return self._bench(key).call(job)
        except UNMEASURED as error:  # told by the call already
            print(f"\n{key.line}, {key.seed} is left out: {job.system}: {error!r}", file=sys.stderr)
            return None

    def _bench(self, key: rows.Key) -> Bench:
        condition = named(key.line)
        which = condition.material, shortest_s(condition), first_sentence(key)
        if which not in self._benches:
            folder = self._folder / f"bench{len(self._benches)}"
            self._benches[which] = Bench(folder, said_in(key), self._environment, self._numbers, self._tries)
        return self._benches[which]
