"""What the called end says before the caller has been told that its call is placed is kept, and counts as soon as it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.calls.call import BUSY
from sinchphone.engine.client import SinchClient
from sinchphone.local import Local
from sinchphone.protocol.call.states import Cause, State
from tests.held_back import HeldBack, held_back_fixture  # noqa: F401 - a fixture
from tests.waiting import until

_SAID_S = 0.5  # after an order of the callee's what it says has long been sent


@pytest.fixture(params=["ocra", "papi"])
async def both(request: Any, tmp_path: Path, media: Any) -> AsyncIterator[tuple[SinchClient, SinchClient]]:
    async with (
        Local(tmp_path, port=0, api=request.param, media=media) as local,
        SinchClient("alice", local, media=media) as alice,
        SinchClient("bob", local, media=media) as bob,
    ):
        yield alice, bob


async def kept(client: SinchClient, call: Any) -> None:
    """Waits until something is kept for a call that isn't known to be placed."""
    await until(lambda: bool(client._calls._channels[call.id]._held))


@pytest.mark.parametrize("busy", [True, False])
async def test_who_is_declined_before_it_knows_that_its_call_is_placed_is_declined(
    both: Any, held_back: HeldBack, steps: Any, busy: bool
) -> None:
    alice, bob = both
    call = await alice.call_user("bob")
    incoming = await steps.next_call(bob)
    await incoming.decline(busy=busy)
    assert (await steps.end_of(incoming)).cause is Cause.DENIED
    await kept(alice, call)
    held_back.may_go.set()
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.DENIED, "peer")
    assert call.met_busy == busy
    assert not busy or details.failure.code == BUSY


async def test_who_is_answered_before_it_knows_that_its_call_is_placed_talks(both: Any, held_back: HeldBack, steps: Any) -> None:
    alice, bob = both
    call = await alice.call_user("bob")
    incoming = await steps.next_call(bob)
    await incoming.answer()
    await kept(alice, call)
    await asyncio.sleep(_SAID_S)
    assert call.state is State.CREATED
    held_back.may_go.set()
    await steps.reach(call, State.ESTABLISHED)
    await steps.reach(incoming, State.ESTABLISHED)
