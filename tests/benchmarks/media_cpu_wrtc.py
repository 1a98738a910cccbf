"""The ends of calls whose CPU is measured, by libwebrtc M152. Obeys as ``call_ends.py`` says.

usage: python media_cpu_wrtc.py HZ CALLS        with the interpreter of an environment that wrtc is installed in, and PYTHONPATH

What is heard is only counted.
"""

import array
import asyncio
import math
import sys
import time
from functools import partial
from typing import Any

from call_ends import obey, serve
from wrtc_peer import FRAME, RATE, WrtcPeer

FRAMES = 5  # after which a tone of whole periods in 100 ms begins again
PEAK = 4600  # -20 dBFS


def tone(hz: float) -> list[bytes]:
    """Its frames; the first follows the last."""
    wave = array.array("h", (round(PEAK * math.sin(2 * math.pi * hz * index / RATE)) for index in range(FRAMES * FRAME)))
    return [wave[number * FRAME : (number + 1) * FRAME].tobytes() for number in range(FRAMES)]


class WrtcEnd(WrtcPeer):
    """One end of one call. ``samples`` were heard so far."""

    def __init__(self, said: list[bytes]) -> None:
        super().__init__(self._count)
        self.samples = 0
        self._said = said

    @property
    def frames(self) -> int:
        """Of 20 ms."""
        return self.samples // FRAME

    async def connect(self) -> None:
        """Wait for the other one, and begin to speak."""
        await self.connected()
        self.start(self._speak())

    async def _speak(self) -> None:
        async for number in self.due(time.monotonic()):
            await self.say(number, self._said[number % FRAMES])

    def _count(self, data: Any) -> None:
        self.samples += data.number_of_frames if data.sample_rate == RATE else 0


async def main(hz: float, calls: int) -> None:
    """Until the end of standard input."""
    said = tone(hz)
    await serve(partial(obey, [WrtcEnd(said) for _ in range(calls)]))


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
