"""Nobody from outside is shown as a user of the exchange: not on a terminal, not on a SIP phone, not in what is kept."""

from typing import Any

import pytest

from sinchphone.gateway.options import TrunkOptions
from sinchphone.signaling.dialect import Domain

CARRIER = "127.0.0.9"


@pytest.fixture
async def carrier(lines: Any) -> Any:
    return await lines.sip_phone(host=CARRIER)


@pytest.fixture
async def exchange(sip_exchange: Any) -> Any:
    """One that has a user bob, who listens."""
    made = await sip_exchange("desk", "bob", trunk=TrunkOptions(host=CARRIER, numbers={"alice": "user:alice", "desk": "user:desk"}))
    await made.terminal("bob")
    return made


@pytest.mark.parametrize("sender", ["sip:bob@carrier.example", "sip:bob@127.0.0.1", "sip:bob@sinchphone"])
async def test_attack_a_caller_from_the_trunk_is_not_shown_as_a_user(exchange: Any, carrier: Any, steps: Any, sender: str) -> None:
    alice = await exchange.terminal("alice")
    await carrier.dial(f"sip:alice@{exchange.at}", sender)
    incoming = await steps.next_call(alice)
    assert (incoming.peer, incoming.domain) == (f"bob@{CARRIER}", Domain.SIP)


async def test_attack_a_caller_from_the_trunk_is_not_shown_as_a_user_on_a_phone(exchange: Any, carrier: Any) -> None:
    desk = await exchange.phone("desk")
    await carrier.dial(f"sip:desk@{exchange.at}", '"bob" <sip:bob@127.0.0.1>')
    shown = (await desk.next_call()).sip.remote
    assert (shown.uri.user, shown.uri.host, shown.name) == ("bob", CARRIER, "")


async def test_a_number_of_the_trunk_is_shown_as_it_is(exchange: Any, carrier: Any, steps: Any) -> None:
    alice, desk = await exchange.terminal("alice"), await exchange.phone("desk")
    await carrier.dial(f"sip:alice@{exchange.at}", '"Ann" <sip:+46701234567@carrier.example>')
    incoming = await steps.next_call(alice)
    assert (incoming.peer, incoming.domain) == ("+46701234567", Domain.PSTN)
    await carrier.dial(f"sip:desk@{exchange.at}", '"Ann" <sip:+46701234567@carrier.example>')
    shown = (await desk.next_call()).sip.remote
    assert (shown.uri.user, shown.uri.host, shown.name) == ("+46701234567", "127.0.0.1", "Ann")


async def test_attack_a_user_does_not_show_another_users_name_as_caller_id(exchange: Any) -> None:
    desk, mallory = await exchange.phone("desk"), await exchange.terminal("mallory")
    await mallory._calls.place(Domain.SIP, f"desk@{exchange.at}", None, None, "bob")
    shown = (await desk.next_call()).sip.remote
    assert (shown.uri.user, shown.name) == ("mallory", "mallory")


async def test_whom_the_trunk_asserts_is_shown_and_not_whom_its_caller_says_to_be(exchange: Any, carrier: Any, steps: Any) -> None:
    alice = await exchange.terminal("alice")
    asserted = {"P-Asserted-Identity": "<sip:+46701234567@carrier.example>"}
    await carrier.dial(f"sip:alice@{exchange.at}", "sip:+46101111111@carrier.example", headers=asserted)
    assert (await steps.next_call(alice)).peer == "+46701234567"


async def test_a_number_that_the_trunk_is_to_keep_back_is_shown_to_nobody(exchange: Any, carrier: Any) -> None:
    desk = await exchange.phone("desk")
    asserted = {"P-Asserted-Identity": "<sip:+46701234567@carrier.example>", "Privacy": "id"}
    await carrier.dial(f"sip:desk@{exchange.at}", '"Ann" <sip:+46701234567@carrier.example>', headers=asserted)
    incoming = await desk.next_call()
    assert "4670" not in str(incoming.sip.remote)
    assert "4670" not in (incoming.sip.offer or "")


async def test_attack_a_phone_asserts_no_identity(exchange: Any, steps: Any) -> None:
    alice, desk = await exchange.terminal("alice"), await exchange.phone("desk")
    asserted = {"P-Asserted-Identity": "<sip:+46701234567@127.0.0.1>", "Privacy": "id"}
    await exchange.dial("bob", "alice", headers=asserted)
    assert (await steps.next_call(alice)).peer.startswith("bob@")
    await exchange.dial("bob", "desk", headers=asserted)
    assert (await desk.next_call()).sip.remote.uri.user == "bob"
