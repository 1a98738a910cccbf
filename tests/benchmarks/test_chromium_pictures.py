"""A video call with Chromium over the loopback: both ends recognise what the other shows, whoever offered."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import quality_chromium

from sinchphone.media.port import CandidateFound, Connected, PortOptions
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.picture.bar_code import PictureCode, draw_code, read_code
from sinchphone.picture.frame import Picture
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.tasks import start_task

PAGE = Path(__file__).with_name("pictures_chromium.html")
SECONDS = 3.0


@pytest.fixture(autouse=True, scope="module")
def chromium() -> None:
    if quality_chromium.program() is None:
        (pytest.fail if os.environ.get("SINCHPHONE_REQUIRE_PEERS") else pytest.skip)("needs the package chromium")


class Seen:
    """A port of ours: shows test pictures and keeps the numbers of those that it sees."""

    def __init__(self, codec: str) -> None:
        self.port = WebRtcPort(PortOptions(loopback=True, pictures=(codec,)))
        self.codes: list[PictureCode] = []
        self.pictures = 0
        self.connected = asyncio.Event()
        self.codec: str | None = None

    def see(self, picture: Picture, at: float) -> None:
        self.pictures += 1
        code = read_code(picture)
        if code is not None:
            self.codes.append(code)

    async def follow(self, browser: Any) -> None:
        async for event in self.port.events():
            match event:
                case CandidateFound(candidate=candidate) if candidate is not None:
                    words = (candidate.candidate, candidate.sdp_mid, candidate.sdp_mline_index)
                    await asyncio.to_thread(browser.evaluate, f"add({', '.join(map(json.dumps, words))})")
                case Connected(pictures=codec):
                    self.codec = codec
                    self.connected.set()

    async def show(self, seconds: float) -> None:
        began = time.monotonic()
        self.port.pictures.describe(640, 360, 15.0)
        for number in range(round(seconds * 15)):
            picture = await asyncio.to_thread(draw_code, PictureCode(number, 1), 640, 360, time.monotonic())
            self.port.pictures.send(picture)
            await asyncio.sleep(max(0.0, began + (number + 1) / 15 - time.monotonic()))


@pytest.mark.parametrize(("codec", "offers"), [("VP8", True), ("VP8", False), ("H264", True)])
async def test_both_ends_recognise_what_the_other_shows(codec: str, offers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_chromium, "PAGE", PAGE)
    ours = Seen(codec)
    with quality_chromium.Chromium(Path(os.devnull), tmp_path) as browser:
        browser.evaluate("begin()")
        if offers:
            offer = await ours.port.offer()
            sdp = await asyncio.to_thread(browser.evaluate, f"answer({json.dumps(offer.sdp)})")
            following = start_task(ours.follow(browser), name="follow")
            if "m=video 0" in sdp:
                pytest.skip(f"this Chromium has no {codec}")
            await ours.port.accept(Description("answer", sdp))
        else:
            sdp = await asyncio.to_thread(browser.evaluate, "offer()")
            answer = await ours.port.answer(Description("offer", sdp))
            await asyncio.to_thread(browser.evaluate, f"accept({json.dumps(answer.sdp)})")
            following = start_task(ours.follow(browser), name="follow")
        try:
            async with asyncio.timeout(20):
                await ours.connected.wait()
            assert ours.codec == codec
            ours.port.pictures.on_picture(ours.see)
            await ours.show(SECONDS)
            counts = await asyncio.to_thread(browser.evaluate, "counts()")
            stats = await ours.port.stats()
        finally:
            await ours.port.close()
            await following
    theirs = [number for number, source in counts["seen"] if source == 1]
    assert len(set(theirs)) >= 15, (counts, stats.pictures)
    assert counts["decoded"] >= 0.9 * counts["received"]
    assert len({code.number for code in ours.codes if code.source == 9}) >= 15, (counts, stats.pictures)
    assert len(ours.codes) >= 0.9 * ours.pictures
