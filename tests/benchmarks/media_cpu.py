"""CPU of a call: ours, stock aiortc's and libwebrtc's, each with the same tone both ways, two processes that do nothing else.

usage: python tests/benchmarks/media_cpu.py [CALLS [SECONDS [ROUNDS]]]

::

    this process ---- descriptions, then "measure" ----> caller process --RTP--> callee process
                 <--- CPU seconds, frames of sound -----

Both ends of a call do the same, so a figure is the mean of the two processes, per call. Work by the operating system (sockets) counts. The
kinds take turns, ROUNDS times, and medians count: what else the machine does meets all of them. What is said was made before, and little of
what is heard is looked at: that would count as the call's. libwebrtc M152 is PyPI's wrtc (installed into a cache folder at the first run).
"""

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import stock
from figures import median, table

sys.path.insert(0, str(Path(__file__).parents[2]))

from sinchphone.audio.frame import Frame
from sinchphone.media.port import CandidateFound, Connected, MediaPort, PortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.sdp.jsep import Candidate, Description
from tests.suite import guests

PROJECT = Path(__file__).parents[2]
QUARTER = 25  # samples of a period, about: one of two that are so far apart isn't near zero

PATIENCE_S = 30.0
SETTLE_S = 1.0  # from connected to the first measurement: imports, jitter buffers
KINDS = ("stock aiortc", "sinchphone")
LIBWEBRTC: Final = "libwebrtc M152"
HZ: Final = {"caller": 440.0, "callee": 620.0}
MAX_LINE_BYTES = 1024 * 1024


class End(Protocol):
    """One end of one call. Offers and answers carry their candidates. ``frames`` of sound were heard so far."""

    frames: int

    async def offer(self) -> str: ...

    async def answer(self, offer: str) -> str: ...

    async def accept(self, answer: str) -> None: ...

    async def connect(self) -> None: ...


class StockEnd(stock.Peer):
    """Aiortc's."""

    async def connect(self) -> None:
        await self.connected.wait()


class OurEnd:
    """A port, and a party of code in place of a person."""

    def __init__(self, hz: float, media: MediaThread) -> None:
        self.frames = 0
        self._said = itertools.cycle(stock.tone(hz))
        self._port: MediaPort = media.ports.port(PortOptions(loopback=True))
        self._sound = Ticker(self, media)
        self._events = self._port.events()

    def tick(self, far: Frame) -> Frame:
        self.frames += abs(int(far[0])) > stock.LOUD or abs(int(far[QUARTER])) > stock.LOUD
        return next(self._said)

    async def offer(self) -> str:
        return await self._with_candidates(await self._port.offer())

    async def answer(self, offer: str) -> str:
        given = json.loads(offer)
        answer = await self._port.answer(Description("offer", given["sdp"]))
        await self._add(given)
        return await self._with_candidates(answer)

    async def accept(self, answer: str) -> None:
        given = json.loads(answer)
        await self._port.accept(Description("answer", given["sdp"]))
        await self._add(given)

    async def connect(self) -> None:
        async for event in self._events:
            if isinstance(event, Connected):
                await self._sound.connect(self._port.leg)
                return

    async def _with_candidates(self, description: Description) -> str:
        candidates = []
        async for event in self._events:
            if not isinstance(event, CandidateFound) or event.candidate is None:
                break
            candidates.append(event.candidate.candidate)
        return json.dumps({"sdp": description.sdp, "candidates": candidates})

    async def _add(self, given: Any) -> None:
        for text in given["candidates"]:
            await self._port.add_candidate(Candidate(text, "0", 0))
        await self._port.add_candidate(None)


async def serve(kind: str, role: str, calls: int) -> None:
    """One process: obeys the lines of standard input, one after the other."""
    async with MediaThread() as media:
        ends: list[End] = [StockEnd(HZ[role]) if kind == KINDS[0] else OurEnd(HZ[role], media) for _ in range(calls)]
        while line := await asyncio.to_thread(sys.stdin.readline):
            order, argument = json.loads(line)
            print(json.dumps(await _obey(ends, order, argument)), flush=True)


async def _obey(ends: list[End], order: str, argument: Any) -> Any:
    match order:
        case "offer":
            return [await end.offer() for end in ends]
        case "answer":
            return [await end.answer(offer) for end, offer in zip(ends, argument, strict=True)]
        case "accept":
            return [await end.accept(answer) for end, answer in zip(ends, argument, strict=True)]  # type: ignore[func-returns-value]
        case "connect":
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(end.connect() for end in ends))
            return await asyncio.sleep(SETTLE_S)
        case "measure":
            cpu, heard = time.process_time(), [end.frames for end in ends]
            await asyncio.sleep(argument)
            return [time.process_time() - cpu, [end.frames - before for end, before in zip(ends, heard, strict=True)]]
        case _:
            raise AssertionError(order)


@dataclass(frozen=True)
class Cost:
    """Of one kind of call: share of a core per call [%], frames of 20 ms that the worst call heard, of all that there were."""

    cpu_percent: float
    worst_heard: float


class Process:
    """A child that obeys."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child

    @classmethod
    async def start(cls, kind: str, role: str, calls: int) -> "Process":
        command: tuple[str, ...] = (sys.executable, __file__, "--serve", kind, role, str(calls))
        if kind == LIBWEBRTC:
            python = guests.folder_of(guests.WRTC) / "bin" / "python"
            command = (str(python), str(Path(__file__).with_name("media_cpu_wrtc.py")), str(HZ[role]), str(calls))
        pipe, environment = asyncio.subprocess.PIPE, {**os.environ, "PYTHONPATH": str(PROJECT)}
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=MAX_LINE_BYTES, env=environment))

    async def ask(self, order: str, argument: Any = None) -> Any:
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.write(json.dumps([order, argument]).encode() + b"\n")
        return json.loads(await self.child.stdout.readline())

    async def end(self) -> None:
        self.child.kill()
        await self.child.wait()


async def cost(kind: str, calls: int, seconds: float) -> Cost:
    """Set up ``calls`` calls at once between two processes and watch them for ``seconds``."""
    caller, callee = await Process.start(kind, "caller", calls), await Process.start(kind, "callee", calls)
    try:
        async with asyncio.timeout(2 * PATIENCE_S + seconds):
            await caller.ask("accept", await callee.ask("answer", await caller.ask("offer")))
            await asyncio.gather(*(each.ask("connect") for each in (caller, callee)))
            found = await asyncio.gather(*(each.ask("measure", seconds) for each in (caller, callee)))
    finally:
        await caller.end()
        await callee.end()
    cpu = sum(each[0] for each in found) / 2
    return Cost(100 * cpu / seconds / calls, min(min(each[1]) for each in found) / (seconds * 50))


async def measure(calls: int, seconds: float, rounds: int = 1, kinds: Sequence[str] = KINDS) -> dict[str, Cost]:
    """These kinds in turns."""
    found: dict[str, list[Cost]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, costs in found.items():
            costs.append(await cost(kind, calls, seconds))
    return {kind: Cost(median(one.cpu_percent for one in costs), min(one.worst_heard for one in costs)) for kind, costs in found.items()}


def report(calls: int, found: dict[str, Cost]) -> str:
    """The figures."""
    anchor = found[KINDS[0]]
    rows = {kind: [each.cpu_percent, each.cpu_percent / anchor.cpu_percent, 100 * each.worst_heard] for kind, each in found.items()}
    return table(f"{calls} call{'s' * (calls > 1)} at once", ["% core per call", "x stock", "% heard"], rows)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--serve", kind, role, calls]:
            asyncio.run(serve(kind, role, int(calls)))
        case [*given]:
            counts, seconds = [int(given[0])] if given else [1, 10], float(given[1]) if len(given) > 1 else 10.0
            kinds: tuple[str, ...] = (*KINDS, LIBWEBRTC)
            lacks = ""
            try:
                guests.folder_of(guests.WRTC)
            except guests.NotThereError as error:
                kinds, lacks = KINDS, f"\nno {LIBWEBRTC}: {error}"
            for count in counts:
                print(report(count, asyncio.run(measure(count, seconds, int(given[2]) if len(given) > 2 else 3, kinds))) + lacks)
