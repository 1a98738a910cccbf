import asyncio
import subprocess
import sys

import pytest

from sinchphone.errors import ConfigError
from sinchphone.gateway.networks import Networks
from sinchphone.gateway.options import SipSettings, TrunkOptions
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import Refused, SipCall, SipEnded, SipTarget
from sinchphone.gateway.sip.options import SipOptions, TrunkPeer
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.protocol.sip.uri import parse_address, parse_uri

LEAVES = ("sinchphone.errors", "sinchphone.quick_dataclass", "sinchphone.schema", "sinchphone.hosts", "sinchphone.protocol.phone_numbers")
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


@pytest.mark.parametrize(
    ("texts", "address", "within"),
    [
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7",), "192.0.2.8", False),
        (("198.51.100.0/24", "192.0.2.0/25"), "192.0.2.100", True),
        (("192.0.2.0/24",), "::ffff:192.0.2.9", True),
        (("2001:db8::/32",), "[2001:db8::1]", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        ((), "127.0.0.1", False),
        (("0.0.0.0/0",), "not an address", False),
    ],
)
def test_addresses_are_looked_up_in_networks(texts: tuple[str, ...], address: str, within: bool) -> None:
    assert (address in Networks(texts)) is within


@pytest.mark.parametrize("text", ["pbx.example", "192.0.2.0/33", "", "192.0.2"])
def test_what_is_no_network_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match="not an IP address"):
        SipSettings(trusted=(text,))


def test_passwords_of_phones_are_not_shown() -> None:
    assert "hunter2" not in repr(SipSettings(users={"ada": "hunter2"}))


@pytest.mark.parametrize(("trusted", "status", "named"), [(("127.0.0.0/8",), 486, "peer"), (("192.0.2.0/24",), 407, None)])
async def test_attack_only_trusted_addresses_call_without_a_password(trusted: tuple[str, ...], status: int, named: str | None) -> None:
    called: list[str | None] = []

    async def busy(call: SipCall) -> None:
        called.append(call.trunk)
        await call.refuse(486)

    peers = (TrunkPeer(name="peer", hosts=Networks(trusted)),)
    ours = SipAgent(SipOptions(port=0, trunks=peers), router=busy, registrar=Registrar({"ada": "secret"}))
    theirs = SipAgent(SipOptions(port=0), router=busy)
    await ours.start()
    await theirs.start()
    try:
        target = SipTarget(parse_uri(f"sip:ada@127.0.0.1:{ours.port}"))
        call = theirs.invite(target, caller=parse_address("<sip:pbx@127.0.0.1>"), offer=OFFER)
        async with asyncio.timeout(20):
            ends = [event async for event in call.events() if isinstance(event, Refused | SipEnded)]
        assert [getattr(event, "status", None) for event in ends] == [status]
        assert called == ([named] if named else [])
    finally:
        await theirs.close()
        await ours.close()


@pytest.mark.parametrize("text", ["sip:198.51.100.7", "198.51.100.7:5060", "0.0.0.0", "1.2.3", "a b", "-a.example", "a\r\nX-Evil: 1", ""])
def test_a_public_address_that_nobody_could_write_into_a_contact_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match="public_address"):
        SipSettings(public_address=text)


@pytest.mark.parametrize("text", ["198.51.100.7", "2001:db8::7", "sip.example.org", "pbx"])
def test_a_public_address_is_an_address_or_a_name(text: str) -> None:
    assert SipSettings(public_address=text).is_ours(text)


@pytest.mark.parametrize(("host", "is_ours"), [("192.0.2.7", True), ("198.51.100.9", True), ("192.0.2.8", False), ("proxy.example", False)])
def test_what_phones_call_at_a_proxy_in_front_is_for_us_whatever_its_port(host: str, is_ours: bool) -> None:
    assert SipSettings(proxies=("192.0.2.7", "198.51.100.0/24")).is_ours(host, 6060) is is_ours


def test_reading_what_a_gateway_can_be_told_loads_nothing_of_the_gateway() -> None:
    code = "import sys, sinchphone.gateway.options; print(*sorted(name for name in sys.modules if name.startswith('sinchphone.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert loaded == {"sinchphone.gateway", "sinchphone.gateway.options", "sinchphone.protocol", *LEAVES}


def test_a_trunk_that_registers_needs_somebody_to_register_as() -> None:
    with pytest.raises(ConfigError, match="needs a username"):
        TrunkOptions(host="carrier.example", register=True)
