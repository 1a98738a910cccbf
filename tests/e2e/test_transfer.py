"""A user transfers a SIP phone, and a phone a user: who is transferred calls by itself; who asked is told what came of it, and the
call goes on where that failed."""

import asyncio
from typing import Any

import pytest

from sinchphone.errors import TransferError
from sinchphone.gateway.sip.calls import SipReferred
from sinchphone.protocol.call.states import State
from sinchphone.protocol.sip.replaces import ReplacedDialog
from sinchphone.tasks import start_task

LIMIT_S = 20.0
DESK_HZ, CAROL_HZ = 440.0, 700.0


async def phone_and_user(sip_exchange: Any, steps: Any) -> tuple[Any, Any, Any]:
    street = await sip_exchange("desk", "lab")
    alice = await street.terminal("alice")
    there = await street.dial("desk", "alice")
    call = await steps.next_call(alice)
    await call.answer()
    await steps.reach(call, State.ESTABLISHED)
    return street, call, there


@pytest.mark.parametrize(("status", "reason"), [(486, "Busy Here"), (603, "")])
async def test_a_phone_that_reaches_nobody_stays_in_the_call(sip_exchange: Any, steps: Any, status: int, reason: str) -> None:
    _, call, there = await phone_and_user(sip_exchange, steps)
    asking = start_task(call.transfer("bob"), name="asking")  # before the phone's ACK, as it may be
    asked = await there.until(SipReferred)
    assert asked.target.user == "bob"
    await there.sip.tell_refer(status, reason)
    with pytest.raises(TransferError) as failed:
        await asking
    assert failed.value.status == status
    assert call.state is State.ESTABLISHED
    await call.hang_up()


async def test_a_phone_that_reaches_the_other_one_is_hung_up_on(sip_exchange: Any, steps: Any) -> None:
    street, call, there = await phone_and_user(sip_exchange, steps)
    carol = await street.terminal("carol")
    asking = start_task(call.transfer("carol"), name="asking")
    target = (await there.until(SipReferred)).target
    phone = await street.phone()
    new = await phone.dial(str(target), "sip:desk@127.0.0.1", "desk")
    at_carol = await steps.next_call(carol)
    await at_carol.answer()
    await steps.reach(at_carol, State.ESTABLISHED)
    await there.sip.tell_refer(200)
    await asking
    await there.over()
    await steps.end_of(call)
    assert at_carol.state is State.ESTABLISHED
    await new.sip.hang_up()
    await steps.end_of(at_carol)


async def transfers(there: Any, to: str, replaces: ReplacedDialog | None = None) -> Any:
    """What the phone is told of it at last."""
    target = f"{to}?{replaces.in_uri()}" if replaces is not None else to
    async with asyncio.timeout(LIMIT_S):
        return await there.sip.refer(target)


async def test_a_phone_transfers_a_user_and_hears_that_it_came_to_it(sip_exchange: Any, steps: Any, lines: Any) -> None:
    street, call, there = await phone_and_user(sip_exchange, steps)
    carol = await street.terminal("carol")
    asking = start_task(transfers(there, f"sip:carol@{street.at}"), name="asking")
    at_carol = await steps.next_call(carol)
    await at_carol.answer()
    await asking
    async with asyncio.timeout(LIMIT_S):
        while call.peer != "carol":
            await asyncio.sleep(0.02)
    assert (call.state, at_carol.state) == (State.ESTABLISHED, State.ESTABLISHED)
    await there.sip.hang_up()
    await call.hang_up()
    await steps.end_of(at_carol)
