"""Our own registration with a carrier, which is another user agent here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import SipCall
from sinchphone.gateway.sip.network.resolve import Resolver
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.gateway.sip.registration import SipRegistration, _granted
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.gateway.trunk.trunk_registration import TrunkRegistration
from sinchphone.protocol.sip.bindings import BindingLimits
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.message import respond
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.protocol.sip.uri import parse_uri
from tests.waiting import until

QUICK = Timing(t1=0.05, t2=0.2, t4=0.2)


async def nobody(call: SipCall) -> None:
    await call.refuse(404)


@asynccontextmanager
async def agent(registrar: Registrar | None = None, **options: Any) -> AsyncIterator[SipAgent]:
    one = SipAgent(SipOptions(**{"port": 0, "timing": QUICK, **options}), router=nobody, registrar=registrar)
    await one.start()
    try:
        yield one
    finally:
        await one.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_we_register_with_the_trunk_learn_its_address_and_withdraw_at_the_end(transport: Any) -> None:
    registrar = Registrar({"us": "secret"})
    async with agent(registrar) as carrier, agent() as ours:
        options = TrunkOptions(host="127.0.0.1", port=carrier.port, transport=transport, username="us", password="secret", register=True)
        trunk = Trunk(options)
        presence = TrunkRegistration(ours, trunk)
        presence.start()
        await until(lambda: bool(trunk.learnt))
        (contact,) = registrar.contacts("us")
        assert (contact.uri.user, contact.uri.port, contact.hop.transport) == ("us", ours.port, transport)
        assert trunk.learnt == {"127.0.0.1"}
        await presence.close()
        assert registrar.contacts("us") == []
        await presence.close()


async def test_a_wrong_password_is_tried_again_later_and_not_for_ever_at_once(caplog: pytest.LogCaptureFixture) -> None:
    asked = Registrar({"us": "secret"})
    async with agent(asked) as carrier, agent() as ours:
        options = TrunkOptions(host="127.0.0.1", port=carrier.port, username="us", password="wrong", register=True)
        trunk = Trunk(options)
        presence = TrunkRegistration(ours, trunk)
        presence.start()
        await until(lambda: "doesn't register us: 401" in caplog.text)
        assert not trunk.learnt
        assert "wrong" not in caplog.text
        await presence.close()


async def test_a_registration_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.gateway.sip.registration.RENEWED_AHEAD", 0.005)
    registrar = Registrar({"us": "secret"}, BindingLimits(shortest_seconds=1, longest_seconds=1))
    async with agent(registrar) as carrier, agent() as ours:
        granted: list[object] = []
        registration = ours.registration(parse_uri(f"sip:127.0.0.1:{carrier.port}"), Credentials("us", "secret"), registered=granted.append)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(registration.run())
            await until(lambda: len(granted) >= 3)
            running.cancel()
        assert registration.is_registered


async def test_a_registrar_that_wants_longer_registrations_gets_them() -> None:
    registrar = Registrar({"us": "secret"}, BindingLimits(shortest_seconds=1800))
    async with agent(registrar) as carrier, agent() as ours:
        trunk = Trunk(TrunkOptions(host="127.0.0.1", port=carrier.port, username="us", password="secret", register=True))
        presence = TrunkRegistration(ours, trunk)
        presence.start()
        await until(lambda: bool(trunk.learnt))
        assert registrar.contacts("us")
        await presence.close()


async def test_a_carrier_that_comes_later_is_found() -> None:
    registrar = Registrar({"us": "secret"})
    async with agent() as ours:
        async with agent(registrar) as first:
            port = first.port
        granted: list[object] = []
        registration = SipRegistration(
            ours._wire,
            Resolver(),
            parse_uri(f"sip:127.0.0.1:{port};transport=tcp"),
            Credentials("us", "secret"),
            transport="tcp",
            registered=granted.append,
            retry_seconds=(0.1, 0.2),
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(registration.run())
            await asyncio.sleep(0.3)
            assert not granted
            async with agent(registrar, port=port):
                await until(lambda: granted)
                running.cancel()


@pytest.mark.parametrize(
    ("listed", "seconds"),
    [
        (("<sip:us@127.0.0.1:{port}>;expires=300", "<sip:us@192.0.2.9>;expires=7"), 300),
        (("<sip:us@192.0.2.9>;expires=7", "<sip:us@192.0.2.10>;expires=8"), 900),  # ours isn't there: Expires says it
        (("<sip:us@203.0.113.1:1024>;expires=60",), 60),  # ours, as a carrier rewrites it
        ((), 900),
    ],
)
async def test_only_our_own_contact_says_how_long_we_are_registered(listed: tuple[str, ...], seconds: int) -> None:
    async with agent() as ours:
        registration = ours.registration(parse_uri("sip:carrier.example"), Credentials("us", "secret"), registered=lambda _: None)
        request = replace(
            registration._request(600), headers=(("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"), *registration._request(600).headers)
        )
        headers = [("Contact", one.format(port=ours.port)) for one in listed]
        response = respond(request, 200, tag="t", headers=(*headers, ("Expires", "900")))
        assert _granted(response, 600, parse_uri(f"sip:us@127.0.0.1:{ours.port}")) == seconds
