"""Who rings doesn't depend on who calls: a user's terminals and SIP phones ring together, the first to answer has the call, and the others
learn that somebody else answered, whichever way."""

from typing import Any

import pytest

from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip import calls as sip
from sinchphone.protocol.call.states import Cause, State

CARRIER = "127.0.0.9"


@pytest.fixture
async def exchange(sip_exchange: Any) -> Any:
    return await sip_exchange("bob", "desk")


async def reason_of(phone: Any) -> tuple[str, int | None]:
    """What a phone that rings is told at the end."""
    ended = await phone.over()
    return ended.reason, ended.status


async def test_a_terminal_rings_terminals_and_phones_alike_and_a_phone_answers(exchange: Any, steps: Any) -> None:
    alice, terminal, phone = await exchange.terminal("alice"), await exchange.terminal("bob"), await exchange.phone("bob")
    ear, sound = exchange.lines.ear(440.0)
    call = await alice.call_user("bob", sound=sound)
    rings, incoming = await steps.next_call(terminal), await phone.next_call()
    assert (rings.peer, incoming.sip.remote.uri.user) == ("alice", "alice")
    await incoming.sip.ring()
    await steps.reach(call, State.RINGING)
    theirs = await phone.answer(incoming, 620.0)
    await steps.reach(call, State.ESTABLISHED)
    assert (await steps.end_of(rings)).cause is Cause.OTHER_DEVICE_ANSWERED
    await ear.hears(620.0)
    await theirs.hears(440.0)
    await call.hang_up()
    assert isinstance(await incoming.over(), sip.SipEnded)


async def test_a_terminal_rings_terminals_and_phones_alike_and_a_terminal_answers(exchange: Any, steps: Any) -> None:
    alice, phone = await exchange.terminal("alice"), await exchange.phone("bob")
    (ear, sound), (other_ear, other_sound) = exchange.lines.ear(440.0), exchange.lines.ear(620.0)
    terminal = await exchange.terminal("bob", sound=lambda: other_sound)
    call = await alice.call_user("bob", sound=sound)
    rings, incoming = await steps.next_call(terminal), await phone.next_call()
    await rings.answer()
    await steps.reach(call, State.ESTABLISHED)
    assert await reason_of(incoming) == ("Call completed elsewhere", 200)
    await ear.hears(620.0)
    await other_ear.hears(440.0)
    await rings.hang_up()
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")


async def test_a_decline_at_either_end_stops_the_other(exchange: Any, steps: Any) -> None:
    alice, terminal, phone = await exchange.terminal("alice"), await exchange.terminal("bob"), await exchange.phone("bob")
    call = await alice.call_user("bob")
    rings, incoming = await steps.next_call(terminal), await phone.next_call()
    await rings.decline()
    assert (await reason_of(incoming))[1] == 603
    assert (await steps.end_of(call)).cause is Cause.DENIED
    call = await alice.call_user("bob")
    rings, incoming = await steps.next_call(terminal), await phone.next_call()
    await incoming.sip.refuse(603)
    assert (await steps.end_of(rings)).cause is Cause.DENIED
    assert (await steps.end_of(call)).cause is Cause.DENIED


async def test_a_busy_phone_leaves_the_terminal_ringing(exchange: Any, steps: Any) -> None:
    alice, terminal, phone = await exchange.terminal("alice"), await exchange.terminal("bob"), await exchange.phone("bob")
    call = await alice.call_user("bob")
    rings, incoming = await steps.next_call(terminal), await phone.next_call()
    await incoming.sip.refuse(486)
    await rings.answer()
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up()


async def test_a_caller_who_gives_up_is_no_answer_elsewhere(exchange: Any, steps: Any) -> None:
    alice, terminal, phone = await exchange.terminal("alice"), await exchange.terminal("bob"), await exchange.phone("bob")
    call = await alice.call_user("bob")
    rings, incoming = await steps.next_call(terminal), await phone.next_call()
    await steps.reach(call, State.RINGING)
    await call.hang_up()
    assert (await steps.end_of(rings)).cause is Cause.CANCELED
    assert (await reason_of(incoming))[1] == 487


async def test_a_user_who_calls_their_own_name_rings_their_other_devices_only(exchange: Any, steps: Any) -> None:
    caller, other, phone = await exchange.terminal("bob"), await exchange.terminal("bob"), await exchange.phone("bob")
    call = await caller.call_user("bob")
    incoming, rings = await phone.next_call(), await steps.next_call(other)
    await rings.answer()
    await steps.reach(call, State.ESTABLISHED)
    assert await reason_of(incoming) == ("Call completed elsewhere", 200)
    assert len(caller.calls) == 1
    await call.hang_up()


async def test_a_phone_that_calls_its_own_user_does_not_ring_itself(exchange: Any, steps: Any) -> None:
    terminal, phone = await exchange.terminal("bob"), await exchange.phone("bob")
    call = await phone.dial(f"sip:bob@{exchange.at}", "sip:bob@127.0.0.1", "bob")
    rings = await steps.next_call(terminal)
    await rings.answer()
    await call.until(sip.SipAnswered)
    assert phone.incoming.empty()
    await call.sip.hang_up()


@pytest.mark.parametrize(
    ("reason", "status", "cause"),
    [("Call completed elsewhere", 200, Cause.OTHER_DEVICE_ANSWERED), ("Decline", 603, Cause.DENIED), ("", None, Cause.CANCELED)],
)
async def test_what_a_trunks_cancel_says_reaches_terminals_and_phones(
    lines: Any, sip_exchange: Any, steps: Any, reason: str, status: int | None, cause: Cause
) -> None:
    carrier = await lines.sip_phone(host=CARRIER)
    exchange = await sip_exchange("bob", trunk=TrunkOptions(host=CARRIER, numbers={"+12025550123": "user:bob"}))
    terminal, phone = await exchange.terminal("bob"), await exchange.phone("bob")
    call = await carrier.dial(f"sip:+12025550123@{exchange.at}", "sip:+46701234567@carrier.example")
    rings, incoming = await steps.next_call(terminal), await phone.next_call()
    await call.until(sip.SipRinging)
    await call.sip.hang_up(reason, status)
    assert (await steps.end_of(rings)).cause is cause
    assert (await reason_of(incoming))[1] == (status or 487)


@pytest.mark.parametrize("caller", ["terminal", "phone"])
async def test_a_live_phone_rings_though_newer_registrations_are_dead(exchange: Any, steps: Any, caller: str) -> None:
    phone = await exchange.phone("bob")
    for _ in range(6):
        dead = await exchange.phone("bob")
        await dead.agent.close()  # without a word
    if caller == "terminal":
        call = await (await exchange.terminal("alice")).call_user("bob")
    else:
        call = await exchange.dial("desk", "bob")
    incoming = await phone.next_call()
    await phone.answer(incoming)
    if caller == "terminal":
        await steps.reach(call, State.ESTABLISHED)
        await call.hang_up()
    else:
        await call.until(sip.SipAnswered)
        await call.sip.hang_up()
    await incoming.over()


async def test_an_eleventh_phone_is_not_locked_out(exchange: Any) -> None:
    for _ in range(10):
        dead = await exchange.phone("bob")
        await dead.agent.close()
    phone = await exchange.phone("bob")
    await exchange.dial("desk", "bob")
    await phone.next_call()
