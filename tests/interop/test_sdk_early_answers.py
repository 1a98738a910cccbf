"""The official SDK keeps what a called phone says before its call is known to be placed, and takes it when it is."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.events.events import IncomingCall
from sinchphone.protocol.call.states import Cause, State
from tests.held_back import HeldBack, held_back_fixture  # noqa: F401 - a fixture

pytestmark = pytest.mark.timeout(180)

_SAID_S = 0.5  # after that what a phone says has long come to the SDK


@pytest.mark.parametrize("busy", [True, False])
async def test_a_phone_declines_the_sdk_before_it_knows_that_its_call_is_placed(
    town: Any, steps: Any, held_back: HeldBack, busy: bool
) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    call = (await steps.event(phone, IncomingCall)).call
    await call.decline(busy=busy)
    assert (await steps.end_of(call)).cause is Cause.DENIED
    await asyncio.sleep(_SAID_S)
    assert sdk.tells_not("ended")
    held_back.may_go.set()
    await sdk.ends("DENIED", call=call.id)


async def test_a_phone_answers_the_sdk_before_it_knows_that_its_call_is_placed(town: Any, steps: Any, held_back: HeldBack) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    call = (await steps.event(phone, IncomingCall)).call
    await call.answer()
    await asyncio.sleep(_SAID_S)
    assert sdk.tells_not("progressing")
    held_back.may_go.set()
    await sdk.told("established", call=call.id)
    await steps.reach(call, State.ESTABLISHED)
