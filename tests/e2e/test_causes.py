"""Why a call ended travels across every leg, each way: nobody is told that the other hung up who didn't."""

import asyncio
from typing import Any

import pytest

from sinchphone.cli.exits import ExitCode, code_of_call
from sinchphone.gateway.sip import calls as sip
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.mxp.message import CallFailure

pytestmark = pytest.mark.timeout(120)


async def with_a_phone(lines: Any, steps: Any, client: Any = None) -> tuple[Any, Any, Any]:
    """A terminal talks to a SIP phone, which it called."""
    phone, client = await lines.sip_phone(), client or await lines.phone("ada")
    call = await client.call_sip(phone.address())
    there = await phone.next_call()
    await phone.answer(there)
    await steps.reach(call, State.ESTABLISHED)
    return call, phone, there


async def end_of_phone(there: Any) -> sip.SipEnded:
    async with asyncio.timeout(20):
        while not (ends := [event for event in there.events if isinstance(event, sip.SipEnded)]):
            await asyncio.sleep(0.02)
    return ends[0]


async def lose(call: Any) -> None:
    """As if nothing came from the other side any more."""
    call._driver.put(v.MediaLost(call._driver.machine.winner))


async def test_between_terminals_both_ends_of_a_lost_call_say_that_the_other_vanished(lines: Any, steps: Any) -> None:
    outgoing, incoming = await steps.talking(lines)
    await lose(outgoing)
    ends = [await steps.end_of(outgoing), await steps.end_of(incoming)]
    assert [(end.cause, end.ended_by) for end in ends] == [(Cause.INACTIVE, "media")] * 2
    assert [code_of_call(end) for end in ends] == [ExitCode.MEDIA] * 2


async def test_a_bye_with_a_reason_is_a_failure_of_the_other_side(lines: Any, steps: Any) -> None:
    call, _, there = await with_a_phone(lines, steps)
    await there.sip.hang_up("the trunk is down", 503)
    end = await steps.end_of(call)
    assert (end.cause, end.ended_by, end.failure) == (Cause.FAILURE, "peer", CallFailure(503, "the trunk is down", "sip"))
    assert code_of_call(end) is ExitCode.PLATFORM


async def test_a_bye_that_just_says_goodbye_is_a_hang_up(lines: Any, steps: Any) -> None:
    call, _, there = await with_a_phone(lines, steps)
    await there.sip.hang_up("have a nice day")
    end = await steps.end_of(call)
    assert (end.cause, end.ended_by, code_of_call(end)) == (Cause.HUNG_UP, "peer", ExitCode.OK)


async def test_a_phone_whose_session_expired_or_sound_broke_off_has_vanished(lines: Any, steps: Any) -> None:
    call, _, there = await with_a_phone(lines, steps)
    await there.sip.hang_up("session expired", 408)
    end = await steps.end_of(call)
    assert (end.cause, end.ended_by, code_of_call(end)) == (Cause.INACTIVE, "media", ExitCode.MEDIA)


async def test_a_phone_is_told_that_the_terminal_vanished(lines: Any, steps: Any) -> None:
    call, _, there = await with_a_phone(lines, steps)
    await lose(call)
    await steps.end_of(call)
    assert (await end_of_phone(there)).status == 408


async def test_a_phone_is_told_why_a_terminal_left(lines: Any, steps: Any) -> None:
    call, _, there = await with_a_phone(lines, steps)
    await call.hang_up(CallFailure(500, "the robot broke", "session"))
    end = await end_of_phone(there)
    assert (end.status, end.reason) == (500, "the robot broke")


async def test_a_phone_is_told_nothing_odd_of_a_hang_up(lines: Any, steps: Any) -> None:
    call, _, there = await with_a_phone(lines, steps)
    await call.hang_up()
    assert (await end_of_phone(there)).status is None


@pytest.mark.parametrize("called", ["phone", "echo"])
async def test_an_exchange_that_stops_says_so_to_both_ends(lines: Any, steps: Any, called: str) -> None:
    client = await lines.phone("ada")
    there = None
    if called == "phone":
        call, _, there = await with_a_phone(lines, steps, client)
    else:
        call = await client.call_user("echo")
        await steps.reach(call, State.ESTABLISHED)
    await lines.local._exchange.close()
    end = await steps.end_of(call)
    assert (end.cause, end.ended_by) == (Cause.FAILURE, "platform")
    assert end.failure is not None and (end.failure.code, end.failure.domain) == (503, "exchange")
    assert code_of_call(end) is ExitCode.PLATFORM
    if there is not None:
        assert (await end_of_phone(there)).status == 503
