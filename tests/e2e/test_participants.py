"""Who takes part in a call: user, number, SIP address or room, display name, headers."""

from typing import Any

import pytest

from sinchphone.engine.calls.participant import CallParticipant
from sinchphone.signaling.dialect import Domain


@pytest.fixture
async def exchange(sip_exchange: Any) -> Any:
    return await sip_exchange("bob")


async def test_both_users_know_who_calls_whom_and_with_which_headers(lines: Any, steps: Any) -> None:
    ada, bob = await lines.phone("ada", display_name="Ada L."), await lines.phone("bob")
    call = await ada.call_user("bob", headers={"topic": "tea"})
    incoming = await steps.next_call(bob)
    us, them = CallParticipant(domain=Domain.MXP, user_id="ada", display_name="Ada L.", headers={"topic": "tea"}), called("bob")
    assert (call.participants, call.local, call.remote) == ((us, them), us, them)
    caller = CallParticipant(domain=Domain.MXP, user_id="ada", headers={"topic": "tea"})
    assert (incoming.participants, incoming.remote, incoming.local) == ((caller, called("bob")), caller, called("bob"))


async def test_numbers_addresses_and_rooms_are_told_from_users(lines: Any) -> None:
    ada = await lines.phone("ada")
    room, number = await ada.call_conference("standup"), await ada.call_phone("+14155550101", caller_id="+14155550199")
    address = await ada.call_sip("bob@127.0.0.1:1")
    assert room.remote == CallParticipant(domain=Domain.CONFERENCE, room="standup")
    assert number.remote == CallParticipant(domain=Domain.PSTN, number="+14155550101")
    assert number.local.number == "+14155550199"
    assert address.remote == CallParticipant(domain=Domain.SIP, address="bob@127.0.0.1:1")


async def test_a_phone_that_calls_has_its_address_and_the_display_name_that_it_gives_itself(exchange: Any, steps: Any) -> None:
    ada = await exchange.terminal("ada")
    desk = await exchange.lines.sip_phone()
    await desk.dial(f"sip:ada@{exchange.at}", '"Bob at the desk" <sip:bob@127.0.0.1>', "bob", headers={"x-order": "42"})
    incoming = await steps.next_call(ada)
    remote = incoming.remote
    assert (remote.domain, remote.user_id, remote.display_name) == (Domain.SIP, None, "Bob at the desk")
    assert remote.address == incoming.peer
    assert remote.headers["x-order"] == "42"


async def test_attack_a_phone_cannot_take_the_display_name_of_a_user(exchange: Any, steps: Any) -> None:
    ada = await exchange.terminal("ada")
    desk = await exchange.lines.sip_phone()
    await desk.dial(f"sip:ada@{exchange.at}", '"Ada" <sip:bob@127.0.0.1>', "bob")
    assert (await steps.next_call(ada)).remote.display_name is None


def called(user: str) -> CallParticipant:
    return CallParticipant(domain=Domain.MXP, user_id=user)
