"""CPU of a call: ours, stock aiortc's and libwebrtc's, each with the same tone both ways, two processes that do nothing else.

usage: python tests/benchmarks/media_cpu.py [--urgent] [CALLS [SECONDS [ROUNDS]]]

::

    this process ---- descriptions, then "measure" ----> caller process --RTP--> callee process
                 <--- CPU seconds, frames of sound -----

Both ends of a call do the same, so a figure is the mean of the two processes, per call. Work by the operating system (sockets) counts. The
kinds take turns, ROUNDS times, and medians count: what else the machine does meets all of them. What is said was made before, and little of
what is heard is looked at: that would count as the call's. libwebrtc M152 is PyPI's wrtc (installed into a cache folder at the first run).
``--urgent`` (Linux, root) lets all ends go before everything else on a busy machine: where ticks are late, sound is stretched and made up,
and each kind spends something else on that.
"""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import call_ends
import stock
from call_ends import CallEnd, CallProcess, watch
from emulator import make_urgent
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

KINDS = ("stock aiortc", "sinchphone")
LIBWEBRTC: Final = "libwebrtc M152"
HZ: Final = {"caller": 440.0, "callee": 620.0}


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
    """One process, with its end of each call."""
    async with MediaThread() as media:
        ends: list[CallEnd] = [StockEnd(HZ[role]) if kind == KINDS[0] else OurEnd(HZ[role], media) for _ in range(calls)]
        await call_ends.serve(partial(call_ends.obey, ends))


@dataclass(frozen=True)
class Cost:
    """Of one kind of call: share of a core per call [%], frames of 20 ms that the worst call heard, of all that there were."""

    cpu_percent: float
    worst_heard: float


async def start(kind: str, role: str, calls: int) -> CallProcess:
    """A process with such ends."""
    command: tuple[str, ...] = (sys.executable, __file__, "--serve", kind, role, str(calls))
    if kind == LIBWEBRTC:
        python = guests.folder_of(guests.WRTC) / "bin" / "python"
        command = (str(python), str(Path(__file__).with_name("media_cpu_wrtc.py")), str(HZ[role]), str(calls))
    return await CallProcess.start(*command, environment={**os.environ, "PYTHONPATH": str(PROJECT)})


async def cost(kind: str, calls: int, seconds: float) -> Cost:
    """Set up ``calls`` calls at once between two processes and watch them for ``seconds``."""
    found = await watch(await start(kind, "caller", calls), await start(kind, "callee", calls), seconds)
    cpu = sum(each["cpu"] for each in found) / 2
    return Cost(100 * cpu / seconds / calls, min(min(each["heard"]) for each in found) / (seconds * 50))


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
            if "--urgent" in given:
                given.remove("--urgent")
                make_urgent()
            counts, seconds = [int(given[0])] if given else [1, 10], float(given[1]) if len(given) > 1 else 10.0
            kinds: tuple[str, ...] = (*KINDS, LIBWEBRTC)
            lacks = ""
            try:
                guests.folder_of(guests.WRTC)
            except guests.NotThereError as error:
                kinds, lacks = KINDS, f"\nno {LIBWEBRTC}: {error}"
            for count in counts:
                print(report(count, asyncio.run(measure(count, seconds, int(given[2]) if len(given) > 2 else 3, kinds))) + lacks)
