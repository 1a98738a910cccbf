"""How far calls may go: hops that are counted, a trunk that is called by its rules whatever it is named, phones that are away."""

from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from typing import Any

import pytest

from sinchphone.cli.endings import describe
from sinchphone.errors import ForbiddenError
from sinchphone.gateway.options import GatewayOptions, SipSettings, TrunkOptions
from sinchphone.gateway.sip import calls as sip
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from tests.e2e.conftest import CARRIER

USERS = {"desk": "secret", "kitchen": "other"}


@pytest.fixture
async def house(tmp_path_factory: pytest.TempPathFactory, media: MediaThread, carrier: Any) -> AsyncIterator[Local]:
    """An exchange with a trunk that may be called in one country."""
    trunk = TrunkOptions(host=CARRIER, port=carrier.agent.port, allow=("+46",), caller_id="+46101234567")
    gateway = GatewayOptions(sip=SipSettings(users=USERS), trunk=trunk)
    async with Local(tmp_path_factory.mktemp("state"), port=0, media=media, gateway=gateway, sip_port=0) as found:
        yield found


@pytest.fixture
async def street(house: Local, lines: Any, media: MediaThread) -> Any:
    return type(lines)(house, media, lines.stack)


async def dial(street: Any, name: str, **more: Any) -> Any:
    """A phone of ours dials."""
    phone = await street.sip_phone()
    return await phone.dial(f"sip:{name}@{street.local.sip_address}", "sip:desk@127.0.0.1", USERS["desk"], **more)


async def test_a_call_that_may_not_be_passed_on_any_more_is_refused(street: Any, carrier: Any) -> None:
    refused = await (await dial(street, "+46701234567", max_forwards=0)).over()
    assert isinstance(refused, sip.Refused)
    assert refused.status == 483
    assert carrier.incoming.empty()


async def test_a_call_that_ends_here_need_not_be_passed_on(street: Any) -> None:
    call = await dial(street, "echo", max_forwards=0)
    await call.until(sip.SipAnswered)
    await call.sip.hang_up()
    await call.over()


async def test_each_hop_is_counted(street: Any, carrier: Any) -> None:
    call = await dial(street, "+46701234567", max_forwards=7)
    incoming = await carrier.next_call()
    assert incoming.sip.facts.max_forwards == 6
    await call.sip.hang_up()
    await call.over()


@pytest.mark.parametrize("name", [CARRIER, str(int(IPv4Address(CARRIER))), "0.0.0.0", "0", "127.1", "localhost", "[::]"])
async def test_attack_the_trunk_is_called_as_an_address_by_another_name(street: Any, steps: Any, carrier: Any, name: str) -> None:
    alice = await street.phone("alice")
    call = await alice.call_sip(f"+19005551234@{name}:{carrier.agent.port}")
    details = await steps.end_of(call)
    assert isinstance(details.error, ForbiddenError) or (details.failure is not None and details.failure.code == 403)
    assert carrier.incoming.empty()


@pytest.mark.parametrize("public", [None, "203.0.113.7"])
async def test_an_exchange_that_listens_everywhere_says_where_it_can_be_dialled(
    tmp_path_factory: pytest.TempPathFactory, media: MediaThread, public: str | None
) -> None:
    gateway = GatewayOptions(sip=SipSettings(host="0.0.0.0", public_address=public))
    async with Local(tmp_path_factory.mktemp("state"), port=0, media=media, gateway=gateway, sip_port=0) as found:
        assert found.sip_address is not None
        host = found.sip_address.rpartition(":")[0]
        assert host == public if public else not IPv4Address(host).is_unspecified


async def test_a_phone_of_ours_that_is_switched_off_is_away_and_not_unknown(street: Any, steps: Any) -> None:
    alice = await street.phone("alice")
    call = await alice.call_user("kitchen")
    details = await steps.end_of(call)
    ending = describe(details, peer=call.peer, domain=call.domain, outbound=True, order=None, interactive=False)
    assert (int(ending.code), ending.reason) == (5, "the call failed: kitchen isn't registered at the moment")
