"""Two processes on one Redis for minutes on end, with lives of seconds: what they, and Redis, have kept at the end beside the start.

usage: python tests/benchmarks/soak.py [SECONDS]        600 if not told; the first tenth is to warm up

Calls ring, frames pass, polls time out. Before each look nothing is done for as long as the longest
of the shortened lives. Exit code 1: there are more tasks, open files, keys, rows or entries of the feed than at the start.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import growth
import load
from figures import table
from redis.asyncio import Redis

from sinchphone.exchange.store.redis.connection import PREFIX, SCHEMA

SECONDS: Final = 600.0
DEVICES: Final = 40
FRAMES: Final = 10  # of a call
ROUND_S: Final = 30.0
SHORT_LIVES: Final = {"poll_seconds": 5.0, "history_seconds": 10.0, "quiet_seconds": 1.0, "clock_skew_seconds": 5.0}
UNTRACED: Final = {"record": False}  # what is kept for the trace grows up to a limit of its own
QUIET_S: Final = 75.0  # longer than these, and than goodbyes may be said
LAST_S: Final = 2.0  # of calls, which have what is over forgotten
SLACK: Final = 100  # of each: the last calls, and what is just between two beats or polls


@dataclass(frozen=True)
class Kept:
    """What is there at a moment, by name; ``memory``: of both processes [MiB]."""

    memory: float
    counts: Mapping[str, int]


@dataclass
class Done:
    """How many calls there were, and of how many something was refused because Redis couldn't be reached in time."""

    calls: int = 0
    refused: int = 0


async def look(group: growth.Group) -> Kept:
    """What the processes and Redis have."""
    counts = {"tasks": sum([await host.tasks() for host in group.hosts]), "open files": sum(host.files() for host in group.hosts)}
    prefix = f"{PREFIX}:{SCHEMA}:{{{load.KEY}}}:"
    async with Redis.from_url(group.store, decode_responses=True) as redis:
        rows = [str(key) async for key in redis.scan_iter(f"{prefix}rows:*")]
        counts["keys of Redis"] = await redis.dbsize()
        counts["entries of the feed"] = await redis.xlen(f"{prefix}feed")
        for key in sorted(rows):
            counts[f"rows: {key.removeprefix(prefix + 'rows:')}"] = int(await redis.hlen(key))
    return Kept(group.memory_bytes() / 2**20, counts)


async def _look_later(group: growth.Group, phones: Sequence[load.Phone], done: Done, quiet_s: float) -> Kept:
    await asyncio.sleep(quiet_s)
    await _work(phones, min(LAST_S, quiet_s), done)
    await asyncio.sleep(min(1.0, quiet_s))
    return await look(group)


def grown(start: Kept, end: Kept) -> list[str]:
    """What there is more of at the end."""
    return [name for name, count in end.counts.items() if count > start.counts.get(name, 0) + SLACK]


def report(start: Kept, end: Kept, done: Done) -> str:
    """Both, side by side."""
    names = [*start.counts, *(name for name in end.counts if name not in start.counts)]
    rows: dict[str, Sequence[float | str]] = {"memory of both [MiB]": [start.memory, end.memory]}
    rows.update({name: [str(kept.counts.get(name, 0)) for kept in (start, end)] for name in names})
    refused = f", refused: {done.refused}" if done.refused else ""
    return table(f"{done.calls} calls, {done.calls * FRAMES} frames{refused}", ["start", "end"], rows)


async def _work(phones: Sequence[load.Phone], seconds: float, done: Done) -> None:
    """Calls one after the other."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done.calls += 1
        caller, callee = phones[done.calls % len(phones)], phones[(done.calls + 1) % len(phones)]
        try:
            call = await caller.ring(callee)
            for _ in range(FRAMES):
                await call.pass_frame()
            await caller.give_up(call)
        except AssertionError as error:  # a machine that had no time for Redis: the next call is another try
            if "can't reach" not in str(error) and "try again" not in str(error):
                raise
            done.refused += 1


async def soak(seconds: float, quiet_s: float = QUIET_S) -> tuple[Kept, Kept, Done]:
    """What was kept at the start and at the end, and what was done. Tells the memory now and then; who waits longer than is
    reasonable ends it."""
    options = json.dumps(SHORT_LIVES | UNTRACED)
    async with growth.grouped(growth.PROCESSES, DEVICES, options) as group, growth.devices_of(group, DEVICES) as phones:
        done, until = Done(), time.monotonic() + seconds
        await _work(phones, seconds / 10, done)
        start = await _look_later(group, phones, done, quiet_s)
        while (rest := until - time.monotonic()) > 0:
            await _work(phones, min(ROUND_S, rest), done)
            memory = ", ".join(f"{host.memory_bytes() / 2**20:.1f}" for host in group.hosts)
            print(f"{done.calls} calls; memory [MiB]: {memory}; CPU {group.cpu_s():.1f} s", flush=True)
        end = await _look_later(group, phones, done, quiet_s)
        assert all(not poll.done() for phone in phones for poll in phone.polls), "a device stopped to wait"
        return start, end, done


def main(arguments: Sequence[str]) -> None:
    """Run once, and tell."""
    start, end, done = asyncio.run(soak(float(arguments[0]) if arguments else SECONDS))
    print(report(start, end, done))
    if more := grown(start, end):
        raise SystemExit(f"there is more at the end: {', '.join(more)}")


if __name__ == "__main__":
    main(sys.argv[1:])
