"""libwebrtc M152 as PyPI's wrtc has it: one connection with a track that says something, and what it hears.

Needs the interpreter of an environment that wrtc is installed in, and PYTHONPATH. libwebrtc's own audio device, a clock of 10 ms, asks for
what is heard.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import webrtc

from sinchphone.tasks import start_task

RATE: Final = 48_000
FRAME: Final = 960  # handed over at once, as everybody else does
_PATIENCE_S: Final = 30.0


class WrtcPeer:
    """Ready to offer or to answer."""

    def __init__(self, hear: Callable[[Any], object]) -> None:
        """``hear`` is given each piece of sound that is heard (AudioData), and doesn't keep it."""
        self._hear = hear
        self._connection = webrtc.RTCPeerConnection()
        self._track = webrtc.MediaStreamTrackGenerator("audio")
        self._connection.add_track(self._track)
        self._writer: Any = None
        self._changed = asyncio.Event()
        self._connection.on("track", lambda event: self.start(self._listen(event.track)))
        self._connection.on("connectionstatechange", lambda _event: self._changed.set())
        self._connection.on("icegatheringstatechange", lambda _event: self._changed.set())
        self._tasks: set[asyncio.Task[None]] = set()

    async def offer(self) -> str:
        """Its description, candidates in it."""
        return await self._describe(await self._connection.create_offer())

    async def answer(self, offer: str) -> str:
        """The same for an offer."""
        await self._take("offer", offer)
        return await self._describe(await self._connection.create_answer())

    async def accept(self, answer: str) -> None:
        """Take the answer to its offer."""
        await self._take("answer", answer)

    async def connected(self) -> None:
        """Wait for it."""
        await self._until(lambda: str(self._connection.connection_state) == "connected")

    async def due(self, begun: float, *, slower: float = 0.0) -> AsyncIterator[int]:
        """The numbers of frames as they are due, for ever, the first at ``begun`` of the monotonic clock; by a clock slower by a share."""
        for number in itertools.count():
            await asyncio.sleep(begun + number * FRAME / RATE * (1 + slower) - time.monotonic())
            yield number

    async def say(self, number: int, samples: bytes) -> None:
        """Hand over the frame of that number."""
        if self._writer is None:
            self._writer = self._track.writable.get_writer()
        init = webrtc.AudioDataInit(
            format="s16", sample_rate=RATE, number_of_frames=FRAME, number_of_channels=1, timestamp=number * 20_000, data=samples
        )
        await self._writer.write(webrtc.AudioData(init))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside."""
        start_task(work, name="work", among=self._tasks)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    async def _take(self, kind: str, sdp: str) -> None:
        await self._connection.set_remote_description(webrtc.RTCSessionDescriptionInit(type=kind, sdp=sdp))

    async def _describe(self, description: Any) -> str:
        await self._connection.set_local_description(description)
        async with asyncio.timeout(_PATIENCE_S):
            await self._until(lambda: str(self._connection.ice_gathering_state) == "complete")
        return str(self._connection.local_description.sdp)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    async def _listen(self, track: Any) -> None:
        processor = webrtc.MediaStreamTrackProcessor(webrtc.MediaStreamTrackProcessorInit(track=track, max_buffer_size=200))
        async for data in processor.readable:
            self._hear(data)
            data.close()
