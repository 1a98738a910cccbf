"""What a store on Redis costs: CPU of the exchange and of Redis for each registration, call and frame, beside an exchange that has a file.

usage: python tests/benchmarks/store_cost.py [DEVICES [CALLS [ROUNDS]]]

Figures of CPU depend on the machine and on what else it does; the ratio is what carries over. Bound: at most twice the CPU a call.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import load
from figures import median, table

BOUND: Final = 2.0
START_S: Final = 20.0


@dataclass(frozen=True)
class Cost:
    """CPU for each [ms]: of the exchange, and of Redis for a call."""

    registration: float
    call: float
    frame: float
    redis: float = 0.0


@contextmanager
def redis_server() -> Iterator[tuple[str, int]]:
    """A server of our own, with an append-only file: its address and process id."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed (Debian: redis-server)")
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = (program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0", process.pid
        finally:
            process.kill()
            process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def measure_file(devices: int, calls: int) -> Cost:
    """With a file of its own."""
    return _cost(asyncio.run(load.measure(devices, calls)))


def measure_redis(devices: int, calls: int) -> Cost:
    """With Redis."""
    with redis_server() as (store, pid):
        return _cost(asyncio.run(load.measure(devices, calls, store=store, store_pid=pid)))


def _cost(found: load.Load) -> Cost:
    registration, call, frame = (1000 * phase.cpu_s / phase.count for phase in (found.registrations, found.calls, found.frames))
    return Cost(registration, call, frame, 1000 * found.store_s / found.calls.count)


def report(files: Sequence[Cost], shared: Sequence[Cost]) -> str:
    """Medians of the rounds, and their ratios."""
    names = ("registration", "call", "frame", "redis")
    one, other = ({name: median(getattr(cost, name) for cost in costs) for name in names} for costs in (files, shared))
    ratios: list[float | str] = [other[name] / one[name] for name in names[:3]]
    rows: dict[str, Sequence[float | str]] = {
        "a file": [*(one[name] for name in names[:3]), "-"],
        "Redis": [other[name] for name in names],
        "ratio": [*ratios, "-"],
    }
    columns = ["registration", "call", "frame", "Redis, a call"]
    whole = (other["call"] + other["redis"]) / one["call"]
    return table("CPU [ms]", columns, rows) + f"\na call with all of Redis's CPU: {whole:.2f} times (bound {BOUND:g})"


def main(arguments: Sequence[str]) -> None:
    """Measure in turns, and tell."""
    devices, calls, rounds = (int(one) for one in (*arguments, *("60", "400", "3")[len(arguments) :]))
    pairs = [(measure_file(devices, calls), measure_redis(devices, calls)) for _ in range(rounds)]
    print(report([one for one, _ in pairs], [other for _, other in pairs]))


if __name__ == "__main__":
    main(sys.argv[1:])
