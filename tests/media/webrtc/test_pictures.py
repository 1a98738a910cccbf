"""Pictures between two ports over real sockets on the loopback: what is recognised at one end is what was sent at the other."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, silence
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.port import CandidateFound, Connected, PortEvent, PortOptions
from sinchphone.media.video.receiver import VideoReceiver
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.picture.bar_code import PictureCode, draw_code, read_code
from sinchphone.picture.frame import Picture
from sinchphone.protocol.rtp.packet import RtpPacket
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sdp.session_description import read_session
from sinchphone.tasks import start_task

PATIENCE = 20.0
RATE = 15.0


@dataclass
class Seer:
    """A port with somebody who shows test pictures and writes down which are seen."""

    port: WebRtcPort
    source: int
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    facts: Connected | None = None
    seen: list[PictureCode] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    unknown: int = 0

    async def read(self, other: WebRtcPort) -> None:
        async for event in self.port.events():
            await self.obey(event, other)

    async def obey(self, event: PortEvent, other: WebRtcPort) -> None:
        match event:
            case CandidateFound(candidate=candidate):
                await other.add_candidate(candidate)
            case Connected():
                self.facts = event
                self.connected.set()

    def see(self, picture: Picture, at: float) -> None:
        code = read_code(picture)
        self.sizes.add((picture.width, picture.height))
        if code is None:
            self.unknown += 1
        else:
            self.seen.append(code)

    async def show(self, seconds: float) -> None:
        """The sound goes on meanwhile."""
        tone, began, number = Sine(400.0), time.monotonic(), 0
        self.port.pictures.describe(640, 360, RATE)
        for tick in range(round(seconds * 50)):
            self.port.leg.send(tone.pull())
            self.port.leg.pull(FRAME_SAMPLES)
            if tick / 50 >= number / RATE:
                self.port.pictures.send(draw_code(PictureCode(number, self.source), 640, 360, time.monotonic()))
                number += 1
            await asyncio.sleep(max(0.0, began + (tick + 1) / 50 - time.monotonic()))


@asynccontextmanager
async def two_seers(one: PortOptions, other: PortOptions) -> AsyncIterator[tuple[Seer, Seer]]:
    caller, callee = Seer(WebRtcPort(one), 1), Seer(WebRtcPort(other), 2)
    tasks = [start_task(caller.read(callee.port), name="caller"), start_task(callee.read(caller.port), name="callee")]
    try:
        answer = await callee.port.answer(await caller.port.offer())
        await caller.port.accept(answer)
        async with asyncio.timeout(PATIENCE):
            await caller.connected.wait()
            await callee.connected.wait()
        for seer in (caller, callee):
            seer.port.pictures.on_picture(seer.see)
        yield caller, callee
    finally:
        await asyncio.gather(caller.port.close(), callee.port.close())
        await asyncio.gather(*tasks)


def seeing(*codecs: str) -> PortOptions:
    return PortOptions(loopback=True, pictures=codecs)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_both_see_what_the_other_shows(codec: str) -> None:
    async with two_seers(seeing(codec), seeing("VP8", "H264")) as (caller, callee):
        assert caller.facts is not None and caller.facts.pictures == codec
        await asyncio.gather(caller.show(2.0), callee.show(2.0))
        for seer, source in ((caller, 2), (callee, 1)):
            numbers = [code.number for code in seer.seen]
            assert {code.source for code in seer.seen} == {source}
            assert len(numbers) >= 8 and numbers == sorted(set(numbers))
            stats = await seer.port.stats()
            assert stats.pictures is not None and stats.pictures.packets_lost == 0


VIDEO_OF_OTHERS = """m=video 9 UDP/TLS/RTP/SAVPF 98 45
c=IN IP4 0.0.0.0
a=mid:1
a=sendrecv
a=rtcp-mux
a=rtpmap:98 VP9/90000
a=rtpmap:45 AV1/90000
"""


async def test_unknown_codecs_of_pictures_cost_the_picture_and_not_the_sound() -> None:
    caller, callee = WebRtcPort(seeing("VP8")), WebRtcPort(seeing("VP8"))
    try:
        offer = (await caller.offer()).sdp
        changed = offer[: offer.index("m=video")] + VIDEO_OF_OTHERS.replace("\n", "\r\n")
        answer = read_session((await callee.answer(Description("offer", changed))).sdp)
        assert [(one.kind, bool(one.port)) for one in answer.sections] == [("audio", True), ("video", False)]
        assert answer.all("group") == ["BUNDLE 0"]
    finally:
        await asyncio.gather(caller.close(), callee.close())


async def test_pictures_outside_of_the_bundle_are_refused() -> None:
    caller, callee = WebRtcPort(seeing("VP8")), WebRtcPort(seeing("VP8"))
    try:
        offer = (await caller.offer()).sdp.replace("BUNDLE 0 1", "BUNDLE 0")
        answer = read_session((await callee.answer(Description("offer", offer))).sdp)
        assert [bool(one.port) for one in answer.sections] == [True, False]
    finally:
        await asyncio.gather(caller.close(), callee.close())


async def test_an_offer_of_sound_says_nothing_of_pictures() -> None:
    port = WebRtcPort(PortOptions(loopback=True))
    try:
        assert "video" not in (await port.offer()).sdp
    finally:
        await port.close()


@pytest.mark.parametrize("held_s", [0.0, 0.3])
async def test_lips_and_voice_of_one_moment_are_due_within_80_ms(held_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """How late the sound is, by when a tone is heard that begins after seconds; and how late pictures are due, once both were reported on:
    those that the network holds up, too, for which the sound waits."""
    take = VideoReceiver.take

    def take_late(receiver: VideoReceiver, packet: RtpPacket) -> bool:
        asyncio.get_running_loop().call_later(held_s, take, receiver, packet)
        return True

    if held_s:
        monkeypatch.setattr(VideoReceiver, "take", take_late)
    async with two_seers(seeing("VP8"), seeing("VP8")) as (caller, callee):
        taken: dict[int, float] = {}
        late: list[float] = []
        said_at = heard_at = 0.0

        def see(picture: Picture, at: float) -> None:
            code = read_code(picture)
            if code is not None and said_at:
                late.append(at - taken[code.number])

        callee.port.pictures.on_picture(see)
        caller.port.pictures.describe(640, 360, RATE)
        tone, began, silent_s = Sine(400.0), time.monotonic(), 4.5 if held_s else 3.0
        for tick in range(round((silent_s + 0.8 + held_s) * 50)):
            now = time.monotonic()
            said_at = said_at or (now if tick >= 50 * silent_s else 0.0)
            caller.port.leg.send(tone.pull() if said_at else silence())
            callee.port.leg.send(silence())
            caller.port.leg.pull(FRAME_SAMPLES)
            sound = callee.port.leg.pull(FRAME_SAMPLES)
            heard_at = heard_at or (now if abs(sound.astype(int)).max() > 1000 else 0.0)
            if tick % 3 == 0:
                taken[tick] = now
                caller.port.pictures.send(await asyncio.to_thread(draw_code, PictureCode(tick, 1), 320, 180, now))
            await asyncio.sleep(max(0.0, began + (tick + 1) / 50 - time.monotonic()))
        assert heard_at and len(late) >= 3
        assert median(late) >= held_s
        assert abs(median(late) - (heard_at - said_at)) < 0.080
