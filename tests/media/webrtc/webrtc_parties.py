"""Parties of a call over WebRTC, joined by a line of signaling that a test can slow down or cut."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Samples
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import SinchphoneError
from sinchphone.media.port import CandidateFound, Connected, PortEvent, PortOptions, RestartWanted
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.tasks import start_task

HERE = PortOptions(loopback=True)
PATIENCE_S = 20.0
SETTLE_S = 0.5  # until the jitter buffers play
BLOCK = RATE // 50  # 20 ms, in which there is sound or not
Event = TypeVar("Event", bound=PortEvent)
Deliver = Callable[[Candidate | None], Awaitable[None]]


class Party:
    """A port that says a tone, keeps what it hears and when, and does what an engine does with the port's events."""

    def __init__(self, port: WebRtcPort, hz: float) -> None:
        self.port = port
        self.seen: list[PortEvent] = []
        self.heard: list[Samples] = []
        self.errors: list[str] = []
        self.line: Line | None = None  # to the other party, for restarts
        self._tone = Sine(hz)
        self._news = asyncio.Event()
        self._deliver: Deliver | None = None
        self._kept: list[Candidate | None] = []
        self._working: set[asyncio.Task[None]] = set()

    async def read(self) -> None:
        async for event in self.port.events():
            self.seen.append(event)
            self._news.set()
            if isinstance(event, CandidateFound):
                await self._tell(event.candidate)
            elif isinstance(event, RestartWanted) and self.line is not None:
                task = start_task(self.line.restart(self), name="restart")
                self._working.add(task)
                task.add_done_callback(self._working.discard)

    async def trickle_to(self, deliver: Deliver) -> None:
        self._deliver = deliver
        kept, self._kept = self._kept, []
        for candidate in kept:
            await deliver(candidate)

    async def wait_for(self, kind: type[Event], count: int = 1) -> Event:
        """The event of that kind, or the second, third … of it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [event for event in self.seen if isinstance(event, kind)]
                if len(found) >= count:
                    return found[count - 1]
                self._news.clear()
                await self._news.wait()

    def has(self, kind: type[PortEvent]) -> bool:
        return any(isinstance(event, kind) for event in self.seen)

    def tick(self) -> None:
        self.port.leg.send(self._tone.pull())
        self.heard.append(self.port.leg.pull(FRAME_SAMPLES))

    async def _tell(self, candidate: Candidate | None) -> None:
        if self._deliver is None:
            self._kept.append(candidate)
        else:
            await self._deliver(candidate)


class Line:
    """Signaling between two parties; ``delay_s`` is one way."""

    def __init__(self, one: Party, other: Party, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.cut = False
        self.offers = 0
        self._others = {one: other, other: one}
        one.line = other.line = self

    async def restart(self, party: Party) -> None:
        """As the engine does: what fails leaves things as they are."""
        other = self._others[party]
        try:
            offer = await party.port.restart()
            self.offers += 1
            await asyncio.sleep(self.delay_s)
            if self.cut:
                return
            answer = await other.port.answer(offer)
            await asyncio.sleep(self.delay_s)
            await party.port.accept(answer)
        except SinchphoneError as error:
            party.errors.append(str(error))


@asynccontextmanager
async def a_party(port: WebRtcPort, hz: float) -> AsyncIterator[Party]:
    party = Party(port, hz)
    reading = start_task(party.read(), name="read")
    try:
        yield party
    finally:
        await port.close()
        await asyncio.wait_for(reading, PATIENCE_S)


@asynccontextmanager
async def a_call(one: PortOptions = HERE, other: PortOptions = HERE, *, delay_s: float = 0.0) -> AsyncIterator[tuple[Party, Party]]:
    """Two parties that are connected and talk all the time: the caller says 440 Hz, the callee 620."""
    async with a_party(WebRtcPort(one), 440) as caller, a_party(WebRtcPort(other), 620) as callee:
        await caller.trickle_to(callee.port.add_candidate)
        await callee.trickle_to(caller.port.add_candidate)
        await caller.port.accept(await callee.port.answer(await caller.port.offer()))
        await caller.wait_for(Connected)
        await callee.wait_for(Connected)
        Line(caller, callee, delay_s)
        talking = start_task(talk(caller, callee), name="talk")
        try:
            await hear(caller, SETTLE_S)
            yield caller, callee
        finally:
            talking.cancel()
            await asyncio.wait([talking])


async def talk(*parties: Party) -> None:
    """For ever."""
    due = time.monotonic()
    while True:
        for party in parties:
            party.tick()
        due += FRAME_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def hear(party: Party, seconds: float) -> Samples:
    """What it hears from now on."""
    begun = len(party.heard)
    async with asyncio.timeout(PATIENCE_S):
        while len(party.heard) - begun < seconds / FRAME_SECONDS:
            await asyncio.sleep(FRAME_SECONDS)
    return np.concatenate(party.heard[begun:])


def share_of(sound: Samples, hz: float) -> float:
    """The tone's share in the half second that has most of it: on a busy machine a stalled test is heard as a gap."""
    length = RATE // 2
    return max(share(sound[at : at + length], hz) for at in range(0, max(1, len(sound) - length + 1), RATE // 10))


def longest_gap_ms(sound: Samples, hz: float) -> float:
    """The longest stretch without the tone."""
    there = [share(sound[at : at + BLOCK], hz) > 0.5 for at in range(0, len(sound) - BLOCK + 1, BLOCK)]
    longest = run = 0
    for block in there:
        run = 0 if block else run + 1
        longest = max(longest, run)
    return 1000 * longest * BLOCK / RATE


def cut_off(port: WebRtcPort) -> None:
    """The network under the path in use is gone: nothing comes in or goes out, and nobody is told."""
    ice = port._path.ice
    for socket in ice._protocols:
        socket.transport.sendto = lambda data, addr=None: None  # type: ignore[method-assign]
        socket.datagram_received = lambda data, addr: None  # type: ignore[method-assign]
