"""The exchange among engines that exist: phones behind Kamailio, sound through rtpengine, a PBX that is Kamailio as the trunk."""

import asyncio
from pathlib import Path

import pytest

from sinchphone.exchange.tls import Issued
from sinchphone.gateway.options import TrunkOptions
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from tests.peers.peerkit.baresip import Certificates, phone
from tests.peers.peerkit.deployment import USERS, deployed
from tests.peers.peerkit.kamailio import kamailio
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.rtpengine import rtpengine
from tests.peers.peerkit.sound import ENOUGH

PHONE_HZ = 440.0
USER_HZ = 1000.0
NUMBER = "46701234567"
PASSWORDS = {"exchange": "secret-e", NUMBER: "secret-n", "bob": "secret-b"}


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_number_behind_the_trunk_is_called_with_digest_and_record_route(
    tmp_path: Path,
    media: MediaThread,
    issued: Issued,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    transport: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.authority))
    srtp = transport == "tls"
    async with (
        kamailio(tmp_path / "pbx", PASSWORDS, issued.certificate.chain, issued.certificate.key) as pbx,
        phone(
            tmp_path / "bob",
            NUMBER,
            hz=PHONE_HZ,
            registrar=pbx.at(transport),
            password=PASSWORDS[NUMBER],
            certificates=certificates,
            srtp=srtp,
        ) as bob,
    ):
        port = pbx.tls_port if srtp else pbx.port
        trunk = TrunkOptions(
            host=HOST,
            port=port,
            transport=transport,  # type: ignore[arg-type]
            srtp=srtp,
            username="exchange",
            password=PASSWORDS["exchange"],
            allow=("+46",),
            strip="+",
        )
        async with deployed(media, tmp_path / "exchange", gateway={"trunk": trunk}) as exchange:
            alice = await exchange.user("alice", USER_HZ)
            talk = await alice.calls_number(f"+{NUMBER}")
            await talk.reaches(State.ESTABLISHED)
            await talk.mouth.hears(PHONE_HZ)
            await talk.call.dtmf("5")
            assert (await bob.event("CALL_DTMF_START"))["param"] == "5"
            assert "record-route" in bob.program.output.lower()
            await talk.hang_up()
            await bob.event("CALL_CLOSED")
            assert await bob.hears(USER_HZ) > ENOUGH
            unknown = await (await alice.calls_number("+46709999999")).ended()
            assert unknown.failure is not None
            assert unknown.failure.code == 404


async def test_we_register_with_the_trunk_and_it_calls_us(tmp_path: Path, media: MediaThread, issued: Issued) -> None:
    async with kamailio(tmp_path / "pbx", PASSWORDS, issued.certificate.chain, issued.certificate.key) as pbx:
        trunk = TrunkOptions(
            host=HOST,
            port=pbx.port,
            username="exchange",
            password=PASSWORDS["exchange"],
            register=True,
            numbers={"*": "user:alice", "exchange": "user:alice"},
        )
        async with (
            deployed(media, tmp_path / "exchange", gateway={"trunk": trunk}) as exchange,
            phone(tmp_path / "bob", "bob", hz=PHONE_HZ, registrar=pbx.at("tcp"), password=PASSWORDS["bob"]) as bob,
        ):
            alice = await exchange.user("alice", USER_HZ)
            await pbx.knows("exchange")
            await bob.dial(pbx.address("exchange", "tcp"))
            talk = await alice.answers()
            await talk.mouth.hears(PHONE_HZ)
            await bob.order("hangup")
            assert (await talk.ended()).cause is Cause.HUNG_UP
            await bob.event("CALL_CLOSED")
            assert await bob.hears(USER_HZ) > ENOUGH


async def test_a_phone_behind_kamailio_calls_a_user_through_rtpengine(tmp_path: Path, media: MediaThread, issued: Issued) -> None:
    """Kamailio knows the phone and its password; the exchange trusts Kamailio; rtpengine carries the sound, from Opus to PCMU and back."""
    async with (
        rtpengine(tmp_path / "rtpengine") as engine,
        deployed(media, tmp_path / "exchange", trusted=(HOST,), media="rtpengine", rtpengine=engine.setting) as exchange,
        kamailio(tmp_path / "edge", PASSWORDS, issued.certificate.chain, issued.certificate.key, exchange=exchange.at) as edge,
        phone(tmp_path / "bob", "bob", hz=PHONE_HZ, registrar=edge.at("udp"), password=PASSWORDS["bob"]) as bob,
    ):
        alice = await exchange.user("alice", USER_HZ)
        await bob.dial(edge.address("alice"))
        talk = await alice.answers()
        await talk.reaches(State.ESTABLISHED)
        await talk.mouth.hears(PHONE_HZ)
        await talk.call.dtmf("6")
        assert (await bob.event("CALL_DTMF_START"))["param"] == "6"
        await talk.hang_up()
        await bob.event("CALL_CLOSED")
        assert await bob.hears(USER_HZ) > ENOUGH


async def test_a_user_and_a_phone_use_rtpengine_with_digits_and_hold(tmp_path: Path, media: MediaThread) -> None:
    async with (
        rtpengine(tmp_path / "rtpengine") as engine,
        deployed(media, tmp_path / "exchange", media="rtpengine", rtpengine=engine.setting) as exchange,
        phone(tmp_path / "desk", "desk", hz=PHONE_HZ, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk,
    ):
        alice = await exchange.user("alice", USER_HZ)
        talk = await alice.calls_user("desk")
        await talk.reaches(State.ESTABLISHED)
        await talk.mouth.hears(PHONE_HZ)
        await desk.press("4")
        await talk.hears_digits("4")
        await desk.order("hold")
        await asyncio.sleep(1)
        await desk.order("resume")
        await asyncio.sleep(0.5)
        talk.mouth.heard.clear()
        await talk.mouth.hears(PHONE_HZ)
        await talk.hang_up()
        await desk.event("CALL_CLOSED")
        assert await desk.hears(USER_HZ) > ENOUGH


async def test_a_phone_hears_its_echo_through_rtpengine(tmp_path: Path, media: MediaThread) -> None:
    async with (
        rtpengine(tmp_path / "rtpengine") as engine,
        deployed(media, tmp_path / "exchange", media="rtpengine", rtpengine=engine.setting) as exchange,
        phone(tmp_path / "desk", "desk", hz=PHONE_HZ, codec="pcma", registrar=exchange.over("tcp"), password=USERS["desk"]) as desk,
    ):
        await desk.dial(f"sip:echo@{exchange.over('tcp')}")
        await desk.event("CALL_ESTABLISHED")
        await asyncio.sleep(3)
        await desk.order("hangup")
        await desk.event("CALL_CLOSED")
        assert await desk.hears(PHONE_HZ) > ENOUGH
