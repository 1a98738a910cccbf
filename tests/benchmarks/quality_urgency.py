"""Whoever takes part in a measured call goes before all others on the machine once the program has started; and whether that was enough.

usage: python quality_urgency.py      at the priority of the peers: until standard input ends; then the share of its waits that ended late
"""

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

REAL_TIME = 1  # the relay's is higher
NICE = -10  # where real time isn't allowed
EVERY_S, LATE_S = 0.010, 0.005


def hurry(pid: int) -> None:
    """That process, all that it started, and all their threads. What has such a priority already keeps it."""
    for each in [pid, *_descendants(pid)]:
        for thread in _threads(each):
            with contextlib.suppress(ProcessLookupError):
                if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR):
                    continue
                try:
                    os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(REAL_TIME))
                except PermissionError:
                    with contextlib.suppress(PermissionError):
                        os.setpriority(os.PRIO_PROCESS, thread, NICE)


def _threads(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()]
    return []


def _descendants(pid: int) -> Iterator[int]:
    for thread in _threads(pid):
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


class Punctuality:
    """``with`` it, from ``start`` on, somebody waits at the peers' priority, again and again; ``late`` is the share of waits too long."""

    def __init__(self) -> None:
        self.late = 0.0

    def __enter__(self) -> "Punctuality":
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def start(self) -> None:
        """Now the peers are there."""
        hurry(self._process.pid)
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def __exit__(self, *_: object) -> None:
        told, _errors = self._process.communicate("", timeout=10)
        self.late = float(told)


def _watch() -> float:
    """Share of the waits from the first line of standard input to its end that ended LATE_S too late."""
    if not sys.stdin.readline():
        return 0.0
    waits = late = 0
    while True:
        due = time.monotonic() + EVERY_S
        if select.select([sys.stdin], [], [], EVERY_S)[0]:
            return late / max(1, waits)
        waits += 1
        late += time.monotonic() > due + LATE_S


if __name__ == "__main__":
    print(_watch())
