"""Kamailio between our user agent and phones: digest, Record-Route, changes through the proxy; UDP, TCP, TLS."""

import asyncio
from pathlib import Path

import pytest

from sinchphone.exchange.tls import Issued
from sinchphone.gateway.sip.calls import Refused, SipAnswered, SipEnded
from sinchphone.gateway.sip.options import TrunkPeer
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import SipAddress, parse_uri
from tests.peers.peerkit.baresip import Certificates, phone
from tests.peers.peerkit.kamailio import kamailio
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.sound import ENOUGH
from tests.peers.peerkit.station import station

PASSWORDS = {"exchange": "secret-e", "bob": "secret-b", "busy": "secret-x"}
US = Credentials("exchange", PASSWORDS["exchange"])
PHONE_HZ = 440.0
OUR_HZ = 1000.0


@pytest.mark.parametrize("transport", ["udp", "tls"])
async def test_we_call_a_phone_through_the_proxy(
    tmp_path: Path, media: MediaThread, issued: Issued, certificates: Certificates, transport: str
) -> None:
    srtp = transport == "tls"
    async with (
        kamailio(tmp_path / "proxy", PASSWORDS, issued.certificate.chain, issued.certificate.key) as proxy,
        phone(
            tmp_path / "bob",
            "bob",
            hz=PHONE_HZ,
            registrar=proxy.at(transport),
            password=PASSWORDS["bob"],
            certificates=certificates,
            srtp=srtp,
        ) as bob,
        station(media, certificate=issued.certificate, ca_files=(issued.authority,)) as us,
    ):
        caller = SipAddress(parse_uri(f"sip:exchange@{HOST}"))
        call = await us.call(proxy.address("bob", transport), hz=OUR_HZ, srtp=srtp, credentials=US, caller=caller)
        await call.event(SipAnswered)
        await call.mouth.hears(PHONE_HZ)
        await bob.press("3")
        await call.hears_digits("3")
        await call.change("inactive")
        await call.change("sendrecv")
        call.mouth.heard.clear()
        await call.mouth.hears(PHONE_HZ)
        assert "record-route" in bob.program.output.lower()
        if transport == "udp":
            await bob.order("hangup")
            assert isinstance(await call.ended(), SipEnded)
        else:
            await call.hang_up()
        await bob.event("CALL_CLOSED")
        assert await bob.hears(OUR_HZ) > ENOUGH


async def test_the_proxy_wants_our_password_and_says_whom_it_doesnt_know(tmp_path: Path, media: MediaThread, issued: Issued) -> None:
    async with (
        kamailio(tmp_path / "proxy", PASSWORDS, issued.certificate.chain, issued.certificate.key) as proxy,
        station(media) as us,
    ):
        caller = SipAddress(parse_uri(f"sip:exchange@{HOST}"))
        without = await (await us.call(proxy.address("bob"), caller=caller)).ended()
        wrong = await (await us.call(proxy.address("bob"), caller=caller, credentials=Credentials("exchange", "wrong"))).ended()
        nobody = await (await us.call(proxy.address("nobody"), caller=caller, credentials=US)).ended()
        assert [one.status for one in (without, wrong, nobody) if isinstance(one, Refused)] == [407, 407, 404]


@pytest.mark.parametrize("transport", ["tcp"])
async def test_a_phone_of_the_proxy_calls_us_as_its_trunk(tmp_path: Path, media: MediaThread, issued: Issued, transport: str) -> None:
    async with (
        station(media, passwords={}, trunks=(TrunkPeer(name="edge", hosts=frozenset({HOST})),)) as us,
        kamailio(tmp_path / "proxy", PASSWORDS, issued.certificate.chain, issued.certificate.key, exchange=us.at) as proxy,
        phone(tmp_path / "bob", "bob", hz=PHONE_HZ, registrar=proxy.at(transport), password=PASSWORDS["bob"]) as bob,
    ):
        await bob.dial(proxy.address("+15550100", transport))
        call = await us.next_call()
        assert (call.sip.trunk, call.sip.target.user) == ("edge", "+15550100")
        await call.mouth.hears(PHONE_HZ)
        await bob.order("hold")
        await call.until(lambda: len(call.events) == 1)
        await asyncio.sleep(1)  # recordings are named by the second
        await bob.order("resume")
        await call.until(lambda: len(call.events) == 2 and call.port.direction == "sendrecv")
        call.mouth.heard.clear()
        await call.mouth.hears(PHONE_HZ)
        await call.hang_up()
        await bob.event("CALL_CLOSED")
        assert await bob.hears(OUR_HZ) > ENOUGH
