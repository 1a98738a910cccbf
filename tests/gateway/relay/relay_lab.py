"""Phones for both ends of a relay, and an rtpengine of the test's own."""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Frame, Samples
from sinchphone.audio.tones.signals import Sine
from sinchphone.gateway.relay.description import with_candidates
from sinchphone.gateway.relay.relay import Relay, RelayEvent
from sinchphone.media.port import CandidateFound, Connected, PassingPort, PortDigitHeard, PortEvent, PortOptions, RtpPortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task
from tests.suite.ports import HOST, port_block

PATIENCE_S = 20.0
CLEAN_S = 0.3  # a machine that is busy stalls a longer stretch for as long as it is busy
LEVEL_DBFS = -20.0  # of every tone that is said
G711_RATE = 8_000
BLOCK = 160  # samples of 20 ms


def share_at(samples: NDArray[np.int16], hz: float, rate: int) -> float:
    """The share of the power that is at one frequency, by least squares."""
    heard = samples.astype(np.float64)
    total = float(np.sum(heard**2))
    if total == 0:
        return 0.0
    angles = 2 * np.pi * hz * np.arange(len(heard)) / rate
    basis = np.stack([np.cos(angles), np.sin(angles)])
    weights, *_ = np.linalg.lstsq(basis.T, heard, rcond=None)
    return float(np.sum((weights @ basis) ** 2)) / total


def dbfs(samples: NDArray[np.int16]) -> float:
    """Of a sine at full scale it is -3."""
    return 20 * float(np.log10(np.sqrt(np.mean(samples.astype(np.float64) ** 2)) / 32768 + 1e-12))


def ulaw(samples: NDArray[np.int16]) -> bytes:
    """G.711 mu-law, by its formula."""
    wide = samples.astype(np.int32)
    magnitude = np.minimum(np.abs(wide) + 132, 32767)
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = ((wide < 0) << 7) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)
    return (~code & 0xFF).astype(np.uint8).tobytes()  # type: ignore[no-any-return]


def linear(payload: bytes) -> NDArray[np.int16]:
    """The samples of mu-law."""
    code = ~np.frombuffer(payload, np.uint8).astype(np.int32) & 0xFF
    magnitude = ((((code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


@dataclass(frozen=True)
class Sent:
    """A packet as it went or came."""

    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    at: float = field(compare=False)


class Phone(Protocol):
    """One end of a call, with candidates in its descriptions."""

    hz: float

    async def offer(self) -> str: ...

    async def answer(self, offer: str) -> str: ...

    async def accept(self, answer: str) -> None: ...

    def heard(self, seconds: float = 1.0) -> tuple[NDArray[np.int16], int]:
        """The sound of the last seconds, and its rate."""

    async def close(self) -> None: ...


class RawPhone(asyncio.DatagramProtocol):
    """PCMU over plain RTP, nothing of ours in it: it knows each byte that it sent and got."""

    def __init__(self, hz: float) -> None:
        self.hz = hz
        self.sent: list[Sent] = []
        self.got: list[Sent] = []
        self.events: list[Sent] = []
        self.event_type = 101
        self.talks = True
        self._transport: asyncio.DatagramTransport | None = None
        self._talking: asyncio.Task[None] | None = None
        self._peer = ("127.0.0.1", 9)
        self._sequence, self._timestamp, self._ssrc = secrets.randbits(15), secrets.randbits(31), secrets.randbits(32)
        self._version = 0
        self._mark = True

    async def open(self) -> "RawPhone":
        """Take a port, if it has none."""
        if self._transport is None:
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def offer(self) -> str:
        await self.open()
        return self.description()

    async def answer(self, offer: str) -> str:
        await self.open()
        self.point(offer)
        return self.description()

    async def accept(self, answer: str) -> None:
        self.point(answer)

    def point(self, theirs: str) -> None:
        """Talk to the address in a description; events get the payload type that it says."""
        lines = theirs.splitlines()
        events = re.search(r"a=rtpmap:(\d+) telephone-event/8000", theirs)
        self.event_type = int(events[1]) if events else self.event_type
        host = next(line.split()[-1] for line in reversed(lines) if line.startswith("c="))
        port = next(int(line.split()[1]) for line in lines if line.startswith("m=audio"))
        self._peer = (host, port)
        if self._talking is None:
            self._talking = start_task(self._talk(), name="talk")

    def description(self, direction: str = "sendrecv") -> str:
        self._version += 1
        assert self._transport is not None
        port = self._transport.get_extra_info("sockname")[1]
        return "".join(
            f"{line}\r\n"
            for line in (
                "v=0",
                f"o=- 77 {self._version} IN IP4 127.0.0.1",
                "s=-",
                "c=IN IP4 127.0.0.1",
                "t=0 0",
                f"m=audio {port} RTP/AVP 0 {self.event_type}",
                "a=rtpmap:0 PCMU/8000",
                f"a=rtpmap:{self.event_type} telephone-event/8000",
                f"a=fmtp:{self.event_type} 0-15",
                "a=ptime:20",
                f"a={direction}",
            )
        )

    def heard(self, seconds: float = 1.0) -> tuple[NDArray[np.int16], int]:
        packets = self.got[-round(seconds * 50) :]
        return linear(b"".join(each.payload for each in packets)), G711_RATE

    async def press(self, code: int) -> None:
        """A digit of 100 ms (RFC 4733 2.5), in place of sound."""
        self.talks = False
        timestamp = self._timestamp
        for step in range(1, 8):
            ended, duration = (0x80, 800) if step >= 5 else (0, 160 * step)
            self._send(self.event_type, timestamp, struct.pack("!BBH", code, ended | 10, duration), marker=step == 1)
            await asyncio.sleep(0.02)
        self._timestamp += 800
        self.talks = True

    def pause(self, seconds: float) -> None:
        """As silence suppression does: a hole in the time stamps, none in the sequence numbers, then a marker."""
        self._timestamp += round(seconds * G711_RATE)
        self._mark = True

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        kind = data[1] & 0x7F
        if len(data) <= 12 or 64 <= kind <= 95:  # RTCP
            return
        sequence, timestamp = struct.unpack_from("!HI", data, 2)
        packet = Sent(sequence, timestamp, bool(data[1] & 0x80), data[12:], time.monotonic())
        if kind == 0:
            self.got.append(packet)
        elif kind == self.event_type:
            self.events.append(packet)

    def digits(self) -> list[int]:
        """The codes of the digits that ended, in order."""
        found: dict[int, int] = {}
        for event in self.events:
            if event.payload[1] & 0x80:
                found.setdefault(event.timestamp, event.payload[0])
        return list(found.values())

    async def close(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.wait([self._talking])
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)  # asyncio closes the socket in the next round

    async def _talk(self) -> None:
        tone = _tone(self.hz)
        due = time.monotonic()
        while True:
            if self.talks:
                self._send(0, self._timestamp, ulaw(next(tone)), marker=self._mark)
                self._mark = False
                self._timestamp += BLOCK
            due += 0.02
            await asyncio.sleep(due - time.monotonic())

    def _send(self, kind: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        assert self._transport is not None
        head = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), self._sequence, timestamp & 0xFFFFFFFF, self._ssrc)
        if kind == 0:
            self.sent.append(Sent(self._sequence, timestamp & 0xFFFFFFFF, marker, payload, time.monotonic()))
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._transport.sendto(head + payload, self._peer)


def _tone(hz: float) -> Iterator[NDArray[np.int16]]:
    peak = 32768 * 10 ** (LEVEL_DBFS / 20) * 2**0.5
    block = 0
    while True:
        angles = 2 * np.pi * hz * (np.arange(BLOCK) + block * BLOCK) / G711_RATE
        yield np.round(peak * np.sin(angles)).astype(np.int16)
        block += 1


class PortPhone:
    """One of our own ports and a party of code that says a tone. ``forwards``: what it hears is said back instead."""

    def __init__(self, media: MediaThread, port: PassingPort, hz: float, *, gathers: bool) -> None:
        self.hz = hz
        self.port = port
        self.seen: list[PortEvent] = []
        self.digits: list[PortDigitHeard] = []
        self.connected = False
        self.candidates: list[Candidate] = []
        self._far: list[Frame] = []
        self._sine = Sine(hz)
        self._sound = Ticker(self, media)
        self._gathered = asyncio.Event()
        self._gathers = gathers
        self._reading = start_task(self._read(), name="read")

    @classmethod
    def webrtc(cls, media: MediaThread, hz: float, *codecs: str) -> "PortPhone":
        return cls(media, media.ports.port(PortOptions(loopback=True, codecs=codecs or ("opus",))), hz, gathers=True)

    @classmethod
    def rtp(cls, media: MediaThread, hz: float, *codecs: str, srtp: bool = False) -> "PortPhone":
        options = RtpPortOptions(codecs=codecs or ("PCMU", "PCMA"), srtp=srtp)
        return cls(media, media.rtp_ports.port(options), hz, gathers=False)

    def tick(self, far: Frame) -> Frame:
        self._far.append(far)
        return self._sine.pull()

    async def offer(self) -> str:
        return await self._whole(await self.port.offer())

    async def answer(self, offer: str) -> str:
        return await self._whole(await self.port.answer(Description("offer", offer)))

    async def accept(self, answer: str) -> None:
        await self.port.accept(Description("answer", answer))

    def heard(self, seconds: float = 1.0) -> tuple[Samples, int]:
        frames = self._far[-round(seconds * 50) :]
        return np.concatenate(frames) if frames else np.zeros(0, np.int16), RATE

    async def close(self) -> None:
        await self._sound.close()
        await self.port.close()
        await self._reading

    async def _whole(self, description: Description) -> str:
        if not self._gathers:
            return description.sdp
        async with asyncio.timeout(PATIENCE_S):
            await self._gathered.wait()
        return with_candidates(description.sdp, [each.candidate for each in self.candidates])

    async def _read(self) -> None:
        async for event in self.port.events():
            match event:
                case CandidateFound(candidate=None):
                    self._gathered.set()
                case CandidateFound(candidate=Candidate() as candidate):
                    self.candidates.append(candidate)
                case PortDigitHeard():
                    self.digits.append(event)
                case Connected():
                    self.connected = True
                    await self._sound.connect(self.port.leg)
                case _:
                    self.seen.append(event)


def hears(phone: Phone, hz: float, *, within_db: float = 1.0) -> bool:
    """Whether what it heard last is a tone and nothing else, as loud as it was said."""
    samples, rate = phone.heard(CLEAN_S)
    if len(samples) < rate * CLEAN_S * 0.9:
        return False
    return share_at(samples, hz, rate) > 0.95 and abs(dbfs(samples) - LEVEL_DBFS) < within_db


def hears_nothing(phone: Phone, seconds: float = 0.5) -> bool:
    """Whether nothing came in the last while, or silence."""
    samples, _ = phone.heard(seconds)
    return len(samples) == 0 or dbfs(samples) < -60


async def until(condition: Callable[[], bool], what: str = "") -> None:
    """Wait for something that happens by itself."""
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, f"it didn't happen: {what}"
        await asyncio.sleep(0.05)


async def until_heard(phone: Phone, hz: float, *, within_db: float = 1.0) -> None:
    """Wait for a clean stretch of a tone."""
    limit = time.monotonic() + PATIENCE_S
    while not hears(phone, hz, within_db=within_db):
        if time.monotonic() > limit:
            samples, rate = phone.heard(CLEAN_S)
            share = share_at(samples, hz, rate) if len(samples) else 0.0
            raise AssertionError(f"{hz} Hz isn't heard: {len(samples) / rate:.2f} s, share {share:.3f}, {dbfs(samples):.1f} dBFS")
        await asyncio.sleep(0.02)


class Told:
    """Reads a relay's events."""

    def __init__(self, relay: Relay) -> None:
        self.events: list[RelayEvent] = []
        self._reading = start_task(self._read(relay), name="read")

    async def ended(self) -> None:
        """The relay was deleted, and said so."""
        async with asyncio.timeout(PATIENCE_S):
            await self._reading

    async def _read(self, relay: Relay) -> None:
        async for event in relay.events():
            self.events.append(event)


def opened_sockets() -> set[str]:
    """The UDP sockets of this process, by inode (Linux); empty elsewhere."""
    if sys.platform != "linux":
        return set()
    found = set()  # asked of the sockets themselves: /proc/net/udp leaves some out while others come and go
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
            if match:
                with socket.socket(fileno=os.dup(int(link.name))) as one:
                    if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_DGRAM:
                        found.add(match[1])
    return found


# rtpengine


def missing_package() -> str | None:
    return None if shutil.which("rtpengine") else "rtpengine-daemon"


@dataclass(frozen=True)
class Rtpengine:
    """A running rtpengine, without its kernel module."""

    address: tuple[str, int]
    digits_at: tuple[str, int]
    process: asyncio.subprocess.Process

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls) -> AsyncIterator["Rtpengine"]:
        with port_block() as ports:
            address, digits_at = (HOST, ports[0]), (HOST, ports[1])
            process = await asyncio.create_subprocess_exec(
                *("rtpengine", "--config-file=none", "--table=-1", f"--interface={HOST}", "--foreground", "--log-stderr", "--log-level=4"),
                *(f"--listen-ng={HOST}:{address[1]}", f"--dtmf-log-dest={HOST}:{digits_at[1]}"),
                *("--num-threads=2", "--media-num-threads=1", f"--port-min={ports[2]}", f"--port-max={ports[-1]}"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                yield cls(address, digits_at, process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                try:
                    async with asyncio.timeout(5):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
