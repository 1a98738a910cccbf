"""Video calls between two phones: what one end shows is recognised at the other, and whoever wants no pictures has none."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.call_events import CallWarning
from sinchphone.engine.client import SinchClient
from sinchphone.errors import DeviceError, LocalProtocolError
from sinchphone.media.local_video.local_video import LocalVideo
from sinchphone.media.pictures import PictureOptions
from sinchphone.protocol.call.states import State

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


async def talking(steps: Any, ada: SinchClient, bob: SinchClient, **options: Any) -> tuple[Call, Call]:
    placed = await ada.call_user("bob", **options)
    taken = await steps.next_call(bob)
    await taken.answer()
    await steps.reach(placed, State.ESTABLISHED)
    await steps.reach(taken, State.ESTABLISHED)
    return placed, taken


async def test_both_see_each_other_and_a_pause_is_black(lines: Any, steps: Any) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob", video=lambda: showing(2))
    placed, taken = await talking(steps, ada, bob, video=showing(1))
    assert taken.video_offered and placed.has_video and taken.has_video
    assert placed.details.video_codec == taken.details.video_codec == "VP8"
    await asyncio.gather(sees(placed, 5), sees(taken, 5))
    placed.pause_video()
    assert placed.video_paused
    await asyncio.sleep(0.5)
    before = taken.pictures.counts() if taken.pictures is not None else None
    await asyncio.sleep(0.8)
    after = taken.pictures.counts() if taken.pictures is not None else None
    assert before is not None and after is not None
    assert after.recognised == before.recognised and after.seen > before.seen
    placed.resume_video()
    await sees(taken, 3)


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


async def first_warning(call: Call) -> Any:
    async for event in call.events():
        if isinstance(event, CallWarning):
            yield event
            return
