"""A conference room's tick on simulated legs, in CPU: a meeting of 100 of whom three speak, and 40 who all speak.

usage: python tests/benchmarks/room_ticks.py [TICKS]

Packets come to real legs as from a network without jitter, and what these send goes nowhere. One room is ticked after the other, again and
again: neither is alone with a better moment of the machine.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from figures import median, rounds, table

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS
from sinchphone.audio.levels.talkers import TALKERS
from sinchphone.exchange.conference.room import Room, Seat
from sinchphone.exchange.destinations.prompts import load
from sinchphone.media.agreement import Agreement, OpusWishes
from sinchphone.media.codecs.codec import OPUS
from sinchphone.media.codecs.opus import Encoder
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.stream import Stream
from sinchphone.protocol.rtp.packet import RtpPacket, encode_packet

WARM_UP = 20  # ticks: buffers fill, encoders get used to the noise
MEETING, ALL_MIXED, ALL_SPEAK = "100 seats, 3 speak", "40 who all speak, all mixed", "40 who all speak"
ROOMS = {MEETING: (100, 3, TALKERS), ALL_MIXED: (40, 40, 40), ALL_SPEAK: (40, 40, TALKERS)}  # seats, who speak, heard at once
_AGREED = Agreement(codec=OPUS, payload_type=111, receives={111: OPUS}, opus=OpusWishes(fec=True, max_bitrate=None))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Simulated:
    """A room and what comes to its legs."""

    clock: Clock
    room: Room
    streams: list[tuple[Stream, list[bytes]]] = field(default_factory=list)
    ticked: int = 0

    def tick(self) -> float:
        """CPU of the next one [s]."""
        self.clock.now += FRAME_SECONDS
        for stream, payloads in self.streams:
            payload = payloads[self.ticked % len(payloads)]
            stream.take(encode_packet(RtpPacket(111, self.ticked, FRAME_SAMPLES * self.ticked, 5, payload, False)), False)
        self.ticked += 1
        began = time.thread_time()
        self.room._tick()
        return time.thread_time() - began


def payloads_of(ticks: int) -> tuple[list[bytes], list[bytes]]:
    """Speech, and the noise of a quiet room."""
    noise = np.random.default_rng(1).normal(0, 10, ticks * FRAME_SAMPLES).astype(np.int16)  # -70 dBFS
    said = np.resize(load("speech"), ticks * FRAME_SAMPLES)
    sounds = [(Encoder(bitrate=32_000), sound.reshape(-1, FRAME_SAMPLES)) for sound in (said, noise)]
    speech, quiet = ([encoder.encode(frame) for frame in frames] for encoder, frames in sounds)
    return speech, quiet


async def simulated(seats: int, speaking: int, talkers: int, speech: list[bytes], quiet: list[bytes]) -> Simulated:
    made = Simulated(Clock(), Room(talkers))
    made.room._clock.start = lambda: None  # type: ignore[method-assign]
    for number in range(seats):
        leg = PortLeg()
        stream = Stream(number, "seat", lambda _: True, lambda _: None, leg, clock=made.clock)
        stream.agree(_AGREED)
        stream.open()
        made.streams.append((stream, speech[number % 40 :] if number < speaking else quiet))
        await made.room.join(Seat(str(number)), leg)
    return made


async def measure(ticks: int, *, names: Sequence[str] = (*ROOMS,)) -> dict[str, float]:
    """Median CPU of a tick of each of these rooms [ms]."""
    speech, quiet = payloads_of(ticks + WARM_UP + 40)
    rooms = {name: await simulated(*terms, speech, quiet) for name, terms in ROOMS.items() if name in names}
    took: dict[str, list[float]] = {name: [] for name in rooms}
    for _ in range(WARM_UP + ticks):
        for name, room in rooms.items():
            took[name].append(room.tick())
    return {name: 1000 * median(each[WARM_UP:]) for name, each in took.items()}


def report(found: dict[str, float]) -> str:
    rows: dict[str, list[float | str]] = {name: [took, took / found[ALL_MIXED]] for name, took in found.items()}
    return table("a room's tick", ["ms of CPU", "x all mixed"], rows)


if __name__ == "__main__":
    print(report(asyncio.run(measure(rounds(200)))))
