"""How many seats a conference room takes: real calls into one process that decodes, mixes and encodes for each, phones in another.

usage: python tests/benchmarks/conference.py [SEATS [SECONDS]]

::

    this process ---- offers, answers, then "measure" ----> room process <--RTP, DTLS-SRTP--> phones process: all speak at once
                 <--- how long each tick took, CPU -----

A tick that takes longer than 20 ms is late for somebody. Everybody speaks all the time, which no meeting survives: silence costs less.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from figures import median, percentile, table
from media_cpu import MAX_LINE_BYTES, PATIENCE_S, SETTLE_S, OurEnd

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, Frame
from sinchphone.exchange.conference.room import Room
from sinchphone.exchange.conference.rooms import Participant, Rooms
from sinchphone.exchange.destinations.prompts import load
from sinchphone.media.thread import MediaThread

SEATS = (10, 20, 40, 60)
ROOM, PHONES = "room", "phones"


class Talker(OurEnd):
    """A phone whose user never stops to speak."""

    def __init__(self, number: int, media: MediaThread) -> None:
        super().__init__(440.0, media)
        self._speech = np.roll(load("speech"), 4800 * number)
        self._at = 0

    def tick(self, far: Frame) -> Frame:
        super().tick(far)
        self._at = (self._at + FRAME_SAMPLES) % (len(self._speech) - FRAME_SAMPLES)
        return self._speech[self._at : self._at + FRAME_SAMPLES]


class SeatEnd(OurEnd):
    """The room's end of a call."""

    def __init__(self, number: int, media: MediaThread, rooms: Rooms) -> None:
        super().__init__(440.0, media)
        self._sound = rooms.enter("benchmark", "room", Participant(str(number), str(number), ""), nobody_is_kicked).sound  # type: ignore[assignment]


async def nobody_is_kicked() -> None:
    """For the REST API, which isn't here."""


class Timed:
    """Measures every tick of every room of this process."""

    def __init__(self) -> None:
        self.works: list[float] = []
        ticking = Room._tick

        def tick(room: Room) -> None:
            began = time.perf_counter()
            ticking(room)
            self.works.append(time.perf_counter() - began)

        Room._tick = tick  # type: ignore[assignment, method-assign]


async def serve(role: str, seats: int) -> None:
    """One process: obeys the lines of standard input, one after the other."""
    timed = Timed()
    async with MediaThread() as media:
        make = partial(Talker, media=media) if role == PHONES else partial(SeatEnd, media=media, rooms=Rooms(media, seats_per_room=seats))
        ends = [make(number) for number in range(seats)]
        while line := await asyncio.to_thread(sys.stdin.readline):
            order, argument = json.loads(line)
            print(json.dumps(await _obey(ends, timed, order, argument)), flush=True)


async def _obey(ends: list[Any], timed: Timed, order: str, argument: Any) -> Any:
    match order:
        case "offer":
            return [await end.offer() for end in ends]
        case "answer":
            return [await end.answer(offer) for end, offer in zip(ends, argument, strict=True)]
        case "accept":
            return [await end.accept(answer) for end, answer in zip(ends, argument, strict=True)]
        case "connect":
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(end.connect() for end in ends))
            return await asyncio.sleep(SETTLE_S)
        case "measure":
            timed.works.clear()
            cpu, heard = time.process_time(), [end.frames for end in ends]
            await asyncio.sleep(argument)
            loud = [end.frames - before for end, before in zip(ends, heard, strict=True)]
            return {"cpu": time.process_time() - cpu, "works": timed.works, "heard": loud}
        case _:
            raise AssertionError(order)


@dataclass(frozen=True)
class Load:
    """Of one size of room: share of a core [%], work of a tick [ms], ticks that were over 20 ms, ticks that came at all, frames with
    sound that the worst phone heard, of all that there were."""

    cpu_percent: float
    median_ms: float
    late_ms: float  # 99 %
    over: float
    ticked: float
    worst_heard: float

    @property
    def keeps_the_tick(self) -> bool:
        """Whether one tick in a hundred at most is late, and none is left out for long."""
        return self.late_ms < 1000 * FRAME_SECONDS and self.ticked > 0.98


class Process:
    """A child that obeys."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child

    @classmethod
    async def start(cls, role: str, seats: int) -> "Process":
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, __file__, "--serve", role, str(seats))
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=4 * MAX_LINE_BYTES))

    async def ask(self, order: str, argument: Any = None) -> Any:
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.write(json.dumps([order, argument]).encode() + b"\n")
        return json.loads(await self.child.stdout.readline())

    async def end(self) -> None:
        self.child.kill()
        await self.child.wait()


async def load_of(seats: int, seconds: float) -> Load:
    """Fill a room and watch it for ``seconds``."""
    room, phones = await Process.start(ROOM, seats), await Process.start(PHONES, seats)
    try:
        async with asyncio.timeout(3 * PATIENCE_S + seconds):
            await phones.ask("accept", await room.ask("answer", await phones.ask("offer")))
            await asyncio.gather(*(each.ask("connect") for each in (room, phones)))
            ours, theirs = await asyncio.gather(*(each.ask("measure", seconds) for each in (room, phones)))
    finally:
        await room.end()
        await phones.end()
    works, expected = ours["works"], seconds / FRAME_SECONDS
    return Load(
        100 * ours["cpu"] / seconds,
        1000 * median(works),
        1000 * percentile(works, 0.99),
        sum(work > FRAME_SECONDS for work in works) / len(works),
        len(works) / expected,
        min(theirs["heard"]) / expected,
    )


async def measure(sizes: tuple[int, ...], seconds: float) -> dict[int, Load]:
    """Rooms of those sizes, one after the other."""
    return {seats: await load_of(seats, seconds) for seats in sizes}


def report(found: dict[int, Load]) -> str:
    """The figures."""
    rows = {
        f"{seats} seats": [
            one.cpu_percent,
            one.median_ms,
            one.late_ms,
            100 * one.over,
            100 * one.worst_heard,
            "yes" if one.keeps_the_tick else "no",
        ]
        for seats, one in found.items()
    }
    columns = ["% of a core", "tick ms", "tick ms, 99 %", "% over 20 ms", "% heard", "keeps the tick"]
    return table("a conference room, all speaking", columns, rows)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--serve", role, seats]:
            asyncio.run(serve(role, int(seats)))
        case [*given]:
            sizes, seconds = (int(given[0]),) if given else SEATS, float(given[1]) if len(given) > 1 else 10.0
            print(report(asyncio.run(measure(sizes, seconds))))
