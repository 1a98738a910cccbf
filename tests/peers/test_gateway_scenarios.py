"""sipp as a callee, a carrier and a caller of the whole exchange: each scenario goes to its end, and nothing of it is left behind."""

import functools
from pathlib import Path

import pytest

from sinchphone.engine.events.events import IncomingCall
from sinchphone.gateway import sip_agents
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.sip.transactions.transaction import Timing
from tests.peers.peerkit.deployment import USERS, Deployment, Talk, deployed
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.sipp import scenario

ANSWERING = [
    *("uas_answer", "uas_answer_pcma", "uas_early_media", "uas_reliable_early", "uas_reliable_twice", "uas_holds", "uas_holds_old_style"),
    *("uas_session_timer", "uas_interval_too_small", "uas_forks", "uas_crosses_bye"),
]
CALLING = [
    *("uac_call", "uac_speech_and_digit", "uac_late_offer", "uac_reinvite_without_offer", "uac_holds", "uac_wrong_offer"),
    *("uac_session_timer", "uac_info_digit", "uac_unknown_extension", "uac_options"),
]


async def calls(exchange: Deployment, address: str) -> Talk:
    return await (await exchange.user("alice")).calls(address)


@pytest.mark.parametrize("name", ANSWERING)
async def test_answers(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with scenario(name, tmp_path / "bob", echo=True) as bob, deployed(media, tmp_path / "exchange") as exchange:
        talk = await calls(exchange, bob.uri)
        await talk.reaches(State.ESTABLISHED)
        if name != "uas_early_media":  # whose recording goes on
            await talk.mouth.hears(1000.0)
        if name in ("uas_holds", "uas_holds_old_style", "uas_session_timer"):
            await bob.program.until(lambda: "CSeq: 1002 ACK" in bob.messages, "its second change")
        assert (await talk.hang_up()).cause is Cause.HUNG_UP
        await bob.succeeds()


@pytest.mark.parametrize(("name", "status"), [("uas_busy", 486), ("uas_refuses", 404), ("uas_refuses", 480), ("uas_refuses", 603)])
async def test_refuses(tmp_path: Path, media: MediaThread, name: str, status: int) -> None:
    async with scenario(name, tmp_path / "bob", status=f"{status} No") as bob, deployed(media, tmp_path / "exchange") as exchange:
        details = await (await calls(exchange, bob.uri)).ended()
        assert details.failure is not None
        assert (details.failure.domain, details.failure.code) == ("sip", status)
        await bob.succeeds()


@pytest.mark.parametrize("name", ["uas_rings_until_cancel", "uas_cancel_crosses_200"])
async def test_is_given_up(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with scenario(name, tmp_path / "bob") as bob, deployed(media, tmp_path / "exchange") as exchange:
        talk = await calls(exchange, bob.uri)
        await talk.reaches(State.RINGING)
        assert (await talk.hang_up()).cause is Cause.CANCELED
        await bob.succeeds()


async def test_hangs_up(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_hangs_up", tmp_path / "bob") as bob, deployed(media, tmp_path / "exchange") as exchange:
        details = await (await calls(exchange, bob.uri)).ended()
        assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
        await bob.succeeds()


async def test_answers_without_a_description(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_answers_without_sdp", tmp_path / "bob") as bob, deployed(media, tmp_path / "exchange") as exchange:
        assert (await (await calls(exchange, bob.uri)).ended()).cause is Cause.FAILURE
        await bob.succeeds()


async def test_is_elsewhere(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_answer", tmp_path / "new", echo=True) as new, deployed(media, tmp_path / "exchange") as exchange:
        async with scenario("uas_moved", tmp_path / "old", keys={"redirect": new.uri}) as old:
            talk = await calls(exchange, old.uri)
            await talk.reaches(State.ESTABLISHED)
            await talk.hang_up()
            await old.succeeds()
        await new.succeeds()


async def test_knows_no_telephone_events_and_gets_info(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_wants_info", tmp_path / "bob") as bob, deployed(media, tmp_path / "exchange") as exchange:
        talk = await calls(exchange, bob.uri)
        await talk.reaches(State.ESTABLISHED)
        await talk.call.dtmf("7")
        await talk.hang_up()
        await bob.succeeds()


@pytest.mark.parametrize("name", ["uas_challenge", "uas_challenge_sha256", "uas_challenges_bye"])
async def test_a_carrier_wants_the_trunks_password(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with scenario(name, tmp_path / "carrier", echo=True) as carrier:
        trunk = TrunkOptions(host=HOST, port=carrier.port, username="trunk", password="secret", allow=("+46",))
        async with deployed(media, tmp_path / "exchange", gateway={"trunk": trunk}) as exchange:
            alice = await exchange.user("alice")
            talk = await alice.calls_number("+46701234567")
            await talk.reaches(State.ESTABLISHED)
            await talk.mouth.hears(1000.0)
            await talk.hang_up()
            await carrier.succeeds()


async def test_a_carrier_that_doesnt_take_the_password_is_tried_once(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_challenge_wrong", tmp_path / "carrier") as carrier:
        trunk = TrunkOptions(host=HOST, port=carrier.port, username="trunk", password="secret", allow=("+46",))
        async with deployed(media, tmp_path / "exchange", gateway={"trunk": trunk}) as exchange:
            details = await (await (await exchange.user("alice")).calls_number("+46701234567")).ended()
            assert details.failure is not None
            assert details.failure.code == 401
            await carrier.succeeds()


@pytest.mark.parametrize("name", CALLING)
async def test_calls_the_echo(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with (
        deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange,
        scenario(name, tmp_path / "ada", target=exchange.at, service="echo") as ada,
    ):
        await ada.succeeds()


@pytest.mark.parametrize("name", ["uac_password", "uac_wrong_password", "uac_unwanted", "uac_registers"])
async def test_passwords(tmp_path: Path, media: MediaThread, name: str) -> None:
    user = ("desk", "wrong" if "wrong" in name else USERS["desk"])
    service = "desk" if "register" in name else "echo"
    async with (
        deployed(media, tmp_path / "exchange") as exchange,
        scenario(name, tmp_path / "desk", target=exchange.at, service=service, user=user, caller="desk") as desk,
    ):
        await desk.succeeds()


async def test_gives_up_while_a_user_is_rung(tmp_path: Path, media: MediaThread) -> None:
    async with deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange:
        alice = await exchange.user("alice")
        async with scenario("uac_cancels", tmp_path / "ada", target=exchange.at, service="alice") as ada:
            rung = await anext(event async for event in alice.client.events() if isinstance(event, IncomingCall))
            await ada.succeeds()
            assert (await rung.call.ended()).cause is Cause.CANCELED


async def test_waits_to_be_hung_up(tmp_path: Path, media: MediaThread) -> None:
    async with deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange:
        alice = await exchange.user("alice")
        async with scenario("uac_waits", tmp_path / "ada", target=exchange.at, service="alice") as ada:
            talk = await alice.answers()
            await talk.reaches(State.ESTABLISHED)
            await talk.hang_up()
            await ada.succeeds()


async def test_never_acknowledges_the_answer(tmp_path: Path, media: MediaThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_agents, "SipOptions", functools.partial(SipOptions, timing=Timing(t1=0.02, t2=0.16, t4=0.2)))
    async with (
        deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange,
        scenario("uac_never_acks", tmp_path / "ada", target=exchange.at, service="echo") as ada,
    ):
        await ada.succeeds()
