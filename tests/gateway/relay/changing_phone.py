"""A phone over plain RTP that changes in mid-call: its codec, its payload numbers, its port, the length of its packets, its source."""

import asyncio
import re
import secrets
import struct
import time
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sinchphone.tasks import start_task
from tests.gateway.relay.relay_lab import BLOCK, G711_RATE, LEVEL_DBFS, linear, ulaw

EVENT: Final = "telephone-event"
_RTPMAP: Final = re.compile(r"^a=rtpmap:(\d+) ([\w-]+)/8000", re.MULTILINE)
_STATIC: Final = {0: "PCMU", 8: "PCMA"}
_ALAW_MASK: Final = 0x55


def alaw(samples: NDArray[np.int16]) -> bytes:
    """G.711 A-law, by its formula."""
    wide = samples.astype(np.int32)
    magnitude = np.minimum(np.where(wide < 0, -wide - 1, wide), 32767) >> 3
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    mantissa = np.where(exponent <= 1, magnitude >> 1, magnitude >> exponent) & 15
    code = (np.where(magnitude >= 32, exponent, 0) << 4) | mantissa | np.where(wide < 0, 0, 0x80)
    return (code ^ _ALAW_MASK).astype(np.uint8).tobytes()


def linear_of_alaw(payload: bytes) -> NDArray[np.int16]:
    """The samples of A-law."""
    code = np.frombuffer(payload, np.uint8).astype(np.int32) ^ _ALAW_MASK
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


@dataclass(frozen=True, slots=True)
class Description:
    """What the phone says about itself. ``formats``: its own payload numbers, and what stands behind them."""

    formats: dict[int, str] = field(default_factory=lambda: {0: "PCMU", 101: EVENT})
    direction: str = "sendrecv"
    host: str = "127.0.0.1"
    port: int = 0
    ptime: int = 20
    version: int = 1

    def __str__(self) -> str:
        lines = [
            *("v=0", f"o=- 78 {self.version} IN IP4 127.0.0.1", "s=-", f"c=IN IP4 {self.host}", "t=0 0"),
            f"m=audio {self.port} RTP/AVP {' '.join(map(str, self.formats))}",
            *(f"a=rtpmap:{number} {name}/8000" for number, name in self.formats.items()),
            *(f"a=fmtp:{number} 0-15" for number, name in self.formats.items() if name == EVENT),
            *(f"a=ptime:{self.ptime}", f"a={self.direction}"),
        ]
        return "".join(f"{line}\r\n" for line in lines)


class ChangingPhone(asyncio.DatagramProtocol):
    """Sends what the other side's last description takes first, decodes what comes under its own numbers; nothing of ours is in it."""

    def __init__(self, hz: float) -> None:
        self.hz = hz
        self.said = Description()
        self.got: list[bytes] = []  # decoded, what came under a number that the phone named
        self.unknown: set[int] = set()  # numbers under which something came that it hasn't named
        self.lengths: list[int] = []  # samples of packets
        self.digits: list[int] = []
        self.sends: tuple[int, str] = 0, "PCMU"
        self.event_type = 101
        self._transports: list[asyncio.DatagramTransport] = []
        self._talking: asyncio.Task[None] | None = None
        self._peer = ("127.0.0.1", 9)
        self._sequence, self._timestamp, self._ssrc = secrets.randbits(15), secrets.randbits(31), secrets.randbits(32)
        self._due = 0.0
        self._pressed: set[int] = set()
        self.wrapped = False

    async def offer(self) -> str:
        """Its first description."""
        await self.move()
        return str(self.said)

    async def answer(self, offer: str) -> str:
        """Its description, and sound to whoever offers."""
        if not self._transports:
            await self.move()
        self.point(offer)
        return str(self.said)

    async def accept(self, answer: str) -> None:
        """Sound to whoever answers."""
        self.point(answer)

    async def move(self, host: str = "127.0.0.1") -> None:
        """Take another port, or the first one; the old one hears on."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self._transports.append(transport)
        self.change(port=transport.get_extra_info("sockname")[1], host=host)

    def change(self, **said: object) -> str:
        """What it says about itself from now on."""
        self.said = replace(self.said, version=self.said.version + 1, **said)  # type: ignore[arg-type]
        return str(self.said)

    def restart(self) -> None:
        """Another source (SSRC), numbers and times, as after a reboot or by a media server that takes over."""
        self._sequence, self._timestamp, self._ssrc = secrets.randbits(15), secrets.randbits(31), secrets.randbits(32)

    def count_from(self, number: int) -> None:
        """The first packet's number, so that numbers wrap soon."""
        self._sequence, self.wrapped = number, False

    def point(self, theirs: str) -> None:
        """Do what a description of the other side says."""
        line = re.search(r"^m=audio (\d+) \S+ (.*)$", theirs, re.MULTILINE)
        host = re.findall(r"^c=IN IP4 (\S+)", theirs, re.MULTILINE)
        assert line is not None, theirs
        mapped = {**_STATIC, **{int(number): name for number, name in _RTPMAP.findall(theirs)}}
        takes = [(int(number), mapped.get(int(number), "")) for number in line[2].split()]
        mine = set(self.said.formats.values())
        self.sends = next((one for one in takes if one[1] in ("PCMU", "PCMA") and one[1] in mine), self.sends)
        self.event_type = next((number for number, name in takes if name == EVENT), self.event_type)
        self._peer = host[-1], int(line[1])
        if self._talking is None:
            self._talking = start_task(self._talk(), name="changing-phone")

    def heard(self, seconds: float = 1.0) -> tuple[NDArray[np.int16], int]:
        """The sound of the last seconds."""
        samples = np.concatenate([np.frombuffer(one, np.int16) for one in self.got]) if self.got else np.zeros(0, np.int16)
        return samples[-round(seconds * G711_RATE) :], G711_RATE

    def forget(self) -> None:
        """What was heard before."""
        self.got.clear()
        self.lengths.clear()
        self.unknown.clear()

    def press(self, code: int) -> None:
        """A digit of 100 ms in one go, its end three times."""
        for step, ended in ((1, 0), (5, 0), (5, 0x80), (5, 0x80), (5, 0x80)):
            self._send(self.event_type, struct.pack("!BBH", code, ended | 10, 160 * step))
        self._timestamp += 800

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """RTP is decoded, RTCP dropped."""
        number = data[1] & 0x7F
        if len(data) <= 12 or 64 <= number <= 95:
            return
        payload = data[12:]
        match self.said.formats.get(number):
            case "PCMU" | "PCMA" as law:
                self.got.append((linear(payload) if law == "PCMU" else linear_of_alaw(payload)).tobytes())
                self.lengths.append(len(payload))
            case "telephone-event":
                timestamp = struct.unpack_from("!I", data, 4)[0]
                if payload[1] & 0x80 and timestamp not in self._pressed:
                    self._pressed.add(timestamp)
                    self.digits.append(payload[0])
            case _:
                self.unknown.add(number)

    async def close(self) -> None:
        """Fall silent, free the ports."""
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.wait([self._talking])
        for transport in self._transports:
            transport.close()
        await asyncio.sleep(0)  # asyncio closes sockets in the next round

    async def _talk(self) -> None:
        peak = 32768 * 10 ** (LEVEL_DBFS / 20) * 2**0.5
        block = 0
        due = time.monotonic()
        while True:
            count = self.said.ptime * BLOCK // 20
            if self.said.direction in ("sendrecv", "sendonly"):
                angles = 2 * np.pi * self.hz * (np.arange(count) + block) / G711_RATE
                tone = np.round(peak * np.sin(angles)).astype(np.int16)
                number, law = self.sends
                self._send(number, ulaw(tone) if law == "PCMU" else alaw(tone))
                self._timestamp += count
            block += count
            due += count / G711_RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _send(self, number: int, payload: bytes) -> None:
        head = struct.pack("!BBHII", 0x80, number, self._sequence, self._timestamp & 0xFFFFFFFF, self._ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.wrapped |= self._sequence == 0
        self._transports[-1].sendto(self._datagram(head, payload), self._peer)

    def _datagram(self, head: bytes, payload: bytes) -> bytes:
        return head + payload
