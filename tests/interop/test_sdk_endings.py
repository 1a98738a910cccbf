"""Goodbyes between sinchphone and the official SDK: each side understands why the other is gone, and nobody stays in a call."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.events.events import IncomingCall
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.tasks import start_task

pytestmark = pytest.mark.timeout(180)

WHY = CallFailure(None, "no sound here", "media")


async def ringing_here(town: Any, steps: Any) -> tuple[Any, Any]:
    """The SDK calls a phone, where it rings."""
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    call = (await steps.event(phone, IncomingCall)).call
    await sdk.told("progressing", call=call.id)
    return call, sdk


async def ringing_there(town: Any, steps: Any) -> tuple[Any, Any]:
    """A phone calls the SDK, where it rings."""
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    call = await phone.call_user("alice")
    await sdk.told("incoming", call=call.id)
    await steps.reach(call, State.RINGING)
    return call, sdk


async def test_the_sdk_hangs_up_within_the_second_after_the_answer(town: Any, steps: Any) -> None:
    call, sdk = await ringing_here(town, steps)
    await call.answer()
    await steps.reach(call, State.ANSWERED)
    sdk.do("hangUp", call=call.id)
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
    await sdk.ends("CANCELED", call=call.id)


@pytest.mark.parametrize("ring", [ringing_here, ringing_there])
async def test_the_sdk_understands_a_hang_up_with_a_reason_and_is_free_again(town: Any, steps: Any, ring: Any) -> None:
    call, sdk = await ring(town, steps)
    if call.outbound:
        sdk.do("answer", call=call.id)
    else:
        await call.answer()
    await sdk.told("established", call=call.id)
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up(WHY)
    await sdk.ends("HUNG_UP", call=call.id)
    again = await (await town.phone("carol")).call_user("alice")
    await sdk.told("incoming", call=again.id)


async def test_the_sdk_understands_that_a_phone_gives_up_with_a_reason_while_it_rings(town: Any, steps: Any) -> None:
    call, sdk = await ringing_there(town, steps)
    await call.hang_up(WHY)
    await sdk.ends("CANCELED", call=call.id)


async def test_the_sdk_understands_that_a_phone_fails_while_it_rings_there(town: Any, steps: Any) -> None:
    call, sdk = await ringing_there(town, steps)
    call._driver.put(v.Failed(WHY))
    await sdk.told("ended", call=call.id)


@pytest.mark.parametrize("deny", [True, False])
async def test_the_sdk_is_told_a_code_with_every_failure(town: Any, steps: Any, deny: bool) -> None:
    call, sdk = await ringing_here(town, steps)
    call._driver.put(v.HangUp(WHY) if deny else v.Failed(WHY))
    ended = await sdk.told("ended", call=call.id)
    assert ended["cause"] == ("DENIED" if deny else "FAILURE")
    assert ended["error"] == "1 no sound here"


async def test_an_sdk_that_nobody_answers_for_45_seconds_is_not_answered(town: Any, steps: Any) -> None:
    call, sdk = await ringing_there(town, steps)
    await sdk.told("ended", call=call.id, seconds=60)
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.NO_ANSWER, "time")


async def test_an_sdk_in_a_call_is_busy_and_not_unwilling(town: Any, steps: Any) -> None:
    call, sdk = await ringing_there(town, steps)
    sdk.do("answer", call=call.id)
    await steps.reach(call, State.ESTABLISHED)
    details = await steps.end_of(await (await town.phone("carol")).call_user("alice"))
    assert details.cause is Cause.DENIED
    assert details.failure is not None and details.failure.code == 486


async def test_of_a_users_two_phones_the_one_that_the_sdk_sends_away_stops_ringing(town: Any, steps: Any) -> None:
    first, second, sdk = await town.phone("bob"), await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    calls = [(await steps.event(phone, IncomingCall)).call for phone in (first, second)]
    ends = [start_task(call.ended(), name="ended") for call in calls]
    done, rings = await asyncio.wait(ends, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    assert [end.result().cause for end in done] == [Cause.CANCELED]
    left = calls[ends.index(next(iter(rings)))]
    await left.answer()
    await sdk.told("established", call=left.id)


async def test_an_sdk_that_hangs_up_early_again_and_again_can_still_call(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    for _ in range(18):  # two more than a user's open calls
        sdk.do("callUser", to="bob")
        call = (await sdk.told("calling"))["call"]
        await steps.event(phone, IncomingCall)
        sdk.do("hangUp", call=call)
        ended = await sdk.told("ended", call=call)
        assert ended["cause"] == "CANCELED", ended


async def test_an_sdk_that_writes_more_than_anybody_could_read_is_told_so(town: Any) -> None:
    await town.phone("bob")
    sdk = await town.sdk_user("alice")
    sdk.do("send", to=["bob"], text="a" * 200_000)
    await sdk.told("failed", command="send")


async def test_an_sdk_whose_page_is_closed_while_it_rings_does_not_ring_on(town: Any, steps: Any) -> None:
    call, sdk = await ringing_here(town, steps)
    await asyncio.sleep(1.5)  # it listens for what becomes of its call
    sdk._process.kill()
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.CANCELED, "peer")
