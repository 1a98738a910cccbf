"""One end of calls whose CPU is measured, by libwebrtc M152 (PyPI's wrtc). Obeys the JSON lines of media_cpu.py.

usage: python media_cpu_wrtc.py HZ CALLS        with the interpreter of an environment that wrtc is installed in, and PYTHONPATH

libwebrtc's own audio device, a clock of 10 ms, asks for what is heard; here it's only counted.
"""

import array
import asyncio
import itertools
import json
import math
import sys
import time
from typing import Any

import webrtc

from sinchphone.tasks import start_task

RATE = 48_000
FRAME = 960
FRAMES = 5  # after which a tone of whole periods in 100 ms begins again
PEAK = 4600  # -20 dBFS
PATIENCE_S = 30.0
SETTLE_S = 1.0


def tone(hz: float) -> list[bytes]:
    """Its frames; the first follows the last."""
    wave = array.array("h", (round(PEAK * math.sin(2 * math.pi * hz * index / RATE)) for index in range(FRAMES * FRAME)))
    return [wave[number * FRAME : (number + 1) * FRAME].tobytes() for number in range(FRAMES)]


class End:
    """One end of one call. ``samples`` were heard so far."""

    def __init__(self, said: list[bytes]) -> None:
        self.samples = 0
        self._said = said
        self._connection = webrtc.RTCPeerConnection()
        self._track = webrtc.MediaStreamTrackGenerator("audio")
        self._connection.add_track(self._track)
        self._changed = asyncio.Event()
        self._connection.on("track", lambda event: self._start(self._listen(event.track)))
        self._connection.on("connectionstatechange", lambda _event: self._changed.set())
        self._connection.on("icegatheringstatechange", lambda _event: self._changed.set())
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def frames(self) -> int:
        """Of 20 ms."""
        return self.samples // FRAME

    async def offer(self) -> str:
        return await self._describe(await self._connection.create_offer())

    async def answer(self, offer: str) -> str:
        await self._connection.set_remote_description(webrtc.RTCSessionDescriptionInit(type="offer", sdp=offer))
        return await self._describe(await self._connection.create_answer())

    async def accept(self, answer: str) -> None:
        await self._connection.set_remote_description(webrtc.RTCSessionDescriptionInit(type="answer", sdp=answer))

    async def connect(self) -> None:
        await self._until(lambda: str(self._connection.connection_state) == "connected")
        self._start(self._speak())

    async def _describe(self, description: Any) -> str:
        await self._connection.set_local_description(description)
        await self._until(lambda: str(self._connection.ice_gathering_state) == "complete")
        return str(self._connection.local_description.sdp)

    async def _until(self, is_so: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    def _start(self, work: Any) -> None:
        start_task(work, name="work", among=self._tasks)

    async def _speak(self) -> None:
        writer, begun = self._track.writable.get_writer(), time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(begun + number * FRAME / RATE - time.monotonic())
            init = webrtc.AudioDataInit(
                format="s16",
                sample_rate=RATE,
                number_of_frames=FRAME,
                number_of_channels=1,
                timestamp=number * 20_000,
                data=self._said[number % FRAMES],
            )
            await writer.write(webrtc.AudioData(init))

    async def _listen(self, track: Any) -> None:
        processor = webrtc.MediaStreamTrackProcessor(webrtc.MediaStreamTrackProcessorInit(track=track, max_buffer_size=200))
        async for data in processor.readable:
            self.samples += data.number_of_frames if data.sample_rate == RATE else 0
            data.close()


async def obey(ends: list[End], order: str, argument: Any) -> Any:
    """What the order is answered with."""
    match order:
        case "offer":
            return [await end.offer() for end in ends]
        case "answer":
            return [await end.answer(offer) for end, offer in zip(ends, argument, strict=True)]
        case "accept":
            for end, answer in zip(ends, argument, strict=True):
                await end.accept(answer)
            return None
        case "connect":
            await asyncio.gather(*(end.connect() for end in ends))
            return await asyncio.sleep(SETTLE_S)
        case "measure":
            cpu, heard = time.process_time(), [end.frames for end in ends]
            await asyncio.sleep(argument)
            return [time.process_time() - cpu, [end.frames - before for end, before in zip(ends, heard, strict=True)]]
        case _:
            raise AssertionError(order)


async def serve(hz: float, calls: int) -> None:
    """Until the end of standard input."""
    said = tone(hz)
    ends = [End(said) for _ in range(calls)]
    while line := await asyncio.to_thread(sys.stdin.readline):
        order, argument = json.loads(line)
        print(json.dumps(await obey(ends, order, argument)), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), int(sys.argv[2])))
