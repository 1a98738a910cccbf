"""What an exchange of several processes takes: two beside one, with the CPU of Redis; many devices that wait. ``soak.py``: for minutes.

usage: python tests/benchmarks/growth.py [DEVICES [CALLS [ROUNDS]]]    CPU a call with one process and with two; bound: 1.25 times
       python tests/benchmarks/growth.py --devices 10000               memory of a device with two polls, over two processes; bound: 30 KiB

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
from store_cost import redis_server

PROCESSES: Final = 2
BOUND: Final = 1.25
DEVICE_BOUND_KIB: Final = 30
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

    def url(self, number: int) -> str:
        return self.hosts[number % len(self.hosts)].url


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


async def call_cost(processes: int, devices: int, calls: int, *, apart: bool = False) -> float:
    """CPU of all processes and of Redis for a call until it rings [ms]; the callee is at the next process. ``apart``: they share nothing,
    each has a Redis and devices of its own."""
    async with AsyncExitStack() as stack:
        sizes = [1] * processes if apart else [processes]
        groups = [await stack.enter_async_context(grouped(size, devices)) for size in sizes]
        phones = [await stack.enter_async_context(devices_of(group, devices // len(groups))) for group in groups]
        calling = [phones[at % len(groups)][at // len(groups) % len(phones[0])] for at in range(calls)]
        called = [phones[at % len(groups)][(at // len(groups) + 1) % len(phones[0])] for at in range(calls)]
        pairs = zip(calling, called, strict=True)
        found = await load.phase(All(groups), [lambda one=one, other=other: one.call(other) for one, other in pairs])  # type: ignore[misc]
        return 1000 * found.cpu_s / found.count


@dataclass(frozen=True)
class All:
    """What several groups compute."""

    groups: Sequence[Group]

    def cpu_s(self) -> float:
        return sum(group.cpu_s() for group in self.groups)


def compare(devices: int, calls: int, rounds: int) -> str:
    """One process, two, and two that share nothing, in turns: what those cost beside one is the machine's, not the sharing's."""
    costs: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        one, two = (asyncio.run(call_cost(processes, devices, calls)) for processes in (1, PROCESSES))
        costs.append((one, two, asyncio.run(call_cost(PROCESSES, devices, calls, apart=True))))
    one, two, apart = (median(cost) for cost in zip(*costs, strict=True))
    rows = {"1 on Redis": one, f"{PROCESSES} on Redis": two, f"{PROCESSES} that share nothing": apart}
    found = table(
        "processes", ["CPU ms a call", "calls a second and core, computed"], {name: [cost, 1000 / cost] for name, cost in rows.items()}
    )
    beside = " / ".join(f"{median(cost[1] / cost[at] for cost in costs):.2f}" for at in (0, 2))
    return f"{found}\ntwo processes: {beside} times the CPU of one / of two that share nothing (bound {BOUND:g})"


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
            devices, calls, rounds = (int(one) for one in (*arguments, *("40", "300", "3")[len(arguments) :]))
            print(compare(devices, calls, rounds))


if __name__ == "__main__":
    main(sys.argv[1:])
