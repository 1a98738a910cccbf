"""A phone in a network namespace of its own. Prints a line of JSON for each call, and waits for a line before each.

usage: nat_party.py call|listen URL KEY SECRET CA_FILE
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a program

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame
from sinchphone.audio.tones import goertzel
from sinchphone.audio.tones.signals import Sine
from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.engine.events.events import IncomingCall
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker

PATIENCE_S = 25.0
HEARD = 0.95


class Ear:
    """Says one tone and waits for another; when it was heard first, and how clearly at best in half a second."""

    def __init__(self, says_hz: float, hears_hz: float) -> None:
        self._tone = Sine(says_hz)
        self._hears_hz = hears_hz
        self._heard: list[Frame] = []
        self.first_at: float | None = None
        self.share = 0.0

    def tick(self, far: Frame) -> Frame:
        """In the media loop, which has no time for more."""
        if self.first_at is None and far.any():
            self.first_at = time.monotonic()
        self._heard.append(far.copy())
        return self._tone.pull()

    async def hears(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.share < HEARD:
                await asyncio.sleep(0.05)
                last = self._heard[-RATE // FRAME_SAMPLES // 2 :]
                self.share = max(self.share, goertzel.share(np.concatenate(last), self._hears_hz)) if last else 0.0


def way_of(call: Call) -> str:
    """Over what the call's packets go: the local candidate's type, and the way to the relay."""
    crossing: Any = call._ports.winner
    pair = crossing._port._path.ice._nominated[1]
    return f"{pair.local_candidate.type} {pair.protocol.transport!r}" if pair.local_candidate.type == "relay" else pair.local_candidate.type


async def line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


async def make_calls(client: SinchClient) -> None:
    while await line():
        ear, begun = Ear(440, 620), time.monotonic()
        call = await client.call_user("bob", sound=Ticker(ear, client.media))
        if not await call.established():
            print(json.dumps({"failed": str(call.details.error or call.details.cause)}), flush=True)
            continue
        established = time.monotonic()
        await ear.hears()
        first = ear.first_at or 0.0
        told = {"way": way_of(call), "share": ear.share, "established_s": established - begun, "sound_s": first - begun}
        print(json.dumps(told), flush=True)
        await line()
        await call.hang_up()
        await call.closed()


async def take_calls(client: SinchClient, ears: list[Ear]) -> None:
    async for event in client.events():
        if isinstance(event, IncomingCall):
            await event.call.answer()
            if await event.call.established():
                await ears[-1].hears()
                print(json.dumps({"way": way_of(event.call), "share": ears[-1].share}), flush=True)


async def main(role: str, url: str, key: str, secret: str, ca_file: str) -> None:
    cloud = Cloud(key, host=url, secret=secret, ca_file=Path(ca_file))
    ears: list[Ear] = []

    def sound() -> Ticker:
        ears.append(Ear(620, 440))
        return Ticker(ears[-1], media)

    with MediaThread() as media:
        async with SinchClient(
            "alice" if role == "call" else "bob", cloud, media=media, sound=sound, takes_calls=role == "listen"
        ) as client:
            print(json.dumps({"ready": True}), flush=True)
            await (make_calls(client) if role == "call" else take_calls(client, ears))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
