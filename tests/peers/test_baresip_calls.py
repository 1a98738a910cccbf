"""Real phones (baresip) call the user agent and are called by it: every transport, codec and key exchange; digits and hold."""

from pathlib import Path

import pytest

from sinchphone.exchange.tls import Issued
from sinchphone.gateway.sip.calls import SipAnswered, SipReoffered
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sip.uri import SipAddress, parse_uri
from tests.peers.peerkit.baresip import Baresip, Certificates, phone
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.sound import ENOUGH
from tests.peers.peerkit.station import CALLER, station

PHONE_HZ = 440.0
OUR_HZ = 1000.0
WAYS = [("pcmu", "udp", False), ("pcma", "tls", True)]  # test_gateway_calls has them all


def address(bob: Baresip, transport: str) -> str:
    port = bob.port + 1 if transport == "tls" else bob.port
    return f"sip:{bob.user}@{HOST}:{port};transport={transport}"


@pytest.mark.parametrize(("codec", "transport", "srtp"), WAYS)
async def test_we_call_a_phone(
    tmp_path: Path, media: MediaThread, issued: Issued, certificates: Certificates, codec: str, transport: str, srtp: bool
) -> None:
    async with (
        phone(tmp_path / "bob", "bob", hz=PHONE_HZ, codec=codec, certificates=certificates, srtp=srtp) as bob,
        station(media, certificate=issued.certificate, ca_files=(issued.authority,)) as us,
    ):
        call = await us.call(address(bob, transport), hz=OUR_HZ, srtp=srtp)
        await call.event(SipAnswered)
        await call.mouth.hears(PHONE_HZ)
        await call.port.dtmf("5#")
        assert [(await bob.event("CALL_DTMF_START"))["param"] for _ in range(2)] == ["5", "#"]
        await bob.press("9*")
        await call.hears_digits("9*")
        await call.mouth.hears(PHONE_HZ)
        await call.hang_up()
        await bob.event("CALL_CLOSED")
        assert await bob.hears(OUR_HZ) > ENOUGH
        assert (await call.port.stats()).codec == {"pcmu": "PCMU", "pcma": "PCMA", "opus": "opus"}[codec]


@pytest.mark.parametrize(("codec", "transport", "srtp"), WAYS)
async def test_a_phone_calls_us(
    tmp_path: Path, media: MediaThread, issued: Issued, certificates: Certificates, codec: str, transport: str, srtp: bool
) -> None:
    async with (
        station(media, certificate=issued.certificate, ca_files=(issued.authority,)) as us,
        phone(tmp_path / "ada", "ada", hz=PHONE_HZ, codec=codec, certificates=certificates, srtp=srtp) as ada,
    ):
        port = us.agent.tls_port if transport == "tls" else us.agent.port
        await ada.dial(f"sip:us@{HOST}:{port};transport={transport}")
        call = await us.next_call()
        await ada.event("CALL_ESTABLISHED")
        await call.mouth.hears(PHONE_HZ)
        await ada.press("4")
        await call.hears_digits("4")
        await call.port.dtmf("6")
        assert (await ada.event("CALL_DTMF_START"))["param"] == "6"
        await ada.order("hangup")
        await call.ended()
        await ada.event("CALL_CLOSED")
        assert await ada.hears(OUR_HZ) > ENOUGH


async def test_a_phone_holds_and_resumes(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us, phone(tmp_path / "ada", "ada", hz=PHONE_HZ) as ada:
        await ada.dial(f"sip:us@{us.at}")
        call = await us.next_call()
        await call.mouth.hears(PHONE_HZ)
        await ada.order("hold")
        await call.until(lambda: sum(isinstance(one, SipReoffered) for one in call.events) == 1)
        assert call.port.direction in ("recvonly", "inactive")
        await ada.order("resume")
        await call.until(lambda: sum(isinstance(one, SipReoffered) for one in call.events) == 2)
        assert call.port.direction == "sendrecv"
        call.mouth.heard.clear()
        await call.mouth.hears(PHONE_HZ)
        await call.hang_up()
        await ada.event("CALL_CLOSED")


async def test_we_hold_a_phone_and_resume(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us, phone(tmp_path / "bob", "bob", hz=PHONE_HZ) as bob:
        call = await us.call(bob.uri, hz=OUR_HZ)
        await call.event(SipAnswered)
        await call.mouth.hears(PHONE_HZ)
        await call.change("inactive")
        await call.mouth.hears_nothing()
        await call.change("sendrecv")
        call.mouth.heard.clear()
        await call.mouth.hears(PHONE_HZ)
        await call.hang_up()
        await bob.event("CALL_CLOSED")
        assert await bob.hears(OUR_HZ) > ENOUGH


async def test_a_phone_registers_with_a_password_and_is_called_where_it_is(tmp_path: Path, media: MediaThread) -> None:
    async with (
        station(media, passwords={"ada": "secret-1"}) as us,
        phone(tmp_path / "ada", "ada", hz=PHONE_HZ, registrar=f"{us.at};transport=tcp", password="secret-1") as ada,
    ):
        assert us.registrar is not None
        (contact,) = us.registrar.contacts("ada")
        call = await us.call(str(contact.uri), hz=OUR_HZ, caller=CALLER)
        await call.event(SipAnswered)
        await call.mouth.hears(PHONE_HZ)
        await call.hang_up()
        await ada.event("CALL_CLOSED")
        await ada.dial(f"sip:us@{us.at};transport=tcp")  # this call wants the password too (407)
        incoming = await us.next_call()
        assert incoming.sip.user == "ada"
        await incoming.mouth.hears(PHONE_HZ)
        await incoming.hang_up()
        await ada.event("CALL_CLOSED")


async def test_a_stranger_with_no_password_gets_no_call(tmp_path: Path, media: MediaThread) -> None:
    async with station(media, passwords={"ada": "secret-1"}) as us, phone(tmp_path / "eve", "eve", hz=PHONE_HZ) as eve:
        await eve.dial(f"sip:us@{us.at}")
        await eve.event("CALL_CLOSED")
        assert us.came.empty()
        assert us.agent.open_calls == 0


async def test_our_name_is_shown(tmp_path: Path, media: MediaThread) -> None:
    async with station(media) as us, phone(tmp_path / "bob", "bob", hz=PHONE_HZ) as bob:
        call = await us.call(bob.uri, caller=SipAddress(parse_uri(f"sip:+15550100@{HOST}"), "Zoë"), headers={"x-colour": "blue"})
        await call.event(SipAnswered)
        await call.hang_up()
        await bob.program.says("+15550100")
        assert "x-colour: blue" in bob.program.output.lower()
