"""What an exchange of several processes takes: two beside one, with the CPU of Redis; many devices that wait. ``soak.py``: for minutes.

usage: python tests/benchmarks/growth.py [DEVICES [CALLS [ROUNDS [RATE]]]]   CPU a call with one process and with two; bound: 1.25 times
       python tests/benchmarks/growth.py --devices 10000               memory of a device with two polls, over two processes; bound: 30 KiB

Each process has the same load, whether there are one or two: so many devices, and so many calls that begin a second (RATE), each when its
time has come, whatever became of those before. That is what is added to an exchange with a process, and at that rate no core is busy all
the time. Each call is from a device at one process to a device at the next one: behind a balancer half of them stay at one of two.

Beside it the same calls as fast as they go, eight at a time: there each of two processes has half the load of one, and so half as many
requests to put together in one question to Redis; and they, Redis and the load compute on the same cores. What that costs two processes
that share nothing, each with a Redis of its own, is told too: it isn't the sharing's.

Capacity is computed from the CPU a call, and called so: nobody measured it.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import load
from figures import median, table
from redis import Redis
from store_cost import redis_server

PROCESSES: Final = 2
BOUND: Final = 1.25
DEVICE_BOUND_KIB: Final = 30
WARM_CALLS: Final = 10  # of each process, before what is measured
LATE_S: Final = 1.0
LOADS: Final = 4  # processes that play devices: each device has two connections, and a process a limit of them


@dataclass(frozen=True)
class Group:
    """Processes that are one exchange, and their Redis."""

    hosts: Sequence[load.Host]
    redis: int  # its process id
    store: str  # its address

    def cpu_s(self) -> float:
        return sum(host.cpu_s() for host in self.hosts) + load.cpu_s(self.redis)

    def memory_bytes(self) -> int:
        return sum(host.memory_bytes() for host in self.hosts)

    def asked(self) -> int:
        """How many scripts were run and how often the feed was read until now."""
        with Redis.from_url(self.store) as client:
            done: dict[str, dict[str, int]] = client.info("commandstats")
        return sum(done.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "xread"))

    def url(self, number: int) -> str:
        return self.hosts[number % len(self.hosts)].url


@dataclass(frozen=True)
class Cost:
    """Of a call: CPU of all processes and of Redis [ms], and what Redis was asked. ``late_s``: by how much the calls took longer than they
    should have, or how long where they went as fast as they could [s]."""

    cpu_ms: float
    asked: float
    late_s: float


@dataclass(frozen=True)
class All:
    """What several groups compute."""

    groups: Sequence[Group]

    def cpu_s(self) -> float:
        return sum(group.cpu_s() for group in self.groups)


@asynccontextmanager
async def grouped(processes: int, devices: int, options: str = "{}") -> AsyncIterator[Group]:
    """So many processes on a Redis of their own."""
    async with AsyncExitStack() as stack:
        store, redis = stack.enter_context(redis_server())
        yield Group([await stack.enter_async_context(load.hosted(devices, "", store, options)) for _ in range(processes)], redis, store)


@asynccontextmanager
async def devices_of(group: Group, count: int) -> AsyncIterator[list[load.Phone]]:
    """Devices that poll, each at the next process."""
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(load.session(at)) for at in range(load.ADDRESSES)]
        phones = [load.Phone(sessions[at % load.ADDRESSES], group.url(at), f"user{at}") for at in range(count)]
        for phone in phones:
            await phone.register()
            await phone.listen()
        try:
            yield phones
        finally:
            for poll in (polls := [poll for phone in phones for poll in phone.polls]):
                poll.cancel()
            await asyncio.wait(polls)


async def call_cost(processes: int, devices: int, calls: int, rate: float = 0.0, *, apart: bool = False) -> Cost:
    """What a call costs until it rings; the callee is at the next process. ``devices``, ``calls`` and ``rate`` (calls a second) are each
    process's; where that is 0 the calls of one process are made over all, as fast as they go, some at a time. ``apart``: the processes
    share nothing, each has a Redis and devices of its own."""
    async with AsyncExitStack() as stack:
        sizes = [1] * processes if apart else [processes]
        groups = [await stack.enter_async_context(grouped(size, processes * devices)) for size in sizes]
        phones = [await stack.enter_async_context(devices_of(group, processes * devices // len(groups))) for group in groups]
        made = calls * processes if rate else calls
        calling = [phones[at % len(groups)][at // len(groups) % len(phones[0])] for at in range(made)]
        called = [phones[at % len(groups)][(at // len(groups) + 1) % len(phones[0])] for at in range(made)]
        pairs = list(zip(calling, called, strict=True))
        for one, other in pairs[: WARM_CALLS * processes]:
            await one.call(other)
        work = [lambda one=one, other=other: one.call(other) for one, other in pairs]
        everything, asked = All(groups), sum(group.asked() for group in groups)
        found = await (load.paced(everything, work, rate * processes) if rate else load.phase(everything, work))
        asked = sum(group.asked() for group in groups) - asked
        return Cost(1000 * found.cpu_s / found.count, asked / found.count, found.seconds - (made / (rate * processes) if rate else 0))


def compare(devices: int, calls: int, rounds: int, rate: float) -> str:
    """One process, two, and two that share nothing, in turns: what those cost beside one is the machine's, not the sharing's."""
    paced, full = (_costs(devices, calls, rounds, at) for at in (rate, 0.0))
    names = ("1 on Redis", f"{PROCESSES} on Redis", f"{PROCESSES} that share nothing")
    columns = ["CPU ms", "asked of Redis", "full: CPU ms", "full: asked"]
    rows: dict[str, list[float | str]] = {}
    for at, name in enumerate(names):
        rows[name] = [median(getattr(turn[at], what) for turn in costs) for costs in (paced, full) for what in ("cpu_ms", "asked")]
    found = [table(f"a call, {rate:g} a second and process", columns, rows)]
    for what, costs in (("two processes", paced), ("as fast as they go", full)):
        one, apart = (median(turn[1].cpu_ms / turn[at].cpu_ms for turn in costs) for at in (0, 2))
        found.append(
            f"{what}: {one:.2f} / {apart:.2f} times the CPU of one / of two that share nothing" + f" (bound {BOUND:g})" * (costs is paced)
        )
    found.append(f"calls a second and core with two, computed: {1000 / median(turn[1].cpu_ms for turn in paced):.0f}")
    late = max(cost.late_s for turn in paced for cost in turn)
    if late > LATE_S:
        found.append(f"the calls came up to {late:.1f} s late: the machine was too busy for that many a second")
    return "\n".join(found)


def _costs(devices: int, calls: int, rounds: int, rate: float) -> list[tuple[Cost, Cost, Cost]]:
    """Of each round: with one process, with two, with two that share nothing."""
    return [
        (
            asyncio.run(call_cost(1, devices, calls, rate)),
            asyncio.run(call_cost(PROCESSES, devices, calls, rate)),
            asyncio.run(call_cost(PROCESSES, devices, calls, rate, apart=True)),
        )
        for _ in range(rounds)
    ]


async def device_memory(count: int) -> float:
    """Of the processes' memory, for each device that waits [KiB]."""
    async with grouped(PROCESSES, count) as group, devices_of(group, PROCESSES):
        before = group.memory_bytes()
        loads = [await _load(group.url(at), at * count, count // LOADS) for at in range(LOADS)]
        for each in loads:
            assert each.stdout is not None
            assert await each.stdout.readline() == b"ready\n"
        await asyncio.sleep(load.QUIET_S)
        found = (group.memory_bytes() - before) / count / 1024
        for each in loads:
            each.terminate()
            await each.wait()
        return found


async def _load(url: str, first: int, count: int) -> asyncio.subprocess.Process:
    command = (sys.executable, __file__, "--load", url, str(first), str(count))
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


async def be_load(url: str, first: int, count: int) -> None:
    """Devices that register and wait, until somebody ends this process."""
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(load.session((first + at) % 200)) for at in range(50)]
        phones = [load.Phone(sessions[at % 50], url, f"device{first + at}") for at in range(count)]
        for phone in phones:
            await _begin(phone)
        print("ready", flush=True)
        await asyncio.Event().wait()


async def _begin(phone: load.Phone) -> None:
    """Register and wait, again where the exchange says that it can't just now."""
    until = time.monotonic() + load.PATIENCE_S
    while True:
        try:
            await phone.register()
            await phone.listen()
            return
        except AssertionError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.5)


def main(arguments: Sequence[str]) -> None:
    """Measure what is asked for, and tell."""
    match arguments:
        case ["--load", url, first, count]:
            asyncio.run(be_load(url, int(first), int(count)))
        case ["--devices", count]:
            found = asyncio.run(device_memory(int(count)))
            print(f"memory of a device with two polls, over {PROCESSES} processes: {found:.1f} KiB (bound {DEVICE_BOUND_KIB})")
        case _:
            devices, calls, rounds, rate = (int(one) for one in (*arguments, *("40", "300", "3", "25")[len(arguments) :]))
            try:
                print(compare(devices, calls, rounds, rate))
            except AssertionError as error:  # an exchange that is asked for more than it can gives up on its store after 3 s
                raise SystemExit(
                    f"a call was refused: {error}. Where the machine is too busy for {rate} a second, take a lower RATE."
                ) from error


if __name__ == "__main__":
    main(sys.argv[1:])
