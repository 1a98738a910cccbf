"""Two ports over the loopback, with packets lost on the way: what is asked for, sent again and repeated, and by whom."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.port import CandidateFound, Connected, PortOptions
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.rtp.packet import decode_packet, is_rtcp
from sinchphone.protocol.sdp.jsep import Description

HERE = PortOptions(loopback=True)
PATIENCE = 60.0
OPUS, RED = 111, 63


class Call:
    """Who calls, who answers; what the caller sends goes through ``lose``."""

    def __init__(self, caller: WebRtcPort, callee: WebRtcPort) -> None:
        self.caller = caller
        self.callee = callee
        self.payload_types: list[int] = []
        self.again = 0  # packets that were sent again
        self.lost: set[int] = set()
        self.asked_for: set[int] = set()
        self.lose: Callable[[], bool] = lambda: False
        self._seen: set[int] = set()
        self._transmit = caller._stream.path._transmit
        caller._stream.path._transmit = self._send

    def _send(self, data: bytes) -> bool:
        if is_rtcp(data):
            return self._transmit(data)
        packet = decode_packet(data)
        assert packet is not None
        self.payload_types.append(packet.payload_type)
        if packet.sequence in self._seen:
            self.again += 1
            self.asked_for.add(packet.sequence)
        self._seen.add(packet.sequence)
        if self.lose():
            self.lost.add(packet.sequence)
            return True
        return self._transmit(data)

    async def talk_until(self, done: Callable[[], bool]) -> None:
        tone, due = Sine(440), time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while not done():
                self.caller.leg.send(tone.pull())
                self.callee.leg.send(tone.pull())
                self.callee.leg.pull(FRAME_SAMPLES)
                due += FRAME_SECONDS
                await asyncio.sleep(max(0.0, due - time.monotonic()))


@asynccontextmanager
async def a_call(change: Callable[[str], str] = lambda sdp: sdp) -> AsyncIterator[Call]:
    """``change``: what becomes of descriptions on the way."""
    caller, callee = WebRtcPort(HERE), WebRtcPort(HERE)
    try:
        async with asyncio.timeout(PATIENCE):
            offer = await caller.offer()
            answer = await callee.answer(Description("offer", change(offer.sdp)))
            await caller.accept(Description("answer", change(answer.sdp)))
            for port, other in ((caller, callee), (callee, caller)):
                async for event in port.events():
                    if not isinstance(event, CandidateFound):
                        continue
                    await other.add_candidate(event.candidate)
                    if event.candidate is None:
                        break
            for port in (caller, callee):
                async for event in port.events():
                    if isinstance(event, Connected):
                        break
        yield Call(caller, callee)
    finally:
        await caller.close()
        await callee.close()


def without(*beginnings: str) -> Callable[[str], str]:
    return lambda sdp: "".join(f"{line}\r\n" for line in sdp.splitlines() if not line.startswith(beginnings))


async def test_a_lost_packet_is_asked_for_and_comes_again() -> None:
    async with a_call() as call:
        await call.talk_until(lambda: len(call.payload_types) > 25)
        losses = itertools.cycle([False, True, False, True, True, *15 * [False]])  # what comes too late isn't asked for
        call.lose = lambda: next(losses)
        await call.talk_until(lambda: len(call.asked_for) >= 3)
        assert call.asked_for <= call.lost
        assert set(call.payload_types) <= {OPUS, RED}


async def test_while_packets_get_lost_they_are_repeated_in_later_ones() -> None:
    async with a_call() as call:
        dice = random.Random(1)
        call.lose = lambda: dice.random() < 0.1
        await call.talk_until(lambda: call.payload_types[-50:].count(RED) >= 45)
        await call.talk_until(lambda: call.callee._stream._inbound.receiver.stats().packets_mended > 5)


@pytest.mark.parametrize(
    ("dropped", "repeats", "asks"),
    [(("a=rtpmap:63",), False, True), (("a=rtcp-fb",), True, False)],
    ids=["no copies", "no requests"],
)
async def test_a_peer_gets_only_what_it_takes(dropped: tuple[str, ...], repeats: bool, asks: bool) -> None:
    async with a_call(without(*dropped)) as call:
        dice = random.Random(2)
        call.lose = lambda: dice.random() < 0.2
        await call.talk_until(lambda: call.caller._stream._outbound._redundancy.loss > 0.1 and len(call.payload_types) > 100)
        await call.talk_until(lambda: (RED in call.payload_types or not repeats) and (call.again > 0 or not asks))
        enough = len(call.payload_types) + 100
        await call.talk_until(lambda: len(call.payload_types) > enough)
        assert (RED in call.payload_types) == repeats
        assert (call.again > 0) == asks
