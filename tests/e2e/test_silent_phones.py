"""A phone that is silent is asked whether it's still there before its call ends (``rtp_timeout``), and one that is there may go on so."""

import asyncio
import itertools
import time
from typing import Any

import pytest

from sinchphone.gateway.sip import calls as sip
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.sip.session import middle as session_middle
from sinchphone.protocol.sip.session.machine import REQUESTS

TIMEOUT_S = 1


async def silenced(exchange: Any, steps: Any, user: str) -> tuple[Any, Any, Any]:
    """A call of a terminal to a phone that talked and then says nothing more: the call, the phone, and its side."""
    alice, phone = await exchange.terminal("alice"), await exchange.phone(user)
    ear, sound = exchange.lines.ear(440.0)
    call = await alice.call_user(user, sound=sound)
    incoming = await phone.next_call()
    theirs = await phone.answer(incoming, 620.0)
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(620.0)
    await theirs.hears(440.0)
    await incoming.port.close()
    return call, phone, incoming


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a phone was asked."""
    times: list[float] = []
    told = session_middle.on_options

    def note(*given: Any) -> None:
        times.append(time.monotonic())
        told(*given)

    monkeypatch.setitem(REQUESTS, "OPTIONS", note)
    return times


async def test_a_phone_that_answers_may_be_silent_for_as_long_as_it_likes(sip_exchange: Any, steps: Any, asked: list[float]) -> None:
    exchange = await sip_exchange("desk", sip={"rtp_timeout": TIMEOUT_S})
    call, _, incoming = await silenced(exchange, steps, "desk")
    async with asyncio.timeout(60):
        while len(asked) < 3:
            await asyncio.sleep(0.1)
    assert all(after - before >= TIMEOUT_S for before, after in itertools.pairwise(asked))
    assert call.state is State.ESTABLISHED
    await call.hang_up()
    assert isinstance(await incoming.over(), sip.SipEnded)


async def test_a_phone_that_knows_of_no_call_any_more_is_gone_and_the_user_told_why(sip_exchange: Any, steps: Any) -> None:
    exchange = await sip_exchange("desk", sip={"rtp_timeout": TIMEOUT_S})
    call, phone, _ = await silenced(exchange, steps, "desk")
    phone.agent._usages.clear()  # as after a crash
    details = await steps.end_of(call, 60.0)
    assert details.cause is not Cause.HUNG_UP
    assert "knows of no call any more" in details.failure.message


async def test_a_menu_asks_too(sip_exchange: Any, asked: list[float]) -> None:
    exchange = await sip_exchange("desk", sip={"rtp_timeout": TIMEOUT_S})
    call = await exchange.dial("desk", "echo")
    await call.until(sip.SipAnswered)
    phone = await exchange.lines.sip_phone()
    await (await phone.listen(call, 500.0)).hears(500.0)
    await call.port.close()
    async with asyncio.timeout(60):
        while len(asked) < 2:
            await asyncio.sleep(0.1)
    assert not call.sip.is_over
    await call.sip.hang_up()
