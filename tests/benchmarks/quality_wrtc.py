"""One end of a measured call by libwebrtc M152 (PyPI's wrtc). Obeys the JSON lines that quality_peer.py describes.

usage: python quality_wrtc.py HEARD.raw SAID.raw [PPM]        with the interpreter of an environment that wrtc is installed in
"""

import array
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import webrtc
from quality_lines import be_busy, milliseconds, tell
from wrtc_peer import FRAME, WrtcPeer

BLOCK = 480


class QualityWrtcEnd(WrtcPeer):
    """Says SAID as soon as it's connected, and keeps what it hears."""

    def __init__(self, said: bytes, slower: float) -> None:
        super().__init__(self._keep)
        self.heard = array.array("h")
        self._said = said
        self._slower = slower  # than the clock: a share
        self.start(self._speak())

    async def obey(self, order: dict[str, Any]) -> None:
        match order["do"]:
            case "offer":
                tell(sdp=await self.offer())
            case "answer":
                tell(sdp=await self.answer(order["sdp"]))
            case "accept":
                await self.accept(order["sdp"])
            case "busy":
                self.start(be_busy(float(order["seconds"])))

    async def _speak(self) -> None:
        await self.connected()
        begun = time.monotonic()
        tell(said_at=1000 * begun)
        async for number in self.due(begun, slower=self._slower):
            part = self._said[2 * FRAME * number : 2 * FRAME * (number + 1)]
            await self.say(number, part + bytes(2 * FRAME - len(part)))
            if number == len(self._said) // (2 * FRAME):
                tell(said=milliseconds())

    def _keep(self, data: Any) -> None:
        if not self.heard:
            tell(heard_at=milliseconds())
        self.heard.extend(_mono(data))


def _mono(data: Any) -> "array.array[int]":
    """10 ms at 48 kHz; of less rate, and silent, before the first packet."""
    samples = array.array("h", bytes(2 * data.number_of_frames * data.number_of_channels))
    data.copy_to(samples, webrtc.AudioDataCopyToOptions(plane_index=0, format="s16"))
    frames, channels = data.number_of_frames, data.number_of_channels
    if frames == BLOCK:
        return samples[::channels]
    return array.array("h", (samples[index * frames // BLOCK * channels] for index in range(BLOCK)))


async def main(heard: Path, said: Path, ppm: float) -> None:
    """Until the end."""
    end = QualityWrtcEnd(said.read_bytes(), ppm * 1e-6)
    tell(ready=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        if order["do"] == "end":
            end.close()
            heard.write_bytes(end.heard.tobytes())
            tell(ended={})
            return
        await end.obey(order)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0))
