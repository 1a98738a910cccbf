"""Whole calls through the exchange: users at terminals and real phones (baresip, linphonec), sound measured at both ends."""

import asyncio
from pathlib import Path

import pytest

from sinchphone.engine.calls.hold import Held, Resumed
from sinchphone.exchange.tls import Issued
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from sinchphone.tasks import start_task
from tests.peers.peerkit.baresip import Certificates, phone
from tests.peers.peerkit.deployment import USERS, deployed
from tests.peers.peerkit.linphone import linphone
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.sound import ENOUGH

PHONE_HZ = 440.0
USER_HZ = 1000.0
WAYS = [("pcmu", "udp", False), ("pcma", "tcp", False), ("opus", "udp", False), ("pcmu", "tls", True)]


@pytest.mark.parametrize(("codec", "transport", "srtp"), WAYS)
async def test_a_user_calls_a_phone(
    tmp_path: Path,
    media: MediaThread,
    issued: Issued,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    codec: str,
    transport: str,
    srtp: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.authority))
    async with (
        phone(tmp_path / "bob", "bob", hz=PHONE_HZ, codec=codec, certificates=certificates, srtp=srtp) as bob,
        deployed(media, tmp_path / "exchange", issued=issued) as exchange,
    ):
        alice = await exchange.user("alice", USER_HZ)
        port = bob.port + 1 if transport == "tls" else bob.port
        talk = await alice.calls(f"bob@{HOST}:{port};transport={transport}")
        await talk.reaches(State.ESTABLISHED)
        await talk.mouth.hears(PHONE_HZ)
        await talk.call.dtmf("5#")
        assert [(await bob.event("CALL_DTMF_START"))["param"] for _ in range(2)] == ["5", "#"]
        await bob.press("9*")
        await talk.hears_digits("9*")
        await talk.hang_up()
        await bob.event("CALL_CLOSED")
        assert await bob.hears(USER_HZ) > ENOUGH


@pytest.mark.parametrize(("codec", "transport", "srtp"), WAYS)
async def test_a_registered_phone_calls_a_user_and_is_called(
    tmp_path: Path, media: MediaThread, issued: Issued, certificates: Certificates, codec: str, transport: str, srtp: bool
) -> None:
    async with deployed(media, tmp_path / "exchange", issued=issued) as exchange:
        at = exchange.over(transport)
        async with phone(
            tmp_path / "desk",
            "desk",
            hz=PHONE_HZ,
            codec=codec,
            certificates=certificates,
            srtp=srtp,
            registrar=at,
            password=USERS["desk"],
        ) as desk:
            alice = await exchange.user("alice", USER_HZ)
            await desk.dial(f"sip:alice@{at}")
            talk = await alice.answers()
            await talk.reaches(State.ESTABLISHED)
            await desk.event("CALL_ESTABLISHED")
            await talk.mouth.hears(PHONE_HZ)
            await desk.press("4")
            await talk.hears_digits("4")
            await talk.call.dtmf("6")
            assert (await desk.event("CALL_DTMF_START"))["param"] == "6"
            await desk.order("hangup")
            assert (await talk.ended()).cause is Cause.HUNG_UP
            await desk.event("CALL_CLOSED")
            assert await desk.hears(USER_HZ) > ENOUGH
            if transport == "tls":  # back over its own connection
                back = await alice.calls_user("desk")
                await back.reaches(State.ESTABLISHED)
                await back.mouth.hears(PHONE_HZ)
                await back.hang_up()
                await desk.event("CALL_CLOSED")
            await exchange.is_quiet()


async def test_a_phone_holds_and_resumes(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange") as exchange,
        phone(tmp_path / "desk", "desk", hz=PHONE_HZ, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk,
    ):
        alice = await exchange.user("alice", USER_HZ)
        await desk.dial(f"sip:alice@{exchange.at}")
        talk = await alice.answers()
        await talk.reaches(State.ESTABLISHED)
        await talk.mouth.hears(PHONE_HZ)
        await desk.order("hold")
        await asyncio.sleep(1)
        assert talk.call.state is State.ESTABLISHED
        await desk.order("resume")
        await asyncio.sleep(0.5)
        talk.mouth.heard.clear()
        await talk.mouth.hears(PHONE_HZ)
        await desk.order("hangup")
        await talk.ended()
        await desk.event("CALL_CLOSED")
        assert await desk.hears(USER_HZ) > ENOUGH


async def test_a_user_holds_a_phone_and_hears_of_its_hold_in_turn(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange") as exchange,
        phone(tmp_path / "desk", "desk", hz=PHONE_HZ, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk,
    ):
        alice = await exchange.user("alice", USER_HZ)
        await desk.dial(f"sip:alice@{exchange.at}")
        talk = await alice.answers()
        await talk.reaches(State.ESTABLISHED)
        await talk.mouth.hears(PHONE_HZ)
        holds: list[Held | Resumed] = []
        talk.call.add_listener(lambda event: holds.append(event) if isinstance(event, Held | Resumed) else None)
        await talk.call.hold()
        await asyncio.sleep(1.5)
        talk.mouth.heard.clear()
        await asyncio.sleep(0.5)
        assert not any(frame.any() for frame in talk.mouth.heard), "who holds hears nothing"
        await talk.call.resume()
        await talk.mouth.hears(PHONE_HZ)
        await desk.order("hold")
        async with asyncio.timeout(10):
            while not talk.call.held_by_peer:
                await asyncio.sleep(0.05)
        await desk.order("resume")
        async with asyncio.timeout(10):
            while talk.call.held_by_peer:
                await asyncio.sleep(0.05)
        assert holds == [Held(by_us=True), Resumed(by_us=True), Held(by_us=False), Resumed(by_us=False)]
        talk.mouth.heard.clear()
        await talk.mouth.hears(PHONE_HZ)
        await desk.order("hangup")
        await talk.ended()
        await desk.event("CALL_CLOSED")


async def test_two_phones_talk_through_the_exchange(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange") as exchange,
        phone(tmp_path / "desk", "desk", hz=440.0, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk,
        phone(
            tmp_path / "kitchen", "kitchen", hz=620.0, codec="pcma", registrar=exchange.over("tcp"), password=USERS["kitchen"]
        ) as kitchen,
    ):
        await desk.dial(f"sip:kitchen@{exchange.at}")
        await desk.event("CALL_ESTABLISHED")
        await kitchen.event("CALL_ESTABLISHED")
        await asyncio.sleep(2)
        await desk.press("7")
        assert (await kitchen.event("CALL_DTMF_START"))["param"] == "7"
        await desk.order("hangup")
        await kitchen.event("CALL_CLOSED")
        assert await desk.hears(620.0) > ENOUGH
        assert await kitchen.hears(440.0) > ENOUGH


async def test_a_phone_and_two_users_meet_in_a_room(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange") as exchange,
        phone(tmp_path / "desk", "desk", hz=PHONE_HZ, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk,
    ):
        alice = await exchange.user("alice", USER_HZ)
        call = await alice.client.call_conference("standup", sound=alice.sound())
        talk = exchange.talk(call, alice.mouths[-1])
        await talk.reaches(State.ESTABLISHED)
        await desk.dial(f"sip:conf-standup@{exchange.at}")
        await desk.event("CALL_ESTABLISHED")
        await talk.mouth.hears(PHONE_HZ)
        await asyncio.sleep(1)
        await desk.order("hangup")
        await desk.event("CALL_CLOSED")
        assert await desk.hears(USER_HZ) > ENOUGH
        await talk.hang_up()


async def test_linphone_is_called(tmp_path: Path, media: MediaThread) -> None:
    async with linphone(tmp_path / "lin", "lin", hz=PHONE_HZ) as lin, deployed(media, tmp_path / "exchange") as exchange:
        alice = await exchange.user("alice", USER_HZ)
        talk = await alice.calls(lin.uri)
        await talk.reaches(State.ESTABLISHED)
        await talk.mouth.hears(PHONE_HZ)
        await asyncio.sleep(1)
        await talk.hang_up()
        await lin.program.says("ended")
        await lin.quit()
        assert lin.hears(USER_HZ) > ENOUGH


async def test_linphone_calls_a_user(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange,
        linphone(tmp_path / "lin", "lin", hz=PHONE_HZ) as lin,
    ):
        alice = await exchange.user("alice", USER_HZ)
        await lin.program.say(f"call sip:alice@{exchange.at}")
        talk = await alice.answers()
        await talk.reaches(State.ESTABLISHED)
        await talk.mouth.hears(PHONE_HZ)
        await asyncio.sleep(1)
        await lin.program.say("terminate")
        await talk.ended()
        await lin.quit()
        assert lin.hears(USER_HZ) > ENOUGH


async def test_a_user_transfers_a_phone_to_another_user(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange") as exchange,
        phone(tmp_path / "desk", "desk", hz=PHONE_HZ, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk,
    ):
        alice, bob = await exchange.user("alice", USER_HZ), await exchange.user("bob", 620.0)
        await desk.dial(f"sip:alice@{exchange.at}")
        talk = await alice.answers()
        await talk.reaches(State.ESTABLISHED)
        await desk.event("CALL_ESTABLISHED")
        transferring = start_task(talk.call.transfer("bob"), name="transfer")
        other = await bob.answers()
        await other.reaches(State.ESTABLISHED)
        await other.mouth.hears(PHONE_HZ)
        await asyncio.wait_for(transferring, 20)
        assert (await talk.ended()).cause is Cause.HUNG_UP
        await other.hang_up()
