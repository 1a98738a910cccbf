"""What a relay adds to a call, ours and rtpengine on the same machine: the round trip through it, and its CPU.

usage: python tests/benchmarks/bridge.py [CALLS [SECONDS]]

::

    phone (PCMU, a short tone twice a second) --RTP--> relay --RTP or WebRTC--> echo (gives back each packet as it came)
    round trip: from a tone's first sample out of the phone to the same sample into it, less what it takes without a relay

Passed: both sides have PCMU. Transcoded: the echo has another codec. The relay has a process of its own, of which the CPU is
measured; a leg is half a call. Work by the operating system (sockets) counts.
"""

import asyncio
import json
import os
import secrets
import shutil
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from figures import median, percentile, table

from sinchphone.gateway.relay.description import with_candidates
from sinchphone.gateway.relay.local import LocalRelays
from sinchphone.gateway.relay.relay import MediaTransport, Relay
from sinchphone.gateway.relay.rtpengine import RtpengineRelays
from sinchphone.media.port import CandidateFound, Connected, PassingPort, PortOptions, RtpPortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.schema import WeightedAddress
from sinchphone.tasks import start_task

PATIENCE_S = 30.0
SETTLE_S = 1.5
BLOCK, RATE = 160, 8_000
BURST_EVERY = 25  # packets
BURST_PACKETS = 3
LOUD = 0x10  # of the inverted mu-law byte's low 7 bits: far above silence, far below the tone
SILENCE = b"\xff" * BLOCK
TONE = bytes(0x8F if (each // 4) % 2 else 0x0F for each in range(BLOCK))  # a square wave of 1000 Hz
DESCRIPTION = """v=0
o=- 7 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP 0 101
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
"""
CASES = {
    "RTP to RTP, passed": (MediaTransport.RTP, "PCMU"),
    "RTP to WebRTC, passed": (MediaTransport.WEBRTC, "PCMU"),
    "RTP to RTP, PCMA": (MediaTransport.RTP, "PCMA"),
    "RTP to RTP, Opus": (MediaTransport.RTP, "opus"),
    "RTP to WebRTC, Opus": (MediaTransport.WEBRTC, "opus"),
}
DIRECT = CASES["RTP to RTP, passed"]  # without a relay
OURS, RTPENGINE = "sinchphone", "rtpengine"


class Phone(asyncio.DatagramProtocol):
    """Says a short tone twice a second, and takes the time until it comes back."""

    def __init__(self) -> None:
        self.trips_ms: list[float] = []
        self.packets = 0
        self._transport: asyncio.DatagramTransport
        self._talking: asyncio.Task[None] | None = None
        self._said_at: float | None = None

    async def offer(self) -> str:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        port = self._transport.get_extra_info("sockname")[1]
        return DESCRIPTION.format(port=port).replace("\n", "\r\n")

    async def accept(self, answer: str) -> None:
        port = next(int(line.split()[1]) for line in answer.splitlines() if line.startswith("m=audio"))
        self._talking = start_task(self._talk(("127.0.0.1", port)), name="talk")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        now = time.monotonic()
        if data[1] & 0x7F or len(data) <= 12:
            return
        self.packets += 1
        levels = ~np.frombuffer(data[12:], np.uint8) & 0x7F
        loud = np.flatnonzero(levels > LOUD)
        if len(loud) and self._said_at is not None:
            self.trips_ms.append(1000 * (now + loud[0] / RATE - self._said_at))
            self._said_at = None

    async def close(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.wait([self._talking])
        self._transport.close()

    async def _talk(self, peer: tuple[str, int]) -> None:
        due, count, ssrc = time.monotonic(), 0, secrets.randbits(32)
        offset = secrets.randbelow(BURST_EVERY)
        while True:
            place = (count + offset) % BURST_EVERY
            payload = TONE if place < BURST_PACKETS else SILENCE
            if place == 0:
                self._said_at = time.monotonic()
            self._transport.sendto(struct.pack("!BBHII", 0x80, 0, count & 0xFFFF, count * BLOCK, ssrc) + payload, peer)
            count += 1
            due += 0.02
            await asyncio.sleep(due - time.monotonic())


class Echo:
    """Gives back each packet as it came: no codec, no jitter buffer."""

    def __init__(self, media: MediaThread, transport: MediaTransport, codec: str) -> None:
        self._gathers = transport is MediaTransport.WEBRTC
        self._port: PassingPort
        if self._gathers:
            self._port = media.ports.port(PortOptions(loopback=True, codecs=(codec,)))
        else:
            self._port = media.rtp_ports.port(RtpPortOptions(codecs=(codec,)))
        self._port.divert(self._port.forward)

    async def answer(self, offer: str) -> str:
        description = await self._port.answer(Description("offer", offer))
        candidates = []
        if self._gathers:
            async for event in self._port.events():
                if not isinstance(event, CandidateFound) or event.candidate is None:
                    break
                candidates.append(event.candidate.candidate)
        return with_candidates(description.sdp, candidates) if candidates else description.sdp

    async def connected(self) -> None:
        if self._gathers:
            async for event in self._port.events():
                if isinstance(event, Connected):
                    return

    async def close(self) -> None:
        await self._port.close()


class Bridge(Protocol):
    """A relay's process."""

    async def offer(self, call: int, offer: str, towards: MediaTransport) -> str: ...

    async def answer(self, call: int, answer: str) -> str: ...

    async def delete(self) -> None: ...

    async def cpu_seconds(self) -> float: ...


class OurBridge:
    """A process with LocalRelays in it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator["OurBridge"]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, __file__, "--serve", stdin=pipe, stdout=pipe)
        try:
            yield cls(process)
        finally:
            process.kill()
            await process.wait()

    async def offer(self, call: int, offer: str, towards: MediaTransport) -> str:
        return str(await self._ask("offer", call, offer, towards))

    async def answer(self, call: int, answer: str) -> str:
        return str(await self._ask("answer", call, answer))

    async def delete(self) -> None:
        await self._ask("delete")

    async def cpu_seconds(self) -> float:
        return float(await self._ask("cpu"))

    async def _ask(self, *order: object) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return json.loads(await self._process.stdout.readline())


async def serve() -> None:
    """The process of OurBridge: obeys the lines of standard input."""
    calls: dict[int, Relay] = {}
    async with MediaThread() as media:
        relays = LocalRelays(media)
        while line := await asyncio.to_thread(sys.stdin.readline):
            match json.loads(line):
                case ["offer", call, offer, towards]:
                    calls[call] = relays.relay(str(call), MediaTransport.RTP)
                    said: object = await calls[call].offer(offer, MediaTransport(towards))
                case ["answer", call, answer]:
                    said = await calls[call].answer(answer)
                case ["delete"]:
                    said = await relays.close()  # type: ignore[func-returns-value]
                case ["cpu"]:
                    said = time.process_time()
            print(json.dumps(said), flush=True)


class RtpengineBridge:
    """An rtpengine without its kernel module."""

    def __init__(self, relays: RtpengineRelays, pid: int) -> None:
        self._relays = relays
        self._pid = pid
        self._calls: dict[int, Relay] = {}

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator["RtpengineBridge"]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            address: tuple[str, int] = probe.getsockname()
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *("rtpengine", "--config-file=none", "--table=-1", "--interface=127.0.0.1", "--foreground", "--log-stderr", "--log-level=3"),
            *(f"--listen-ng=127.0.0.1:{address[1]}", "--port-min=30000", "--port-max=39999"),
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
        )
        relays = RtpengineRelays([WeightedAddress(*address)])
        try:
            await relays.start()
            yield cls(relays, process.pid)
            await relays.close()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def offer(self, call: int, offer: str, towards: MediaTransport) -> str:
        self._calls[call] = self._relays.relay(str(call), MediaTransport.RTP)
        return await self._calls[call].offer(offer, towards)

    async def answer(self, call: int, answer: str) -> str:
        return await self._calls[call].answer(answer)

    async def delete(self) -> None:
        for relay in self._calls.values():
            await relay.delete()
        self._calls.clear()

    async def cpu_seconds(self) -> float:
        words = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Of one case: every round trip [ms], share of a core per leg [%], packets heard of all that were sent."""

    trips_ms: list[float] = field(repr=False)
    leg_percent: float
    heard: float


async def cost(bridge: Bridge | None, media: MediaThread, case: tuple[MediaTransport, str], calls: int, seconds: float) -> Cost:
    """Calls at once through a relay, or without one."""
    transport, codec = case
    async with asyncio.timeout(2 * PATIENCE_S + seconds), AsyncExitStack() as stack:
        phones, echoes = [Phone() for _ in range(calls)], [Echo(media, transport, codec) for _ in range(calls)]
        for call, (phone, echo) in enumerate(zip(phones, echoes, strict=True)):
            offer = await phone.offer()
            stack.push_async_callback(phone.close)
            stack.push_async_callback(echo.close)
            if bridge is None:
                await phone.accept(await echo.answer(offer))
            else:
                await phone.accept(await bridge.answer(call, await echo.answer(await bridge.offer(call, offer, transport))))
        for echo in echoes:
            await echo.connected()
        await asyncio.sleep(SETTLE_S)
        for phone in phones:
            phone.trips_ms, phone.packets = [], 0
        before = 0.0 if bridge is None else await bridge.cpu_seconds()
        await asyncio.sleep(seconds)
        used = 0.0 if bridge is None else await bridge.cpu_seconds() - before
        found = Cost(
            [trip for phone in phones for trip in phone.trips_ms],
            100 * used / seconds / calls / 2,
            min(phone.packets for phone in phones) / (seconds * 50),
        )
        if bridge is not None:
            await bridge.delete()
    return found


async def measure(calls: int, seconds: float, cases: dict[str, tuple[MediaTransport, str]] | None = None) -> dict[str, dict[str, Cost]]:
    """Case by case without a relay, with ours, and with rtpengine where it is installed."""
    found: dict[str, dict[str, Cost]] = {}
    async with MediaThread() as media:
        direct = await cost(None, media, DIRECT, 1, min(seconds, 3.0))
        for name, case in (cases or CASES).items():
            found[name] = {"direct": direct}
            for kind, started in kinds().items():
                async with started() as bridge:
                    found[name][kind] = await cost(bridge, media, case, calls, seconds)
    return found


async def measure_at_once(seconds: float, cases: dict[str, tuple[MediaTransport, str]]) -> dict[str, dict[str, Cost]]:
    """One call of each case, all of them beside each other, each through a relay of its own; the first case through rtpengine too."""
    async with MediaThread() as media, AsyncExitStack() as stack:
        first, started = next(iter(cases)), kinds()
        wanted = [(name, kind) for name in cases for kind in started if kind == OURS or name == first]
        bridges = [await stack.enter_async_context(started[kind]()) for _, kind in wanted]
        costs = (cost(bridge, media, cases[name], 1, seconds) for bridge, (name, _) in zip(bridges, wanted, strict=True))
        direct, *through = await asyncio.gather(cost(None, media, DIRECT, 1, seconds), *costs)
    found = {name: {"direct": direct} for name in cases}
    for (name, kind), each in zip(wanted, through, strict=True):
        found[name][kind] = each
    return found


def kinds() -> dict[str, Any]:
    """How a relay of each kind that is here is started."""
    return {OURS: OurBridge.started} | ({RTPENGINE: RtpengineBridge.started} if shutil.which("rtpengine") else {})


def added_ms(found: dict[str, Cost], kind: str) -> tuple[float, float]:
    """What a relay adds to the round trip: the median, and what 95 % don't pass."""
    direct = median(found["direct"].trips_ms)
    trips = found[kind].trips_ms
    return (median(trips) - direct, percentile(trips, 0.95) - direct) if trips else (float("nan"), float("nan"))


def report(calls: int, found: dict[str, dict[str, Cost]]) -> str:
    """The figures."""
    rows: dict[str, list[float | str]] = {}
    for case, kinds in found.items():
        for kind in (OURS, RTPENGINE):
            if kind in kinds:
                each = kinds[kind]
                rows[f"{case}: {kind}"] = [*added_ms(kinds, kind), each.leg_percent, 100 * each.heard]
    columns = ["added ms", "95 % below", "% core per leg", "% heard"]
    return table(f"{calls} call{'s' * (calls > 1)} at once", columns, rows)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--serve"]:
            asyncio.run(serve())
        case [*given]:
            counts, seconds = [int(given[0])] if given else [1, 10], float(given[1]) if len(given) > 1 else 10.0
            for count in counts:
                print(report(count, asyncio.run(measure(count, seconds))))
