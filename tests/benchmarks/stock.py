"""The anchor: aiortc as it comes, two peer connections that carry a tone each over loopback."""

import asyncio
import fractions
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import aioice.ice
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame
from sinchphone.audio.tones.signals import Sine
from sinchphone.tasks import start_task

LOUD = 500  # of 32 768: a sample that is no silence


@contextmanager
def loopback() -> Iterator[None]:
    """aioice finds no address on a machine that has loopback only; here it does."""
    found = aioice.ice.get_host_addresses
    with patch.object(aioice.ice, "get_host_addresses", lambda **families: found(**families) or ["127.0.0.1"]):
        yield


def tone(hz: float) -> list[Frame]:
    """The frames of a tone of whole periods in 100 ms; the first follows the last."""
    sine = Sine(hz)
    return [sine.pull() for _ in range(5)]


class Tone(MediaStreamTrack):
    """A sine, paced as aiortc's own tracks are."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self._said = itertools.cycle(tone(hz))
        self._begun: float | None = None
        self._sent = 0

    async def recv(self) -> AudioFrame:
        if self._begun is None:
            self._begun = time.monotonic()
        await asyncio.sleep(self._begun + self._sent / RATE - time.monotonic())
        frame = AudioFrame.from_ndarray(next(self._said)[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, fractions.Fraction(1, RATE)
        self._sent += FRAME_SAMPLES
        return frame


class Peer:
    """One end. ``marks`` tells when what happened, on time.monotonic; ``frames`` counts what was decoded."""

    def __init__(self, hz: float) -> None:
        self.marks: dict[str, float] = {}
        self.frames = 0
        self.connected = asyncio.Event()
        self.heard = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(Tone(hz))
        self.connection.on("connectionstatechange", self._changed)
        self.connection.on("track", self._take)

    async def offer(self) -> str:
        with loopback():
            await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def answer(self, offer: str) -> str:
        with loopback():
            await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await self.connection.close()

    def _changed(self) -> None:
        if self.connection.connectionState == "connected":
            self.marks.setdefault("connected", time.monotonic())
            self.connected.set()

    def _take(self, track: MediaStreamTrack) -> None:
        self._listening = start_task(self._listen(track), name="listen")

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            self.frames += 1
            if not self.heard.is_set() and np.abs(frame.to_ndarray().astype(np.int32)).max() > LOUD:  # type: ignore[union-attr]
                self.marks["sound"] = time.monotonic()
                self.heard.set()


async def set_up() -> dict[str, float]:
    """One call: from the first line to connected and to sound, the later end counts [ms]."""
    begun = time.monotonic()
    one, other = Peer(440.0), Peer(620.0)
    try:
        await one.accept(await other.answer(await one.offer()))
        async with asyncio.timeout(30):
            for peer in (one, other):
                await peer.connected.wait()
                await peer.heard.wait()
    finally:
        await one.close()
        await other.close()
    return {step: 1000 * (max(one.marks[step], other.marks[step]) - begun) for step in ("connected", "sound")}
