"""One end of a measured call by libwebrtc M152 (PyPI's wrtc). Obeys the JSON lines that quality_peer.py describes.

usage: python quality_wrtc.py HEARD.raw SAID.raw [PPM]        with the interpreter of an environment that wrtc is installed in

Nothing but the standard library and wrtc is imported. libwebrtc's own audio device, a clock of 10 ms, asks for what is heard.
"""

import array
import asyncio
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import webrtc

from sinchphone.tasks import start_task

RATE = 48_000
FRAME = 960  # handed over at once, as everybody else does
BLOCK = 480
BUSY_EVERY_S = 0.5


def tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def milliseconds() -> float:
    return 1000 * time.monotonic()


class End:
    """A connection with a track that says SAID, and what it heard."""

    def __init__(self, said: bytes, slower: float) -> None:
        self._said = said
        self._slower = slower  # than the clock: a share
        self._connection = webrtc.RTCPeerConnection()
        self._track = webrtc.MediaStreamTrackGenerator("audio")
        self._connection.add_track(self._track)
        self._connection.on("track", lambda event: self._start(self._listen(event.track)))
        self._connection.on("connectionstatechange", self._changed)
        self._gathered = asyncio.Event()
        self._connection.on("icegatheringstatechange", self._changed)
        self._heard = array.array("h")
        self._tasks: set[asyncio.Task[None]] = set()
        self._speaks = False

    async def describe(self, description: Any) -> None:
        """Take it as ours, and tell it with all candidates."""
        await self._connection.set_local_description(description)
        async with asyncio.timeout(20):
            while str(self._connection.ice_gathering_state) != "complete":
                self._gathered.clear()
                await self._gathered.wait()
        tell(sdp=self._connection.local_description.sdp)

    async def obey(self, order: dict[str, Any]) -> None:
        match order["do"]:
            case "offer":
                await self.describe(await self._connection.create_offer())
            case "answer":
                await self._remote("offer", order["sdp"])
                await self.describe(await self._connection.create_answer())
            case "accept":
                await self._remote("answer", order["sdp"])
            case "busy":
                self._start(self._be_busy(float(order["seconds"])))

    async def _be_busy(self, seconds: float) -> None:
        """Do something else in this loop, again and again."""
        while True:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                pass
            await asyncio.sleep(BUSY_EVERY_S - seconds)

    async def _remote(self, kind: str, sdp: str) -> None:
        await self._connection.set_remote_description(webrtc.RTCSessionDescriptionInit(type=kind, sdp=sdp))

    def end(self) -> "array.array[int]":
        self._connection.close()
        return self._heard

    def _start(self, work: Any) -> None:
        task = start_task(work, name="work")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _changed(self, _event: Any) -> None:
        self._gathered.set()
        if str(self._connection.connection_state) == "connected" and not self._speaks:
            self._speaks = True
            self._start(self._speak())

    async def _speak(self) -> None:
        writer = self._track.writable.get_writer()
        begun = time.monotonic()
        tell(said_at=1000 * begun)
        for number in itertools.count():
            await asyncio.sleep(begun + number * FRAME / RATE * (1 + self._slower) - time.monotonic())
            part = self._said[2 * FRAME * number : 2 * FRAME * (number + 1)]
            init = webrtc.AudioDataInit(
                format="s16",
                sample_rate=RATE,
                number_of_frames=FRAME,
                number_of_channels=1,
                timestamp=number * 20_000,
                data=part + bytes(2 * FRAME - len(part)),
            )
            await writer.write(webrtc.AudioData(init))
            if number == len(self._said) // (2 * FRAME):
                tell(said=milliseconds())

    async def _listen(self, track: Any) -> None:
        processor = webrtc.MediaStreamTrackProcessor(webrtc.MediaStreamTrackProcessorInit(track=track, max_buffer_size=200))
        async for data in processor.readable:
            if not self._heard:
                tell(heard_at=milliseconds())
            self._heard.extend(_mono(data))
            data.close()


def _mono(data: Any) -> "array.array[int]":
    """10 ms at 48 kHz; of less rate, and silent, before the first packet."""
    samples = array.array("h", bytes(2 * data.number_of_frames * data.number_of_channels))
    data.copy_to(samples, webrtc.AudioDataCopyToOptions(plane_index=0, format="s16"))
    frames, channels = data.number_of_frames, data.number_of_channels
    if frames == BLOCK:
        return samples[::channels]
    return array.array("h", (samples[index * frames // BLOCK * channels] for index in range(BLOCK)))


async def serve(heard: Path, said: Path, ppm: float) -> None:
    """Until the end."""
    end = End(said.read_bytes(), ppm * 1e-6)
    tell(ready=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        if order["do"] == "end":
            heard.write_bytes(end.end().tobytes())
            tell(ended={})
            return
        await end.obey(order)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0))
