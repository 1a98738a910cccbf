"""How many seats a conference room takes: real calls into one process that decodes, mixes and encodes for each, phones in another.

usage: python tests/benchmarks/conference.py [SEATS [SECONDS]]

::

    this process ---- offers, answers, then "measure" ----> room process <--RTP, DTLS-SRTP--> phones process: all speak at once
                 <--- how long each tick took, CPU -----

A tick that takes longer than 20 ms is late for somebody. Last, a meeting (100 seats, of whom three speak) beside 40 who all speak and are
all mixed, each with a mix and an encoder of their own, as rooms did it once: a tick's CPU in one run.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import call_ends
import numpy as np
from call_ends import CallProcess, watch
from figures import median, percentile, table
from media_cpu import OurEnd

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, Frame
from sinchphone.audio.levels.talkers import TALKERS
from sinchphone.exchange.conference.room import Room
from sinchphone.exchange.conference.rooms import Participant, Rooms
from sinchphone.exchange.destinations.prompts import load
from sinchphone.media.thread import MediaThread

SEATS = (10, 20, 40, 60)
ROOM, PHONES = "room", "phones"


class Talker(OurEnd):
    """A phone whose user never stops to speak, or makes no more than noise."""

    def __init__(self, number: int, media: MediaThread, speaking: int) -> None:
        super().__init__(440.0, media)
        self._speech = np.roll(load("speech"), 4800 * number)
        if number >= speaking:
            self._speech = np.random.default_rng(number).normal(0, 10, len(self._speech)).astype(np.int16)  # -70 dBFS
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
        self.cpu: list[float] = []
        ticking = Room._tick

        def tick(room: Room) -> None:
            began, cpu = time.perf_counter(), time.thread_time()
            ticking(room)
            self.works.append(time.perf_counter() - began)
            self.cpu.append(time.thread_time() - cpu)

        Room._tick = tick  # type: ignore[assignment, method-assign]


async def serve(role: str, seats: int, speaking: int, talkers: int) -> None:
    """One process, with its end of each call."""
    timed = Timed()
    async with MediaThread() as media:
        rooms = Rooms(media, seats_per_room=seats, talkers=talkers)
        make = partial(Talker, media=media, speaking=speaking) if role == PHONES else partial(SeatEnd, media=media, rooms=rooms)
        ends = [make(number) for number in range(seats)]
        await call_ends.serve(partial(_obey, ends, timed))


async def _obey(ends: list[Any], timed: Timed, order: str, argument: Any) -> Any:
    timed.works.clear()
    timed.cpu.clear()
    found = await call_ends.obey(ends, order, argument)
    return {**found, "works": timed.works, "ticks_cpu": timed.cpu} if order == "measure" else found


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
    tick_cpu_ms: float  # of the media thread, the median

    @property
    def keeps_the_tick(self) -> bool:
        """Whether one tick in a hundred at most is late, and none is left out for long."""
        return self.late_ms < 1000 * FRAME_SECONDS and self.ticked > 0.98


async def load_of(seats: int, seconds: float, *, speaking: int | None = None, talkers: int = TALKERS) -> Load:
    """Fill a room and watch it for ``seconds``. ``speaking``: how many never stop, all where it isn't said."""
    of = [str(each) for each in (seats, seats if speaking is None else speaking, talkers)]
    phones, room = [await CallProcess.start(sys.executable, __file__, "--serve", role, *of) for role in (PHONES, ROOM)]
    theirs, ours = await watch(phones, room, seconds)
    works, expected = ours["works"], seconds / FRAME_SECONDS
    return Load(
        100 * ours["cpu"] / seconds,
        1000 * median(works),
        1000 * percentile(works, 0.99),
        sum(work > FRAME_SECONDS for work in works) / len(works),
        len(works) / expected,
        min(theirs["heard"]) / expected,
        1000 * median(ours["ticks_cpu"]),
    )


async def measure_meeting(seconds: float) -> tuple[Load, Load]:
    """A meeting of 100 of whom three speak, and 40 who all speak and are all mixed."""
    return await load_of(100, seconds, speaking=3), await load_of(40, seconds, talkers=40)


async def measure(sizes: tuple[int, ...], seconds: float) -> dict[int, Load]:
    """Rooms of those sizes, one after the other."""
    return {seats: await load_of(seats, seconds) for seats in sizes}


def report(found: dict[int, Load]) -> str:
    """The figures."""
    rows = {
        f"{seats} seats": [
            one.cpu_percent,
            one.median_ms,
            one.tick_cpu_ms,
            one.late_ms,
            100 * one.over,
            100 * one.worst_heard,
            "yes" if one.keeps_the_tick else "no",
        ]
        for seats, one in found.items()
    }
    columns = ["% of a core", "tick ms", "CPU ms", "tick ms, 99 %", "% over 20 ms", "% heard", "keeps the tick"]
    return table("a conference room, all speaking", columns, rows)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--serve", role, seats, speaking, talkers]:
            asyncio.run(serve(role, int(seats), int(speaking), int(talkers)))
        case [*given]:
            sizes, seconds = (int(given[0]),) if given else SEATS, float(given[1]) if len(given) > 1 else 10.0
            print(report(asyncio.run(measure(sizes, seconds))))
            meeting, all_mixed = asyncio.run(measure_meeting(seconds))
            print(f"a tick of a meeting of 100: {meeting.tick_cpu_ms:.2f} ms of CPU; of 40 who all speak: {all_mixed.tick_cpu_ms:.2f}")
