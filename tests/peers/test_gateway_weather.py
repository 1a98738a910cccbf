"""Bad weather around the whole exchange: no leg, no line of the trunk, no port and no task is left behind (``deployed`` looks)."""

import asyncio
import functools
from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.frame import RATE
from sinchphone.engine.events.events import IncomingCall
from sinchphone.gateway import media_backends, sip_agents
from sinchphone.gateway.bridging import forking
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.media.port import RtpPortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.tasks import start_task
from tests.instruments import tone_seconds
from tests.peers.peerkit.baresip import phone
from tests.peers.peerkit.deployment import USERS, deployed
from tests.peers.peerkit.lossy import lossy
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.raw import raw, tag_of
from tests.peers.peerkit.sipp import scenario
from tests.peers.peerkit.sound import ENOUGH


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less patience: 64*T1 is 1.28 s, a phone is lost after 1.5 s of silence, nobody rings for longer than 2 s."""
    monkeypatch.setattr(sip_agents, "SipOptions", functools.partial(SipOptions, timing=Timing(t1=0.02, t2=0.16, t4=0.2)))
    monkeypatch.setattr(media_backends, "RtpPortOptions", lambda **given: RtpPortOptions(**{**given, "lost_after_s": 1.5}))
    monkeypatch.setattr(forking, "RING_SECONDS", 2.0)


@pytest.mark.usefixtures("quick")
async def test_a_phone_vanishes_in_the_middle_of_a_call_with_a_user(tmp_path: Path, media: MediaThread) -> None:
    async with deployed(media, tmp_path / "exchange") as exchange:
        alice = await exchange.user("alice")
        async with phone(tmp_path / "desk", "desk", hz=440, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk:
            await desk.dial(f"sip:alice@{exchange.at}")
            talk = await alice.answers()
            await talk.mouth.hears(440)
            await desk.program.kill()
        details = await talk.ended()
        assert details.ended_by != "us"


@pytest.mark.usefixtures("quick")
async def test_a_phone_vanishes_in_the_middle_of_a_call_with_a_phone(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange") as exchange,
        phone(tmp_path / "kitchen", "kitchen", hz=620, registrar=f"{exchange.at};transport=udp", password=USERS["kitchen"]) as kitchen,
    ):
        async with phone(tmp_path / "desk", "desk", hz=440, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk:
            await desk.dial(f"sip:kitchen@{exchange.at}")
            await kitchen.event("CALL_RTPESTAB")
            await asyncio.sleep(0.5)
            await desk.program.kill()
        await kitchen.event("CALL_CLOSED")


@pytest.mark.usefixtures("quick")
async def test_a_caller_vanishes_after_the_answer(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange,
        scenario("uac_vanishes", tmp_path / "ada", target=exchange.at, service="echo", echo=True) as ada,
    ):
        await ada.succeeds()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("says", ["", "100 Trying", "180 Ringing"])
async def test_a_carrier_that_never_answers_gives_its_line_back(tmp_path: Path, media: MediaThread, says: str) -> None:
    async with raw(0) as carrier:
        trunk = TrunkOptions(host=HOST, port=carrier.port, allow=("+46",), max_calls=1)
        async with deployed(media, tmp_path / "exchange", gateway={"trunk": trunk}) as exchange:
            alice = await exchange.user("alice")
            talk = await alice.calls_number("+46701234567")
            invite = await carrier.receives("INVITE sip:")
            carrier.to = exchange.local._exchange.gateway._runtime._agents.listening.agent.port  # type: ignore[union-attr]
            if says:
                carrier.reply(invite, says)
            details = await talk.ended()
            assert details.cause is not Cause.HUNG_UP
            await exchange.is_quiet()


async def test_numbers_outside_the_allowed_prefixes_never_reach_the_carrier(tmp_path: Path, media: MediaThread) -> None:
    async with raw(0) as carrier:
        trunk = TrunkOptions(host="127.0.0.9", port=carrier.port, allow=("+46",), deny=("+46900",), caller_id="+12125552368")
        async with deployed(media, tmp_path / "exchange", gateway={"trunk": trunk}) as exchange:
            alice = await exchange.user("alice")
            for number in ("+19001234567", "+46900123456", "+881612345678"):
                try:
                    details = await (await alice.calls_number(number)).ended()
                except Exception as error:  # noqa: BLE001 - said at once, or as the call's end: either will do
                    assert "403" in str(error) or "begin" in str(error)
                else:
                    assert details.failure is not None
                    assert details.failure.code == 403
            options = {"target": exchange.at, "user": ("desk", USERS["desk"]), "caller": "desk"}
            async with scenario("uac_password_refused", tmp_path / "desk", service="+19001234567", **options) as desk:  # type: ignore[arg-type]
                await desk.succeeds()
        assert carrier.came == []


async def test_thirty_percent_loss_on_the_way_to_a_phone(tmp_path: Path, media: MediaThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_agents, "SipOptions", functools.partial(SipOptions, timing=Timing(t1=0.1, t2=0.8, t4=1.0)))
    async with (
        phone(tmp_path / "bob", "bob", hz=440) as bob,
        deployed(media, tmp_path / "exchange") as exchange,
        lossy(bob.port, 0.3, 6) as relay,
    ):
        alice = await exchange.user("alice", 1000)
        for _ in range(2):
            talk = await alice.calls(f"bob@{HOST}:{relay.port}")
            await talk.reaches(State.ESTABLISHED)
            await talk.mouth.hears(440)
            await talk.hang_up()
            await bob.event("CALL_CLOSED")
        assert await bob.hears(1000) > ENOUGH
        assert relay.lost > 0
        await exchange.is_quiet()


async def test_sound_from_a_stranger_isnt_heard(tmp_path: Path, media: MediaThread) -> None:
    async with scenario("uas_answer", tmp_path / "bob", echo=True) as bob, deployed(media, tmp_path / "exchange") as exchange:
        alice = await exchange.user("alice", 700)
        talk = await alice.calls(bob.uri)
        await talk.reaches(State.ESTABLISHED)
        await talk.mouth.hears(700)
        port = int(bob.messages.split("m=audio ")[1].split()[0])
        async with raw(port, "127.0.0.9") as eve, raw(port) as mallory:
            talk.mouth.heard.clear()
            for number in range(75):
                packet = (
                    bytes([0x80, 0]) + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big") + b"EVIL" + bytes([0x00, 0x80] * 80)
                )
                eve.send(packet)
                mallory.send(packet)
                await asyncio.sleep(0.02)
            await talk.mouth.hears(700)
            heard = np.concatenate(talk.mouth.heard)
            assert tone_seconds(heard, 700) > 0.8 * len(heard) / RATE
            assert eve.came == mallory.came == []
        await talk.hang_up()
        await bob.succeeds()


@pytest.mark.usefixtures("quick")
async def test_an_invite_repeated_after_its_cancel_and_one_by_another_branch(tmp_path: Path, media: MediaThread) -> None:
    async with deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange:
        alice = await exchange.user("alice")
        async with raw(int(exchange.at.rpartition(":")[2])) as ada:
            first = ada.invite("crossing", branch="one", user="alice")
            ada.send(first)
            rung = await anext(event async for event in alice.client.events() if isinstance(event, IncomingCall))
            await ada.receives(" 180 ")
            ada.send(ada.request("CANCEL", "crossing", branch="one", user="alice"))
            ada.send(first)
            ada.send(ada.invite("crossing", branch="two", user="alice"))
            terminated = await ada.receives(lambda one: " 487 " in one.splitlines()[0] and "z9hG4bKone" in one)
            ada.send(ada.request("ACK", "crossing", branch="one", to_tag=tag_of(terminated), user="alice"))
            assert (await rung.call.ended()).cause is Cause.CANCELED
            other = await ada.receives(lambda one: "z9hG4bKtwo" in one and " 100 " not in one.splitlines()[0])
            if " 180 " in other.splitlines()[0]:
                ada.send(ada.request("CANCEL", "crossing", branch="two", user="alice"))
                other = await ada.receives(lambda one: " 487 " in one.splitlines()[0] and "z9hG4bKtwo" in one)
            ada.send(ada.request("ACK", "crossing", branch="two", to_tag=tag_of(other), user="alice"))


async def test_flood_of_registrations_doesnt_stop_a_phone(tmp_path: Path, media: MediaThread) -> None:
    async with deployed(media, tmp_path / "exchange", trusted=()) as exchange:
        alice = await exchange.user("alice")
        port = int(exchange.at.rpartition(":")[2])
        async with raw(port, "127.0.0.7") as flood:

            async def keep_flooding() -> None:
                for number in range(3000):
                    flood.send(flood.request("REGISTER", f"flood{number}", user=f"user{number}"))
                    if number % 10 == 0:
                        await asyncio.sleep(0.01)

            flooding = start_task(keep_flooding(), name="keep flooding")
            async with phone(tmp_path / "desk", "desk", hz=440, registrar=f"{exchange.at};transport=tcp", password=USERS["desk"]) as desk:
                await desk.dial(f"sip:alice@{exchange.at};transport=tcp")
                talk = await alice.answers()
                await talk.mouth.hears(440)
                await talk.hang_up()
                await desk.event("CALL_CLOSED")
            await flooding
            assert len(flood.came) < 1000
