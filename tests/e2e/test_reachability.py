"""Who can't answer says nothing: a program that only calls takes the ringing from nobody, and nobody waits for it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.errors import NotFoundError
from sinchphone.local import Local
from sinchphone.protocol.call.states import Cause, State


@pytest.mark.parametrize("api", ["ocra", "papi"])
async def test_a_user_who_only_calls_somewhere_is_not_there_to_be_called(lines: Any, steps: Any, api: Any) -> None:
    caller = await lines.phone("alice")
    there = Local(lines.local._folder, port=int(lines.local._url.rsplit(":", 1)[1]), api=api)
    async with SinchClient("bob", there, media=lines.media, takes_calls=False) as bob:
        call = await caller.call_user("bob")
        details = await steps.end_of(call, seconds=5)
        assert details.cause is Cause.FAILURE
        assert isinstance(details.error, NotFoundError)
        outgoing = await bob.call_user("alice")
        await (await steps.next_call(caller)).answer()
        await steps.reach(outgoing, State.ESTABLISHED)


async def test_a_users_listening_phone_rings_while_another_program_of_theirs_only_calls(lines: Any, steps: Any) -> None:
    alice, listening = await lines.phone("alice"), await lines.phone("bob")
    calling = await lines.phone("bob", takes_calls=False)
    for _ in range(3):
        call = await alice.call_user("bob")
        rings = await steps.next_call(listening)
        await steps.reach(call, State.RINGING)
        await rings.answer()
        await steps.reach(call, State.ESTABLISHED)
        await call.hang_up()
        await steps.end_of(rings)
    assert not calling.calls


async def test_an_invite_that_comes_all_the_same_is_answered_by_nobody(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    bob._calls._takes_calls = False  # as if the platform didn't know
    call = await alice.call_user("bob")
    details = await steps.end_of(call)
    assert details.cause is Cause.TIMEOUT
    bob._tell(IncomingCall(call=call))  # nothing else was told before
    async with asyncio.timeout(5):
        assert await steps.next_call(bob) is call


async def test_a_program_that_listens_after_it_only_called_is_reachable_again(lines: Any, steps: Any, tmp_path: Path) -> None:
    alice = await lines.phone("alice")
    async with SinchClient("bob", lines.local, media=lines.media, state_dir=tmp_path, takes_calls=False):
        pass
    bob = await lines.phone("bob", state_dir=tmp_path)
    await alice.call_user("bob")
    assert (await steps.next_call(bob)).peer == "alice"
