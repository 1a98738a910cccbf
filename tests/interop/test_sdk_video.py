"""The official SDK (sinch-rtc 1.4.12) with its capability of video: it and a phone of ours see each other, whoever calls."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.media.local_video.local_video import LocalVideo
from sinchphone.media.pictures.pictures import PictureOptions
from sinchphone.protocol.call.states import State
from tests.interop.conftest import PATIENCE_S, OurExchange, Sdk, Town

pytestmark = pytest.mark.timeout(120)
ENOUGH = 10  # pictures


async def sees(call: Call) -> None:
    assert isinstance(call.pictures, LocalVideo)
    async with asyncio.timeout(PATIENCE_S):
        while call.pictures.counts().recognised < ENOUGH:
            await asyncio.sleep(0.1)


async def is_seen(sdk: Sdk, call: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            sdk.do("see", call=call, source=1)
            if (await sdk.told("seen", call=call))["pictures"] >= ENOUGH:
                return


@pytest.mark.parametrize("caller", ["the SDK", "ours"])
async def test_the_sdk_and_a_phone_see_and_hear_each_other(town: Town, steps: Any, caller: str) -> None:
    ear, sound = town.sound(620.0)
    video = PictureOptions(test=True, test_source=1)
    environment = OurExchange(town.exchange, "ocra")
    phone = await town.stack.enter_async_context(
        SinchClient("bob", environment, media=town.media, sound=lambda: sound, video=lambda: video)
    )
    sdk = await town.sdk_user("alice", video=2)
    sdk.do("tone", hz=440.0)
    if caller == "ours":
        call = await phone.call_user("alice", sound=sound, video=video)
        there = (await sdk.told("incoming"))["call"]
        sdk.do("answer", call=there)
    else:
        sdk.do("callUser", to="bob", headers={})
        there = (await sdk.told("calling"))["call"]
        call = (await steps.event(phone, IncomingCall)).call
        assert call.video_offered
        await call.answer()
    await steps.reach(call, State.ESTABLISHED)
    assert call.details.video_codec == "VP8"
    await asyncio.gather(sees(call), is_seen(sdk, there), ear.hears(440.0), sdk.hears(there, 620.0))
    assert sdk.tells_not("problem")
