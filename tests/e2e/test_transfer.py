"""A user transfers a SIP phone: it calls by itself; the user is told what came of it, and the call goes on where that failed."""

import asyncio
from typing import Any

import pytest

from sinchphone.errors import LocalProtocolError, TransferError
from sinchphone.protocol.call.states import State


async def phone_and_user(sip_exchange: Any, steps: Any) -> tuple[Any, Any, Any]:
    street = await sip_exchange("desk")
    alice = await street.terminal("alice")
    there = await street.dial("desk", "alice")
    call = await steps.next_call(alice)
    await call.answer()
    await steps.reach(call, State.ESTABLISHED)
    await asyncio.sleep(0.5)  # for the phone's ACK
    return street, call, there


async def test_a_phone_that_takes_no_transfers_stays_in_the_call(sip_exchange: Any, steps: Any) -> None:
    _, call, _ = await phone_and_user(sip_exchange, steps)
    with pytest.raises(TransferError, match="Not Allowed") as failed:  # the test's phone knows no REFER
        await call.transfer("bob")
    assert failed.value.status == 405
    assert call.state is State.ESTABLISHED
    await call.hang_up()


async def test_a_user_is_not_transferred_and_says_so_at_once(lines: Any, steps: Any) -> None:
    outgoing, _ = await steps.talking(lines)
    async with asyncio.timeout(10):
        with pytest.raises(TransferError, match="calls nobody"):
            await outgoing.transfer("carol")
    assert outgoing.state is State.ESTABLISHED
    with pytest.raises(LocalProtocolError, match="leads to"):
        await outgoing.transfer("")
    await outgoing.hang_up()
    await outgoing.ended()
    with pytest.raises(LocalProtocolError, match="established"):
        await outgoing.transfer("carol")
