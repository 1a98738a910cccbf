"""Calls that come to nothing before they are placed or taken: whatever was opened for them is closed, and the next ones are as any."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.calls.unheard import Unheard
from sinchphone.engine.capabilities import Capabilities
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import ClientFailed, ClientWarning
from sinchphone.errors import DeviceError, LocalProtocolError
from sinchphone.media.pictures.pictures import PictureOptions
from sinchphone.media.sound import SoundOptions
from sinchphone.tasks import start_task


class SlowSound(Unheard):
    """Opens when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.opening = asyncio.Event()
        self.may_open = asyncio.Event()
        self.closed = False

    async def open(self) -> None:
        self.opening.set()
        await self.may_open.wait()

    async def close(self) -> None:
        await super().close()
        self.closed = True


async def test_a_recording_of_pictures_is_not_left_behind_where_the_microphone_is_not_there(lines: Any, tmp_path: Path) -> None:
    alice = await lines.phone("alice")
    with pytest.raises(DeviceError):
        await alice.call_user(
            "echo", sound=SoundOptions(input="nothing of that name"), video=PictureOptions(test=True, record=str(tmp_path / "seen.mkv"))
        )
    assert not list(tmp_path.iterdir())


async def test_a_call_whose_sound_opens_while_the_client_is_left_is_not_placed(lines: Any) -> None:
    sound, alice = SlowSound(), SinchClient("alice", lines.local, media=lines.media)
    await alice.open()
    placing = start_task(alice.call_user("echo", sound=sound), name="under way")
    await sound.opening.wait()
    await alice.close()
    sound.may_open.set()
    with pytest.raises(LocalProtocolError, match="left"):
        await placing
    assert sound.closed
    assert not alice.calls


async def test_of_two_calls_at_once_a_client_of_one_call_places_one(lines: Any) -> None:
    alice = await lines.phone("alice", capabilities=Capabilities(multi_call=False))
    sounds = [SlowSound(), SlowSound()]
    placing = [start_task(alice.call_user("echo", sound=sound), name="under way") for sound in sounds]
    for sound in sounds:
        await sound.opening.wait()
    sounds[0].may_open.set()
    call = await placing[0]
    sounds[1].may_open.set()
    with pytest.raises(LocalProtocolError, match="one call at a time"):
        await placing[1]
    assert [sound.closed for sound in sounds] == [False, True]
    await call.hang_up()


async def test_whoever_gives_up_while_the_sound_opens_has_it_closed(lines: Any) -> None:
    sound, alice = SlowSound(), await lines.phone("alice")
    placing = start_task(alice.call_user("echo", sound=sound), name="under way")
    await sound.opening.wait()
    placing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await placing
    assert sound.closed


async def test_a_call_whose_sound_the_program_fails_to_make_is_not_taken_and_the_next_one_is(lines: Any, steps: Any) -> None:
    sounds: list[SoundOptions] = []
    bob, alice = await lines.phone("bob", sound=sounds.pop), await lines.phone("alice")
    told: list[object] = []
    bob.add_listener(told.append)
    first = await alice.call_user("bob")
    async with asyncio.timeout(20):
        while not (warned := [event for event in told if isinstance(event, ClientWarning)]):
            await asyncio.sleep(0.01)
    assert "pop from empty list" in warned[0].message
    await first.hang_up()
    sounds.append(SoundOptions(devices=False))
    second = await alice.call_user("bob")
    assert (await steps.next_call(bob)).id == second.id
    assert not [event for event in told if isinstance(event, ClientFailed)]
    await second.hang_up()


async def test_a_call_whose_sound_can_not_be_made_of_what_the_program_wants_is_not_taken_and_the_next_one_is(
    lines: Any, steps: Any
) -> None:
    """The whole client ended, as by a bug."""
    wanted = [SoundOptions(devices=False), SoundOptions(devices=False, tone_hz=50_000.0)]
    bob, alice = await lines.phone("bob", sound=wanted.pop), await lines.phone("alice")
    told: list[object] = []
    bob.add_listener(told.append)
    first = await alice.call_user("bob")
    async with asyncio.timeout(20):
        while not (warned := [event for event in told if isinstance(event, ClientWarning | ClientFailed)]):
            await asyncio.sleep(0.01)
    assert isinstance(warned[0], ClientWarning) and "50000 Hz" in warned[0].message
    assert first.id not in bob._calls._channels
    await first.hang_up()
    second = await alice.call_user("bob")
    assert (await steps.next_call(bob)).id == second.id
    await second.hang_up()
