"""From an offer to connected, over loopback: two of our ports, with servers that are dead and without, beside two of libwebrtc's.

usage: python tests/benchmarks/path_setup.py [TIMES]

Everything trickles its candidates and both ends count, the later one. libwebrtc runs in Node (npm installs it into a cache folder at the
first run) and each pair lives in one process. Between two calls there's a moment in which whatever is made ahead can be. Every figure is a
median [ms].
"""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from figures import median, rounds, table

sys.path.insert(0, str(Path(__file__).parents[2]))

from sinchphone.media.ice_servers import IceServer
from sinchphone.media.port import CandidateFound, Connected, MediaPort, PortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.tasks import start_task
from tests.media.webrtc.libwebrtc import LibWebRtc, a_libwebrtc
from tests.suite.guests import NotThereError

Took = TypeVar("Took")

PATIENCE_S = 30.0
BLOCK = 5
PAUSE_S = 0.03


class Clocked:
    """A port, when it was connected, and whom its candidates go to."""

    def __init__(self, media: MediaThread, options: PortOptions, tell: Any) -> None:
        self.port: MediaPort = media.ports.port(options)
        self.connected = asyncio.Event()
        self.at = 0.0
        self._tell = tell
        self.reading = start_task(self._read(), name="read")

    async def _read(self) -> None:
        async for event in self.port.events():
            if isinstance(event, CandidateFound):
                await self._tell(event.candidate)
            elif isinstance(event, Connected):
                self.at = time.monotonic()
                self.connected.set()

    async def close(self) -> None:
        await self.port.close()
        await self.reading


async def ours(media: MediaThread, options: PortOptions) -> float:
    """Two of our ports."""
    ends: list[Clocked] = []

    async def to(index: int, candidate: Candidate | None) -> None:
        await ends[index].port.add_candidate(candidate)

    begun = time.monotonic()
    ends += [Clocked(media, options, lambda candidate, other=1 - index: to(other, candidate)) for index in range(2)]
    await ends[0].port.accept(await ends[1].port.answer(await ends[0].port.offer()))
    async with asyncio.timeout(PATIENCE_S):
        for end in ends:
            await end.connected.wait()
    took = 1000 * (max(end.at for end in ends) - begun)
    for end in ends:
        await end.close()
    return took


async def theirs(peer: LibWebRtc, times: int) -> list[float]:
    """Two of libwebrtc's connections."""
    peer.do("meet", times=times)
    took: list[float] = (await peer.told("met"))["took"]
    return took


@contextlib.contextmanager
def dead_servers() -> Iterator[PortOptions]:
    """Servers that take every datagram and say nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        port = hole.getsockname()[1]
        yield PortOptions(
            loopback=True, ice_servers=(IceServer(urls=(f"stun:127.0.0.1:{port}", f"turn:127.0.0.1:{port}"), username="u", credential="p"),)
        )


@dataclass(frozen=True)
class PathSetup:
    """Medians [ms]; NaN: not measured."""

    ours: float
    dead: float  # ours, with a STUN and a TURN server that never answer
    libwebrtc: float
    lacks: str = ""  # why there is no libwebrtc


async def measure(times: int) -> PathSetup:
    """All of them in turn, in blocks; the first block, which warms up, isn't counted."""
    lacks = ""
    async with contextlib.AsyncExitStack() as stack:
        media = await stack.enter_async_context(MediaThread())
        silent = stack.enter_context(dead_servers())
        peer: LibWebRtc | None = None
        try:
            peer = await stack.enter_async_context(a_libwebrtc())
        except NotThereError as error:
            lacks = str(error)
        blocks = [await _block(media, silent, peer) for _ in range(1 + -(-times // BLOCK))][1:]
    columns = [median(took for block in blocks for took in block[index]) for index in range(3)]
    return PathSetup(columns[0], columns[1], columns[2], lacks)


async def _block(media: MediaThread, silent: PortOptions, peer: LibWebRtc | None) -> tuple[list[float], list[float], list[float]]:
    """Some of each, one kind after the other: none of them runs on caches that another one has emptied."""
    anchor = [] if peer is None else [took for _ in range(BLOCK) for took in await _after_a_pause(theirs(peer, 1))]
    here = [await _after_a_pause(ours(media, PortOptions(loopback=True))) for _ in range(BLOCK)]
    return here, [await _after_a_pause(ours(media, silent)) for _ in range(BLOCK)], anchor


async def _after_a_pause(call: Coroutine[Any, Any, Took]) -> Took:
    await asyncio.sleep(PAUSE_S)
    return await call


def report(found: PathSetup) -> str:
    """The table."""
    rows: dict[str, list[float | str]] = {
        "two of libwebrtc": [found.libwebrtc, 1.0],
        "two of ours": [found.ours, found.ours / found.libwebrtc],
        "two of ours, STUN and TURN dead": [found.dead, found.dead / found.libwebrtc],
    }
    return table("offer to connected", ["ms", "/ libwebrtc"], rows) + (f"\nno libwebrtc: {found.lacks}" if found.lacks else "")


if __name__ == "__main__":
    print(report(asyncio.run(measure(rounds(20)))))
