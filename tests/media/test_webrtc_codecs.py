"""WebRTC ports beyond Opus: telephone codecs, digits, and packets that pass through as they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Samples
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.codecs.codec import CODECS
from sinchphone.media.port import CandidateFound, Connected, MediaPort, PortDigitHeard, PortEvent, PortOptions, RtpPortOptions
from sinchphone.media.rtp.port import RtpPort
from sinchphone.media.thread import MediaThread
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.tasks import start_task

HERE = PortOptions(loopback=True)
EVERYTHING = replace(HERE, codecs=("opus", "PCMU", "PCMA", "G722"))
PATIENCE = 10.0
SETTLED = 20


class Peer:
    """A port whose events are read and whose candidates go to another."""

    def __init__(self, port: WebRtcPort | RtpPort) -> None:
        self.port = port
        self.seen: list[PortEvent] = []
        self.heard: list[Samples] = []
        self.other: Peer | None = None
        self._kept: list[CandidateFound] = []
        self._news = asyncio.Event()

    async def read(self) -> None:
        async for event in self.port.events():
            if isinstance(event, CandidateFound) and self.other is not None:
                await self.other.port.add_candidate(event.candidate)
            self.seen.append(event)
            self._news.set()

    async def wait_for(self, kind: type[PortEvent], count: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.all(kind)) < count:
                self._news.clear()
                await self._news.wait()

    def all(self, kind: type[PortEvent]) -> list[PortEvent]:
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.heard[SETTLED:])


@asynccontextmanager
async def two_peers(one: PortOptions, other: PortOptions | None = None) -> AsyncIterator[tuple[Peer, Peer]]:
    caller, callee = Peer(WebRtcPort(one)), Peer(WebRtcPort(other or one))
    caller.other, callee.other = callee, caller
    reading = [start_task(peer.read(), name="read") for peer in (caller, callee)]
    try:
        yield caller, callee
    finally:
        await caller.port.close()
        await callee.port.close()
        await asyncio.wait_for(asyncio.gather(*reading), PATIENCE)


async def connect(caller: Peer, callee: Peer, prefer: str | None = None) -> None:
    await caller.port.accept(await callee.port.answer(await caller.port.offer(), prefer=prefer))
    await caller.wait_for(Connected)
    await callee.wait_for(Connected)


async def talk(frames: int, *speakers: tuple[Peer, float]) -> None:
    tones = [(peer, Sine(hz)) for peer, hz in speakers]
    loop = asyncio.get_running_loop()
    due = loop.time()
    for _ in range(frames):
        for peer, tone in tones:
            peer.port.leg.send(tone.pull())
            peer.heard.append(peer.port.leg.pull(FRAME_SAMPLES))
        due += FRAME_SECONDS
        await asyncio.sleep(max(0.0, due - loop.time()))


def clearest(sound: Samples, hz: float, length: int = RATE // 2) -> float:
    return max(share(sound[at : at + length], hz) for at in range(0, max(1, len(sound) - length + 1), RATE // 10))


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
async def test_a_telephone_codec_carries_each_ends_tone_to_the_other(codec: str) -> None:
    async with two_peers(replace(HERE, codecs=(codec,))) as (caller, callee):
        await connect(caller, callee)
        await talk(90, (caller, 440), (callee, 620))
        assert clearest(callee.sound, 440) > 0.95
        assert clearest(caller.sound, 620) > 0.95
        assert caller.all(Connected) == [Connected(pair="host", codec=codec)]
        assert (await callee.port.stats()).codec == codec
        assert caller.port.codec is CODECS[codec]


def test_the_offer_lists_the_codecs_in_our_order_and_digits_at_their_clock_rates() -> None:
    async def offer(*codecs: str) -> list[str]:
        port = WebRtcPort(replace(HERE, codecs=codecs))
        try:
            return (await port.offer()).sdp.splitlines()
        finally:
            await port.close()

    lines = asyncio.run(offer("PCMU", "opus", "G722"))
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 0 111 9 63 110 126" in lines
    for line in ("a=rtpmap:0 PCMU/8000", "a=rtpmap:9 G722/8000", "a=rtpmap:110 telephone-event/48000", "a=rtpmap:126 telephone-event/8000"):
        assert line in lines
    assert "a=fmtp:126 0-15" in lines
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 110" in asyncio.run(offer("opus"))


@pytest.mark.parametrize(
    ("offered", "known", "prefer", "taken"),
    [
        (("opus", "PCMU"), ("PCMU", "opus"), None, "opus"),
        (("PCMU", "opus"), ("opus", "PCMU"), None, "PCMU"),
        (("opus", "G722", "PCMA"), ("PCMA", "G722"), None, "G722"),
        (("opus", "PCMU"), ("PCMU", "opus"), "PCMU", "PCMU"),
        (("opus", "PCMA"), ("opus", "PCMU"), "PCMU", "opus"),
    ],
)
async def test_the_answerer_takes_the_first_common_codec_of_the_offer_or_the_preferred_one(
    offered: tuple[str, ...], known: tuple[str, ...], prefer: str | None, taken: str
) -> None:
    async with two_peers(replace(HERE, codecs=offered), replace(HERE, codecs=known)) as (caller, callee):
        await connect(caller, callee, prefer)
        for peer in (caller, callee):
            assert peer.all(Connected) == [Connected(pair="host", codec=taken)]


async def test_nothing_in_common_is_refused_by_name() -> None:
    async with two_peers(replace(HERE, codecs=("PCMU",)), HERE) as (caller, callee):
        with pytest.raises(MediaError, match="Opus"):
            await callee.port.answer(await caller.port.offer())


@pytest.mark.parametrize(("codec", "clock_rate"), [("opus", 48_000), ("PCMU", 8_000)])
async def test_digits_are_heard_exactly_and_are_no_loss(codec: str, clock_rate: int) -> None:
    async with two_peers(replace(HERE, codecs=(codec,))) as (caller, callee):
        await connect(caller, callee)
        talking = start_task(talk(200, (caller, 440), (callee, 620)), name="talk")
        await caller.port.dtmf("09*#w")
        await callee.port.dtmf("AD")
        await callee.wait_for(PortDigitHeard, 4)
        await caller.wait_for(PortDigitHeard, 2)
        await talking
        assert callee.all(PortDigitHeard) == [PortDigitHeard(digit=digit, duration_ms=100) for digit in "09*#"]
        assert caller.all(PortDigitHeard) == [PortDigitHeard(digit=digit, duration_ms=100) for digit in "AD"]
        for peer in (caller, callee):
            stats = await peer.port.stats()
            assert stats.packets_lost == 0
            assert stats.concealed_samples < RATE // 4  # a stall of the machine, if anything
        assert clearest(callee.sound[-RATE:], 440) > 0.95


async def test_digits_out_of_turn_are_refused() -> None:
    async with two_peers(HERE) as (caller, callee):
        with pytest.raises(MediaError):
            await caller.port.dtmf("1")
        await connect(caller, callee)
        with pytest.raises(LocalProtocolError):
            await caller.port.dtmf("1!")
        pressing = start_task(caller.port.dtmf("1" * 20), name="dtmf")
        await asyncio.sleep(0.05)
        await caller.port.close()
        with pytest.raises(MediaError):
            await pressing


async def test_a_peer_without_telephone_events_gets_none() -> None:
    async with two_peers(HERE) as (caller, callee):
        offer = await caller.port.offer()
        without = offer.sdp.replace("SAVPF 111 63 110", "SAVPF 111 63")
        await caller.port.accept(await callee.port.answer(Description("offer", without)))
        await callee.wait_for(Connected)
        with pytest.raises(MediaError, match="digits"):
            await callee.port.dtmf("1")


async def test_packets_pass_between_webrtc_and_plain_rtp_without_a_codec() -> None:
    phones = RtpPortOptions(codecs=("PCMU",))
    async with two_peers(replace(EVERYTHING, codecs=("PCMU",))) as (user, ours):
        await connect(user, ours)
        left, right = Peer(RtpPort(phones)), Peer(RtpPort(phones))
        reading = [start_task(peer.read(), name="read") for peer in (left, right)]
        try:
            await left.port.accept(await right.port.answer(await left.port.offer()))
            ours.port.divert(left.port.forward)
            left.port.divert(ours.port.forward)
            await talk(90, (user, 440), (right, 620))
            assert clearest(right.sound, 440) > 0.95
            assert clearest(user.sound, 620) > 0.95
            assert (await ours.port.stats()).played_samples == 0
        finally:
            await left.port.close()
            await right.port.close()
            await asyncio.gather(*reading)


async def test_ports_of_the_media_thread_pass_packets_and_digits_too() -> None:
    options = RtpPortOptions(codecs=("PCMU",))
    async with MediaThread() as media:
        one, two, three, four = (media.rtp_ports.port(options) for _ in range(4))
        try:
            assert (one.codec, one.direction) == (None, "inactive")
            two.divert(three.forward)  # before anything was agreed on
            await one.accept(await two.answer(await one.offer()))
            await three.accept(await four.answer(await three.offer()))
            await one.dtmf("1")
            heard = []
            async with asyncio.timeout(PATIENCE):
                async for event in two.events():
                    heard.append(event)
                    if event == PortDigitHeard(digit="1", duration_ms=100):
                        break
                tone = Sine(500)
                for _ in range(200):
                    await media.run(send(one, tone))
                    if (await four.stats()).packets_received > 20:
                        break
                    await asyncio.sleep(FRAME_SECONDS)
            assert (await four.stats()).packets_received > 20
            assert (await two.stats()).played_samples == 0
            await three.accept(await four.reanswer(await three.reoffer(direction="sendonly")))
            assert (three.direction, four.direction) == ("sendonly", "recvonly")
            await four.reoffer()
            await four.withdraw()
            with pytest.raises(LocalProtocolError):
                await one.fork()
        finally:
            for port in (one, two, three, four):
                await port.close()


async def send(port: MediaPort, tone: Sine) -> None:
    port.leg.send(tone.pull())
