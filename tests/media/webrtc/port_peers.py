"""WebRTC ports as tests hold them: their events are read, their candidates go to each other, their tones are kept."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Samples
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.port import CandidateFound, Connected, PortEvent, PortOptions
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.tasks import start_task

HERE = PortOptions(loopback=True)
PATIENCE = 10.0  # seconds that anything may take on a busy machine
SETTLED = 25  # frames until the jitter buffers play
Event = TypeVar("Event", bound=PortEvent)


class Peer:
    """A port whose events are read and whose candidates go to another."""

    def __init__(self, port: WebRtcPort) -> None:
        self.port = port
        self.seen: list[PortEvent] = []
        self.heard: list[Samples] = []
        self.ended = asyncio.Event()
        self._news = asyncio.Event()
        self._deliver: Callable[[Candidate | None], Awaitable[None]] | None = None
        self._kept: list[Candidate | None] = []

    async def read(self) -> None:
        async for event in self.port.events():
            if isinstance(event, CandidateFound):
                await self._pass_on(event.candidate)
            self.seen.append(event)
            self._news.set()
        self.ended.set()

    async def trickle_to(self, deliver: Callable[[Candidate | None], Awaitable[None]]) -> None:
        self._deliver = deliver
        kept, self._kept = self._kept, []
        for candidate in kept:
            await deliver(candidate)

    async def wait_for(self, kind: type[Event]) -> Event:
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self.seen:
                    if isinstance(event, kind):
                        return event
                self._news.clear()
                await self._news.wait()

    def has(self, kind: type[PortEvent]) -> bool:
        return any(isinstance(event, kind) for event in self.seen)

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.heard[SETTLED:])

    async def _pass_on(self, candidate: Candidate | None) -> None:
        if self._deliver is None:
            self._kept.append(candidate)
        else:
            await self._deliver(candidate)


@asynccontextmanager
async def a_peer(port: WebRtcPort) -> AsyncIterator[Peer]:
    peer = Peer(port)
    reading = start_task(peer.read(), name="read")
    try:
        yield peer
    finally:
        await port.close()
        await asyncio.wait_for(reading, PATIENCE)


@asynccontextmanager
async def two_peers(one: PortOptions = HERE, other: PortOptions = HERE) -> AsyncIterator[tuple[Peer, Peer]]:
    async with a_peer(WebRtcPort(one)) as caller, a_peer(WebRtcPort(other)) as callee:
        await caller.trickle_to(callee.port.add_candidate)
        await callee.trickle_to(caller.port.add_candidate)
        yield caller, callee


async def connect(caller: Peer, callee: Peer) -> None:
    await set_up(caller, callee)
    await caller.wait_for(Connected)
    await callee.wait_for(Connected)


async def talk(frames: int, *speakers: tuple[Peer, float]) -> None:
    """Everybody sends a tone of their own and keeps what they pull."""
    tones = [(peer, Sine(hz)) for peer, hz in speakers]
    due = time.monotonic()
    for _ in range(frames):
        for peer, tone in tones:
            peer.port.leg.send(tone.pull())
            peer.heard.append(peer.port.leg.pull(FRAME_SAMPLES))
        due += FRAME_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def clearest(sound: Samples, hz: float) -> float:
    """The tone's share in the second that has most of it: on a busy machine a stalled test is heard as a gap."""
    length = RATE
    return max(share(sound[at : at + length], hz) for at in range(0, max(1, len(sound) - length + 1), RATE // 10))


async def set_up(caller: Peer, callee: Peer) -> None:
    await caller.port.accept(await callee.port.answer(await caller.port.offer()))
