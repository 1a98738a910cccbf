"""Calls with the peer connection of stock aiortc."""

import asyncio
import datetime
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Samples
from sinchphone.audio.tones.signals import Sine
from sinchphone.exchange.tls import issue
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.port import Connected, PortOptions
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task
from tests.media.webrtc import coturn
from tests.media.webrtc.narrow_transport import narrow_down
from tests.media.webrtc.port_peers import HERE, SETTLED, Peer, a_peer, clearest, talk


class ToneTrack(MediaStreamTrack):
    """What stock aiortc sends: a tone, 20 ms at a time."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self._tone = Sine(hz)
        self._due = time.monotonic()
        self._samples = 0

    async def recv(self) -> AudioFrame:
        self._due += FRAME_SECONDS
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        frame = AudioFrame.from_ndarray(self._tone.pull().reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._samples
        self._samples += FRAME_SAMPLES
        return frame


class Stock:
    """aiortc's own peer connection as the other end."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=list[RTCIceServer]()))
        self.pc.addTrack(ToneTrack(620))
        self.heard: list[Samples] = []
        self.listening: list[asyncio.Task[None]] = []
        self.pc.on("track", self._listen)

    def _listen(self, track: Any) -> None:
        async def take() -> None:
            while True:
                frame = await track.recv()
                sound = frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)]
                self.heard.append(np.repeat(sound, RATE // frame.sample_rate))

        self.listening.append(start_task(take(), name="take"))

    async def add(self, candidate: Candidate | None) -> None:
        if candidate is not None:
            parsed = candidate_from_sdp(candidate.candidate.removeprefix("candidate:"))
            parsed.sdpMid, parsed.sdpMLineIndex = candidate.sdp_mid, candidate.sdp_mline_index
            await self.pc.addIceCandidate(parsed)

    async def close(self) -> None:
        for task in self.listening:
            task.cancel()
        await self.pc.close()


@pytest.fixture
def stock_uses_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock aiortc leaves loopback addresses out, and a test machine may have no other."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


async def hear_each_other(peer: Peer, stock: Stock) -> None:
    await peer.wait_for(Connected)
    await talk(200, (peer, 440))
    assert clearest(peer.sound, 620) > 0.95
    assert clearest(np.concatenate(stock.heard[SETTLED:]), 440) > 0.95


@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA", "G722"])
@pytest.mark.usefixtures("stock_uses_loopback")
async def test_stock_aiortc_calls_us(codec: str) -> None:
    async with a_peer(WebRtcPort(replace(HERE, codecs=("opus", "G722", "PCMU", "PCMA")))) as peer:
        stock = Stock()
        try:
            await stock.pc.setLocalDescription(await stock.pc.createOffer())
            answer = await peer.port.answer(Description("offer", stock.pc.localDescription.sdp), prefer=codec)
            await stock.pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
            await peer.trickle_to(stock.add)
            await hear_each_other(peer, stock)
            assert (await peer.wait_for(Connected)).codec == codec
        finally:
            await stock.close()


async def is_called(stock: Stock, peer: Peer) -> None:
    """Our port offers, and it answers."""
    await stock.pc.setRemoteDescription(RTCSessionDescription((await peer.port.offer()).sdp, "offer"))
    await peer.trickle_to(stock.add)
    await stock.pc.setLocalDescription(await stock.pc.createAnswer())
    await peer.port.accept(Description("answer", stock.pc.localDescription.sdp))


@pytest.mark.usefixtures("stock_uses_loopback")
async def test_we_call_stock_aiortc() -> None:
    async with a_peer(WebRtcPort(HERE)) as peer:
        stock = Stock()
        try:
            await is_called(stock, peer)
            await hear_each_other(peer, stock)
        finally:
            await stock.close()


async def drains_its_queue(options: PortOptions) -> None:
    async with a_peer(WebRtcPort(options)) as peer:
        stock = Stock()
        try:
            await is_called(stock, peer)
            await peer.wait_for(Connected)
            await talk(150, (peer, 440))
            stream = peer.port._stream
            assert stream.path.measures_round_trips
            assert stream.path._trips.is_fresh(time.monotonic()), "checks are answered"
            narrow = narrow_down(peer.port)
            waits = []
            for _ in range(20):
                await talk(15, (peer, 440))
                waits.append(narrow.waiting_s)
            assert max(waits) > 0.2
            assert np.median(waits[-7:]) < 0.1
        finally:
            await stock.close()


@pytest.mark.usefixtures("stock_uses_loopback")
async def test_the_queue_of_a_link_that_narrows_is_told_by_round_trips_and_drained() -> None:
    await drains_its_queue(HERE)


@pytest.mark.skipif(not coturn.is_there(), reason=coturn.MISSING)
@pytest.mark.usefixtures("stock_uses_loopback")
async def test_that_of_the_way_to_a_relay_is_too(tmp_path: Path) -> None:
    issued = issue(tmp_path / "tls", "127.0.0.1", datetime.datetime.now(datetime.UTC))
    async with coturn.a_turn_server(tmp_path, issued) as turn:
        server = IceServer(urls=(turn.url("udp"),), username=coturn.USER, credential=coturn.PASSWORD)
        await drains_its_queue(PortOptions(ice_servers=(server,), relay_only=True))
