"""One end of a measured call, in a process of its own: ours, or stock aiortc's. Obeys JSON lines, as quality_peer.js does.

usage: python quality_peer.py ours|stock HEARD.raw SAID.raw [PPM]     so much slower is the speaker's clock

::

                                      -> {"ready": true}   it has started
    {"do": "offer"}                   -> {"sdp": …}        candidates are in it
    {"do": "answer", "sdp": offer}    -> {"sdp": …}
    {"do": "accept", "sdp": answer}
                                      -> {"said_at": ms}   the first sample of SAID was handed over, {"said": ms} the last
                                      -> {"heard_at": ms}  the first sample of HEARD was played
    {"do": "busy", "seconds": "0.1"}                       from now on this program's own loop is, for so long, twice a second
    {"do": "end"}                     -> {"ended": …}      HEARD is written

20 ms are handed over at a time, when the first of them are due; a player asks for 10 ms by the clock, as a sound card does.
Times are of the monotonic clock, which is the same in every process.
"""

import asyncio
import itertools
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from quality_lines import be_busy, milliseconds, tell

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples
from sinchphone.media.clock import FrameClock
from sinchphone.media.port import CandidateFound, Connected, PortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task

BLOCK = 480


class Voice:
    """What is said, 20 ms at a time; then silence."""

    def __init__(self, sound: Samples) -> None:
        self._frames = deque(np.split(sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES], len(sound) // FRAME_SAMPLES))
        self._begun = False

    def next(self) -> Frame:
        if not self._begun:
            self._begun = True
            tell(said_at=milliseconds())
        if not self._frames:
            return np.zeros(FRAME_SAMPLES, np.int16)
        frame = self._frames.popleft()
        if not self._frames:
            tell(said=milliseconds())
        return frame


class Player(threading.Thread):
    """A sound card's loudspeaker: asks ``pull`` for a block every 10 ms; before the first sound it gives ``None``."""

    def __init__(self, pull: Callable[[int], Samples | None]) -> None:
        super().__init__(daemon=True)
        self.blocks: list[Samples] = []
        self._pull = pull
        self._stopped = threading.Event()

    def run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            at = milliseconds()
            block = self._pull(BLOCK)
            if block is not None and not self.blocks:
                tell(heard_at=at)
            if block is not None or self.blocks:
                self.blocks.append(np.zeros(BLOCK, np.int16) if block is None else block)
            due += BLOCK / RATE
            time.sleep(max(0.0, due - time.monotonic()))

    def stop(self) -> Samples:
        self._stopped.set()
        self.join()
        return np.concatenate([*self.blocks, np.zeros(1, np.int16)])


class OurEnd:
    """The product's port in the product's media thread."""

    def __init__(self, voice: Voice, media: MediaThread, slower: float) -> None:
        self._voice = voice
        self._slower = slower
        self._media = media
        self._port = media.ports.port(PortOptions())
        self._events = self._port.events()
        self._clock: FrameClock | None = None
        self._player = Player(self._port.leg.pull)
        self._live: asyncio.Task[None] | None = None

    async def offer(self) -> str:
        offer = await self._port.offer()
        return self._with_candidates(offer.sdp, await self._candidates())

    async def answer(self, sdp: str) -> str:
        answer = await self._port.answer(Description("offer", sdp))
        candidates = await self._candidates()
        self._live = start_task(self._run(), name="run")
        return self._with_candidates(answer.sdp, candidates)

    async def accept(self, sdp: str) -> None:
        await self._port.accept(Description("answer", sdp))
        self._live = start_task(self._run(), name="run")

    async def end(self) -> tuple[Samples, dict[str, Any]]:
        heard = self._player.stop()
        stats = await self._port.stats()
        await self._port.close()
        return heard, {"delay_ms": stats.delay_ms, "concealed": stats.concealed_samples, "round_trip_ms": stats.round_trip_ms}

    async def _candidates(self) -> list[Candidate]:
        candidates = []
        async for event in self._events:
            if not isinstance(event, CandidateFound) or event.candidate is None:
                break
            candidates.append(event.candidate)
        return candidates

    @staticmethod
    def _with_candidates(sdp: str, candidates: list[Candidate]) -> str:
        return sdp + "".join(f"a={each.candidate}\r\n" for each in candidates) + "a=end-of-candidates\r\n"

    async def _run(self) -> None:
        async for event in self._events:
            if isinstance(event, Connected):
                self._player.start()
                await self._media.run(self._speak())

    async def _speak(self) -> None:
        if self._slower:
            self._pacing = start_task(self._speak_slowly(), name="speak slowly")
            return
        self._clock = FrameClock(lambda: self._port.leg.send(self._voice.next()))
        self._clock.start()

    async def _speak_slowly(self) -> None:
        begun = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(begun + number * FRAME_SAMPLES / RATE * (1 + self._slower) - time.monotonic())
            self._port.leg.send(self._voice.next())


class StockEnd:
    """aiortc as it comes; its frames wait in a plain queue for the player."""

    def __init__(self, voice: Voice, slower: float) -> None:
        from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
        from av import AudioFrame

        connected = asyncio.Event()

        class Track(MediaStreamTrack):
            kind = "audio"
            sent, begun = 0, 0.0

            async def recv(self) -> AudioFrame:
                await connected.wait()
                self.begun = self.begun or time.monotonic()
                await asyncio.sleep(self.begun + self.sent / RATE * (1 + slower) - time.monotonic())
                frame = AudioFrame.from_ndarray(voice.next()[None, :], format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, self.sent, Fraction(1, RATE)
                self.sent += FRAME_SAMPLES
                return frame

        self._queue: deque[Samples] = deque()
        self._rest = np.zeros(0, np.int16)
        self._player = Player(self._pull)
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.addTrack(Track())
        self._connection.on("track", lambda track: start_task(self._listen(track), name="listen"))
        self._connection.on("connectionstatechange", lambda: connected.set() if self._connection.connectionState == "connected" else None)

    async def offer(self) -> str:
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return str(self._connection.localDescription.sdp)

    async def answer(self, sdp: str) -> str:
        from aiortc import RTCSessionDescription

        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return str(self._connection.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        from aiortc import RTCSessionDescription

        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def end(self) -> tuple[Samples, dict[str, Any]]:
        heard = self._player.stop()
        await self._connection.close()
        return heard, {}

    async def _listen(self, track: Any) -> None:
        self._player.start()
        while True:
            frame = await track.recv()
            sound = frame.to_ndarray().reshape(-1)
            self._queue.append(sound[:: len(frame.layout.channels)].astype(np.int16))

    def _pull(self, samples: int) -> Samples | None:
        while len(self._rest) < samples and self._queue:
            self._rest = np.concatenate([self._rest, self._queue.popleft()])
        if len(self._rest) < samples:
            return None
        pulled, self._rest = self._rest[:samples], self._rest[samples:]
        return pulled


async def serve(kind: str, heard: Path, said: Path, slower: float) -> None:
    """Until the end."""
    voice = Voice(np.fromfile(said, np.int16))
    tasks: list[asyncio.Task[None]] = []
    async with MediaThread() as media:
        end: OurEnd | StockEnd = OurEnd(voice, media, slower) if kind == "ours" else StockEnd(voice, slower)
        tell(ready=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            match order["do"]:
                case "offer":
                    tell(sdp=await end.offer())
                case "answer":
                    tell(sdp=await end.answer(order["sdp"]))
                case "accept":
                    await end.accept(order["sdp"])
                case "busy":
                    tasks.append(start_task(be_busy(float(order["seconds"])), name="busy"))
                case "end":
                    for task in tasks:
                        task.cancel()
                    sound, ended = await end.end()
                    sound.tofile(heard)
                    tell(ended=ended)
                    return


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]) * 1e-6 if len(sys.argv) > 4 else 0.0))
