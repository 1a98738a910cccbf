"""Video calls between two phones: what one end shows is recognised at the other, and whoever wants no pictures has none."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sinchphone.audio.frame import RATE
from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.call_events import CallWarning
from sinchphone.engine.client import SinchClient
from sinchphone.errors import DeviceError, LocalProtocolError
from sinchphone.gateway.sip.calls import SipAnswered, SipTarget
from sinchphone.media.local_video.local_video import LocalVideo
from sinchphone.media.pictures.pictures import PictureOptions
from sinchphone.picture.bar_code import read_code
from sinchphone.picture.frame import Picture
from sinchphone.protocol.call.states import State
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.tasks import start_task
from tests.e2e.conftest import PhoneCall

PATIENCE_S = 20.0


def showing(source: int) -> PictureOptions:
    return PictureOptions(test=True, test_source=source)


async def sees(call: Call, pictures: int) -> None:
    """Until so many more test pictures of the peer were recognised."""
    assert isinstance(call.pictures, LocalVideo)
    wanted = call.pictures.counts().recognised + pictures
    async with asyncio.timeout(PATIENCE_S):
        while call.pictures.counts().recognised < wanted:
            await asyncio.sleep(0.05)


async def sees_black(call: Call, seconds: float = 0.8) -> None:
    """Until none of the pictures of so long a time was a test picture: those that were on their way come first."""
    assert isinstance(call.pictures, LocalVideo)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            before = call.pictures.counts()
            await asyncio.sleep(seconds)
            after = call.pictures.counts()
            if after.recognised == before.recognised and after.seen > before.seen:
                return


async def talking(steps: Any, ada: SinchClient, bob: SinchClient, **options: Any) -> tuple[Call, Call]:
    placed = await ada.call_user("bob", **options)
    taken = await steps.next_call(bob)
    await taken.answer()
    await steps.reach(placed, State.ESTABLISHED)
    await steps.reach(taken, State.ESTABLISHED)
    return placed, taken


async def test_both_see_each_other_and_a_pause_is_black(lines: Any, steps: Any, tmp_path: Path) -> None:
    """And a recording has what was seen, with the sound of both."""
    (_, adas_sound), (_, bobs_sound) = lines.ear(440.0), lines.ear(620.0)
    ada, bob = await lines.phone("ada"), await lines.phone("bob", video=lambda: showing(2), sound=lambda: bobs_sound)
    recording = tmp_path / "{call}.mkv"
    placed, taken = await talking(steps, ada, bob, video=replace(showing(1), record=str(recording)), sound=adas_sound)
    assert taken.video_offered and placed.has_video and taken.has_video
    assert placed.details.video_codec == taken.details.video_codec == "VP8"
    await asyncio.gather(sees(placed, 5), sees(taken, 5))
    placed.pause_video()
    assert placed.video_paused
    await sees_black(taken)
    placed.resume_video()
    await sees(taken, 3)
    await placed.hang_up()
    await steps.end_of(placed)
    await placed.closed()
    (made,) = tmp_path.iterdir()
    with av.open(str(made)) as container:
        codes = [read_code(Picture(frame.to_ndarray().astype(np.uint8))) for frame in container.decode(video=0)]
    with av.open(str(made)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)[:, -RATE:]
    assert {code.source for code in codes if code is not None} == {2} and sum(code is not None for code in codes) >= 5
    for side, hz in enumerate((440.0, 620.0)):
        spectrum = np.abs(np.fft.rfft(sound[side]))
        assert abs(np.argmax(spectrum) * RATE / sound.shape[1] - hz) < 10


async def test_who_wants_no_pictures_gets_none_and_the_caller_is_told_once(lines: Any, steps: Any) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob")
    placed, taken = await talking(steps, ada, bob, video=showing(1))
    assert taken.video_offered and not taken.has_video and not placed.has_video
    async with asyncio.timeout(PATIENCE_S):
        told = [event async for event in first_warning(placed)]
    assert [one.message for one in told] == ["the other side takes no pictures"]
    with pytest.raises(LocalProtocolError):
        taken.pause_video()


async def test_a_call_of_sound_offers_no_pictures(lines: Any, steps: Any) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob", video=lambda: showing(2))
    placed, taken = await talking(steps, ada, bob)
    assert not taken.video_offered and not placed.has_video and taken.pictures is None


async def test_a_video_call_may_be_taken_with_sound_alone(lines: Any, steps: Any) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob", video=lambda: showing(2))
    placed = await ada.call_user("bob", video=showing(1))
    taken = await steps.next_call(bob)
    await taken.answer(video=False)
    await steps.reach(taken, State.ESTABLISHED)
    await asyncio.sleep(0.6)
    assert not taken.has_video and taken.pictures is not None and placed.pictures is not None
    assert taken.pictures.counts().seen == placed.pictures.counts().seen == 0


async def test_a_camera_that_was_named_and_is_missing_is_told_before_the_call(lines: Any, steps: Any) -> None:
    ada = await lines.phone("ada")
    with pytest.raises(DeviceError):
        await ada.call_user("bob", video=PictureOptions(camera="no such camera"))


VIDEO_OFFER = "m=video 50000 RTP/AVP 96 97\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 H264/90000\r\na=sendrecv\r\n"


async def test_a_sip_phone_is_offered_no_pictures_and_who_called_it_is_told_once(sip_exchange: Any, steps: Any) -> None:
    exchange = await sip_exchange()
    bob, alice = await exchange.phone(), await exchange.terminal("alice")
    call = await alice.call_sip(bob.address(), video=showing(1))
    rung = await bob.next_call()
    assert "m=audio" in rung.sip.offer and "m=video" not in rung.sip.offer
    await bob.answer(rung)
    await steps.reach(call, State.ESTABLISHED)
    assert not call.has_video
    warnings = [event.message for event in await told_until_the_end(call) if isinstance(event, CallWarning)]
    assert warnings == ["the other side takes no pictures"]


async def test_pictures_that_a_sip_phone_offers_are_refused_with_port_0_and_the_sound_is_heard(sip_exchange: Any, steps: Any) -> None:
    exchange = await sip_exchange("desk")
    ear, sound = exchange.lines.ear()
    alice = await exchange.terminal("alice", video=lambda: showing(2), sound=lambda: sound)
    phone = await exchange.phone("desk")
    port = phone._port()
    offer = (await port.offer()).sdp + VIDEO_OFFER
    called = parse_uri(f"sip:alice@{exchange.at}")
    desk = parse_address("sip:desk@127.0.0.1")
    made = phone.agent.invite(SipTarget(called), caller=desk, offer=offer, credentials=Credentials("desk", "desk"))
    answer = start_task(answer_to(made), name="answer")
    taken = await steps.next_call(alice)
    assert not taken.video_offered
    await taken.answer()
    async with asyncio.timeout(PATIENCE_S):
        sound_of, _, pictures = (await answer).partition("m=video")
    assert pictures.split()[0] == "0" and "m=audio 0" not in sound_of
    await port.accept(Description("answer", sound_of))
    await phone.listen(PhoneCall(made, port), 440.0)
    await steps.reach(taken, State.ESTABLISHED)
    await ear.hears(440.0)
    assert not taken.has_video


async def answer_to(made: Any) -> str:
    async for event in made.events():
        if isinstance(event, SipAnswered):
            return event.sdp
    raise AssertionError("the call ended")


async def told_until_the_end(call: Call) -> list[Any]:
    """What was told of a call that is hung up half a second later."""
    hanging_up = start_task(hang_up_later(call), name="hang up")
    told = [event async for event in call.events()]
    await hanging_up
    return told


async def hang_up_later(call: Call) -> None:
    await asyncio.sleep(0.5)
    await call.hang_up()


async def first_warning(call: Call) -> Any:
    async for event in call.events():
        if isinstance(event, CallWarning):
            yield event
            return
