"""Packets beside a busy program: how late each leaves while the main loop works for 100 ms at a time, and the same clock in that loop.

usage: python tests/benchmarks/punctuality.py [SECONDS]

Two ports are connected in the media thread, a party speaks on each. A packet is late by the time between when it is due (the earliest
of all packets, and 20 ms for each since) and when it is with the operating system.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from figures import percentile, table

from sinchphone.audio.frame import FRAME_SECONDS, Frame, Samples
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.clock import FrameClock
from sinchphone.media.port import CandidateFound, Connected, MediaPort, PortOptions
from sinchphone.media.sound import AudioLeg
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker

BUSY_S = 0.1  # of work between two looks at the loop
PATIENCE_S = 30.0


class TimedLeg:
    """A leg that notes when each packet has left."""

    def __init__(self, leg: AudioLeg) -> None:
        self.left_at: list[float] = []
        self._leg = leg

    def send(self, frame: Frame) -> None:
        self._leg.send(frame)
        self.left_at.append(time.monotonic())

    def is_missing(self) -> bool:
        return False

    def pull(self, samples: int) -> Samples:
        return self._leg.pull(samples)


class Speaker:
    """A party that says a tone."""

    def __init__(self) -> None:
        self._sine = Sine(440.0)

    def tick(self, far: Frame) -> Frame:
        return self._sine.pull()


@dataclass(frozen=True)
class Lateness:
    """How late [ms] each tick was."""

    each: list[float]

    @classmethod
    def of(cls, times: list[float]) -> "Lateness":
        """Against a clock that begins with the earliest."""
        offsets = np.array(times) - FRAME_SECONDS * np.arange(len(times))
        return cls(list((offsets - offsets.min()) * 1000))

    def share_within(self, ms: float) -> float:
        return sum(late <= ms for late in self.each) / len(self.each)


async def media_thread(seconds: float, meanwhile: Callable[[float], Awaitable[object]]) -> Lateness:
    """The packets of a call in the media thread, while ``meanwhile`` happens in this loop."""
    async with MediaThread() as media:
        caller, callee = (media.ports.port(PortOptions(loopback=True)) for _ in range(2))
        sounds, leg = [Ticker(Speaker(), media) for _ in range(2)], TimedLeg(caller.leg)
        async with asyncio.timeout(PATIENCE_S + seconds), asyncio.TaskGroup() as group:
            links = [group.create_task(_link(caller, callee)), group.create_task(_link(callee, caller))]
            await caller.accept(await callee.answer(await caller.offer()))
            await asyncio.wait(links)
            for sound, each in zip(sounds, (leg, callee.leg), strict=True):
                await sound.connect(each)
            await meanwhile(seconds)
            times = list(leg.left_at)
            for sound, port in zip(sounds, (caller, callee), strict=True):
                await sound.close()
                await port.close()
    return Lateness.of(times)


async def _link(port: MediaPort, other: MediaPort) -> None:
    async for event in port.events():
        if isinstance(event, CandidateFound):
            await other.add_candidate(event.candidate)
        elif isinstance(event, Connected):
            return


async def main_loop(seconds: float) -> Lateness:
    """The same clock in this loop, while it is busy; its ticks do nothing but note the time."""
    times: list[float] = []
    clock = FrameClock(lambda: times.append(time.monotonic()))
    clock.start()
    await busy(seconds)
    clock.stop()
    return Lateness.of(times)


async def busy(seconds: float) -> None:
    """Work in Python for BUSY_S at a time, with a moment for the loop in between, enough for every timer that is due."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        piece = time.monotonic() + BUSY_S
        while time.monotonic() < piece:
            sum(number * number for number in range(1000))
        await asyncio.sleep(0.001)


async def measure(seconds: float) -> dict[str, Lateness]:
    """An idle loop, then two busy ones."""
    return {
        "media thread, main loop idle": await media_thread(seconds, asyncio.sleep),
        "media thread, main loop busy": await media_thread(seconds, busy),
        "in the busy main loop": await main_loop(seconds),
    }


def report(found: dict[str, Lateness]) -> str:
    """The figures."""
    anchor = percentile(found["in the busy main loop"].each, 0.95)
    rows = {}
    for name, late in found.items():
        p50, p95, p99, most = (percentile(late.each, share) for share in (0.5, 0.95, 0.99, 1.0))
        rows[name] = [p50, p95, p99, most, 100 * late.share_within(10.0), p95 / anchor]
    return table("late by [ms]", ["median", "95 %", "99 %", "most", "% within 10 ms", "95 %, ratio"], rows)


if __name__ == "__main__":
    print(report(asyncio.run(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))))
