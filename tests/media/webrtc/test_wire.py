"""What a peer's description asks for is what goes over the wire: packets' lengths, pauses, and a limit of all that is sent."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.codecs.codec import CODECS, EncodedFrame
from sinchphone.media.codecs.opus import packet_samples
from sinchphone.media.port import Connected, PortOptions
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.rtp.packet import RtpPacket, decode_packet
from sinchphone.protocol.sdp.jsep import Description
from tests.media.webrtc.port_peers import Peer, a_peer, clearest, talk

CALLER_HZ, CALLEE_HZ = 440.0, 620.0
BELOW_SRTP = 28  # IPv4, UDP
OPUS = 111
PAUSE_S = 3.0


class Wire:
    """What one port sends: RTP in the clear, and all that goes out as it is on the wire, when, and its bytes."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.sizes: list[tuple[float, int]] = []
        self._said: list[float] = []

    def tap(self, packet: bytes, source: str, target: str) -> None:
        decoded = decode_packet(packet)
        if decoded is not None:
            self.packets.append(decoded)

    def of(self, ssrc: int) -> list[RtpPacket]:
        return [packet for packet in self.packets if packet.ssrc == ssrc]

    def watch(self, port: WebRtcPort) -> None:
        """From now on note what the port's path sends of RTP and RTCP."""
        ice = port._path.ice
        send = ice.send_media

        def noted(data: bytes) -> bool:
            if data and 128 <= data[0] < 192:
                self.sizes.append((time.monotonic(), len(data) + BELOW_SRTP))
            return send(data)

        ice.send_media = noted  # type: ignore[method-assign]

    def said_by(self, port: WebRtcPort) -> None:
        """From now on note when frames are said."""
        send = port.leg.send

        def noted(frame: Samples) -> None:
            self._said.append(time.monotonic())
            send(frame)

        port.leg.send = noted  # type: ignore[method-assign]

    def worst_kbps(self) -> float:
        """In any one second; in one of more than fifty frames, of so many."""
        return max(
            sum(size for at, size in self.sizes if 0 <= end - at < 1) * 8e-3 / max(1.0, sum(0 <= end - at < 1 for at in self._said) / 50)
            for end, _ in self.sizes
        )


@asynccontextmanager
async def a_call(*, says: str = "", fmtp: str = "", max_kbps: int | None = None) -> AsyncIterator[tuple[Peer, Peer, Wire]]:
    """The callee's answer says that; the wire is the caller's."""
    wire = Wire()
    options = PortOptions(loopback=True, max_kbps=max_kbps, tap=wire.tap)
    async with a_peer(WebRtcPort(options)) as caller, a_peer(WebRtcPort(PortOptions(loopback=True))) as callee:
        await caller.trickle_to(callee.port.add_candidate)
        await callee.trickle_to(caller.port.add_candidate)
        sdp = (await callee.port.answer(await caller.port.offer())).sdp
        wire.watch(caller.port)
        changed = sdp.replace("useinbandfec=1", f"useinbandfec=1{fmtp}").replace("a=rtcp-mux", f"{says}a=rtcp-mux", 1)
        await caller.port.accept(Description("answer", changed))
        await caller.wait_for(Connected)
        await callee.wait_for(Connected)
        yield caller, callee, wire


@pytest.mark.parametrize(
    ("says", "length"),
    [
        ("a=ptime:40\r\n", 40),
        ("a=ptime:10\r\n", 10),
        ("a=ptime:60\r\n", 60),
        ("a=maxptime:10\r\n", 10),
        ("a=ptime:60\r\na=maxptime:40\r\n", 40),
    ],
)
async def test_packets_are_as_long_as_the_answer_wants_and_sound_as_they_should(says: str, length: int) -> None:
    async with a_call(says=says) as (caller, callee, wire):
        await talk(150, (caller, CALLER_HZ), (callee, CALLEE_HZ))
        for heard, hz in ((callee.sound, CALLER_HZ), (caller.sound, CALLEE_HZ)):
            assert clearest(heard, hz) > 0.95
            assert loudest(heard) == pytest.approx(dbfs(Sine(hz).pull()), abs=1.5)
        ours = wire.of(caller.port._identity.local.ssrc)
        assert {packet_samples(packet.payload) * 1000 // RATE for packet in ours if packet.payload_type == OPUS} == {length}


def loudest(sound: Samples) -> float:
    """Of half a second: on a busy machine there are gaps."""
    half = RATE // 2
    return max(dbfs(sound[at : at + half]) for at in range(0, len(sound) - half, half // 5))


async def test_somebody_elses_packet_that_is_longer_than_srtp_takes_is_not_sent() -> None:
    async with a_call() as (caller, _, _):
        frames = [EncodedFrame(CODECS["opus"], b"\xf8" + bytes(size), 960 * number, number) for number, size in enumerate((100, 1450, 100))]
        assert [caller.port.forward(frame) for frame in frames] == [True, False, True]


async def test_a_peer_that_wants_no_silence_gets_little_in_a_pause_and_what_is_said_after_it() -> None:
    async with a_call(fmtp=";usedtx=1") as (caller, callee, wire):
        await talk(60, (caller, CALLER_HZ), (callee, CALLEE_HZ))
        await say(caller, callee, np.zeros(FRAME_SAMPLES, np.int16), 1.0)
        ssrc = caller.port._identity.local.ssrc
        before = len(wire.of(ssrc))
        await say(caller, callee, np.zeros(FRAME_SAMPLES, np.int16), PAUSE_S)
        assert len(wire.of(ssrc)) - before <= PAUSE_S * 5
        callee.heard.clear()
        await talk(120, (caller, CALLER_HZ), (callee, CALLEE_HZ))
        assert clearest(callee.sound, CALLER_HZ) > 0.95
        assert loudest(callee.sound) == pytest.approx(dbfs(Sine(CALLER_HZ).pull()), abs=1.5)


async def say(speaker: Peer, listener: Peer, frame: Samples, seconds: float) -> None:
    due = time.monotonic()
    for _ in range(round(seconds / FRAME_SECONDS)):
        speaker.port.leg.send(frame)
        listener.heard.append(listener.port.leg.pull(FRAME_SAMPLES))
        due += FRAME_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))


@pytest.mark.parametrize("kbps", [24, 40, 64])
async def test_no_second_of_a_call_has_more_on_the_wire_than_its_limit(kbps: int) -> None:
    """But where a stalled test makes up for frames, which no microphone does."""
    async with a_call(max_kbps=kbps) as (caller, callee, wire):
        wire.said_by(caller.port)
        await talk(300, (caller, CALLER_HZ), (callee, CALLEE_HZ))
        assert 0.5 * kbps < wire.worst_kbps() <= kbps
        assert clearest(callee.sound, CALLER_HZ) > 0.9
