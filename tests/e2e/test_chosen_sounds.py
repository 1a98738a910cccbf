"""Incoming calls answered with a sound that is chosen for the caller, judged by what the caller hears."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.calls.call import Call
from sinchphone.errors import AudioFileError, LocalProtocolError
from sinchphone.media.sound import SoundOptions
from sinchphone.protocol.call.states import Cause, State

TONES = {"ada": 440.0, "carol": 880.0}


def for_the_caller(call: Call) -> SoundOptions:
    return SoundOptions(devices=False, tone_hz=TONES[call.peer])


async def for_the_caller_later(call: Call) -> SoundOptions:
    await asyncio.sleep(0.01)
    return for_the_caller(call)


async def test_each_caller_hears_the_sound_that_was_chosen_for_them(lines: Any, steps: Any) -> None:
    bob = await lines.phone("bob")
    for user, choose in (("ada", for_the_caller), ("carol", for_the_caller_later)):
        caller = await lines.phone(user)
        ear, sound = lines.ear()
        await caller.call_user("bob", sound=sound)
        await (await steps.next_call(bob)).answer(sound=choose)
        await ear.hears(TONES[user])


async def test_who_chooses_none_leaves_the_sound_of_the_client(lines: Any, steps: Any) -> None:
    ada = await lines.phone("ada")
    mine = lines.ear(620.0)[1]
    bob = await lines.phone("bob", sound=lambda: mine)

    async def later(_: Call) -> None:
        await asyncio.sleep(0)

    def at_once(_: Call) -> None:
        pass

    for none in (at_once, later):
        call = await ada.call_user("bob")
        incoming = await steps.next_call(bob)
        await incoming.answer(sound=none)
        await steps.reach(call, State.ESTABLISHED)
        assert incoming.sound is mine
        await call.hang_up()
        await steps.end_of(incoming)


async def test_options_or_a_sound_of_its_own_do_too_and_what_rang_is_let_go(lines: Any, steps: Any) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob")
    ear, sound = lines.ear()
    await ada.call_user("bob", sound=sound)
    incoming = await steps.next_call(bob)
    rang = incoming.sound
    mine = lines.ear(620.0)[1]
    await incoming.answer(sound=mine)
    await ear.hears(620.0)
    assert incoming.sound is mine
    assert [event async for event in rang.events()] == [], "it is closed: its events end"
    with pytest.raises(LocalProtocolError, match="before a call is answered"):
        await incoming.answer(sound=SoundOptions(devices=False))
    await steps.reach(incoming, State.ESTABLISHED)


async def test_a_sound_that_cannot_be_had_leaves_the_call_ringing(lines: Any, steps: Any, tmp_path: Path) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob")
    call = await ada.call_user("bob")
    incoming = await steps.next_call(bob)
    with pytest.raises(AudioFileError):
        await incoming.answer(sound=SoundOptions(devices=False, play=(str(tmp_path / "nothing.wav"),)))
    await steps.reach(call, State.RINGING)
    assert incoming.details.answered_at is None
    await incoming.answer(sound=SoundOptions(devices=False, tone_hz=440.0))
    await steps.reach(call, State.ESTABLISHED)


async def test_a_caller_who_gives_up_while_the_sound_is_chosen_is_not_answered(lines: Any, steps: Any, tmp_path: Path) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob")
    call = await ada.call_user("bob")
    incoming = await steps.next_call(bob)

    async def too_late(_: Call) -> SoundOptions:
        await call.hang_up()
        await incoming.ended()
        return SoundOptions(devices=False, record=str(tmp_path / "never.wav"))

    await incoming.answer(sound=too_late)
    assert (await steps.end_of(incoming)).cause is Cause.CANCELED
    assert list(tmp_path.iterdir()) == []


async def test_an_outgoing_call_is_not_answered_with_a_sound(lines: Any) -> None:
    call = await (await lines.phone("ada")).call_user("echo")
    with pytest.raises(LocalProtocolError, match="outgoing"):
        await call.answer(sound=SoundOptions(devices=False))
