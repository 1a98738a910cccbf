"""Transfers with a word first, by linphonec and sipp: REFER names the call to be replaced, and an INVITE takes a place."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import State
from tests.peers.peerkit.deployment import Deployment, Talk, User, deployed
from tests.peers.peerkit.linphone import Linphone, linphone
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.rtpengine import rtpengine
from tests.peers.peerkit.sipp import Sipp, scenario
from tests.peers.peerkit.sound import ENOUGH

PHONE_HZ, ALICE_HZ, BOB_HZ = 440.0, 1000.0, 700.0


@dataclass
class Desk:
    """linphonec, which has called alice."""

    exchange: Deployment
    phone: Linphone
    alice: User
    with_alice: Talk


@pytest.fixture
async def desk(tmp_path: Path, media: MediaThread) -> AsyncIterator[Desk]:
    async with (
        deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange,
        linphone(tmp_path / "lin", "lin", hz=PHONE_HZ) as phone,
    ):
        alice = await exchange.user("alice", ALICE_HZ)
        await phone.program.say(f"call sip:alice@{exchange.at}")
        with_alice = await alice.answers()
        await with_alice.reaches(State.ESTABLISHED)
        await phone.program.says("streams established")
        yield Desk(exchange, phone, alice, with_alice)


async def test_a_phone_lets_two_users_talk_whom_it_talks_with(desk: Desk) -> None:
    bob = await desk.exchange.user("bob", BOB_HZ)
    await desk.phone.program.say("pause 1")
    await desk.phone.program.says("is now paused")
    await desk.phone.program.say(f"call sip:bob@{desk.exchange.at}")
    with_bob = await bob.answers()
    await with_bob.mouth.hears(PHONE_HZ)
    await desk.phone.program.say("transfer 1 --to-call 2")
    await with_bob.mouth.hears(ALICE_HZ)
    await desk.with_alice.mouth.hears(BOB_HZ)
    assert desk.with_alice.call.peer == "bob"
    await desk.with_alice.hang_up()
    await with_bob.ended()


async def test_a_phone_takes_the_place_of_who_transfers_it(desk: Desk) -> None:
    """REFER with Replaces to the phone, whose INVITE names the call that it takes over."""
    bob = await desk.exchange.user("bob", BOB_HZ)
    alice = desk.with_alice
    with_bob, at_bob = await asyncio.gather(desk.alice.calls_user("bob"), bob.answers())
    await with_bob.mouth.hears(BOB_HZ)
    await alice.call.hold()
    await alice.call.transfer(with_bob.call)
    await at_bob.mouth.hears(PHONE_HZ)
    await alice.ended()
    await with_bob.ended()
    await asyncio.sleep(1.3)  # a whole second is recorded
    await desk.phone.program.say("terminate all")
    await at_bob.ended()
    await desk.phone.quit()
    assert desk.phone.hears(BOB_HZ) > ENOUGH


def dialog_of(caller: Sipp) -> str:
    """Its call, as Replaces names it to the exchange: whose tag comes first (RFC 3891 3)."""
    answer = caller.messages.split("SIP/2.0 200 OK")[-1]
    found = {
        name: re.search(pattern, answer)
        for name, pattern in {"id": r"Call-ID: *(\S+)", "to": r"To:.*;tag=(\S+)", "from": r"From:.*;tag=(\S+)"}.items()
    }
    call_id, to, sender = (match[1] for match in found.values() if match is not None)
    return f"{call_id};to-tag={to};from-tag={sender}"


async def test_a_phone_takes_over_a_call_whose_sound_runs_through_rtpengine(tmp_path: Path, media: MediaThread) -> None:
    """sipp, which says back what it hears: the second one; the first one is silent."""
    async with (
        rtpengine(tmp_path / "rtpengine") as engine,
        deployed(media, tmp_path / "exchange", trusted=(HOST,), media="rtpengine", rtpengine=engine.setting) as exchange,
    ):
        alice = await exchange.user("alice", ALICE_HZ)
        async with scenario("uac_waits", tmp_path / "first", target=exchange.at, service="alice") as first:
            talk = await alice.answers()
            await talk.reaches(State.ESTABLISHED)
            await first.program.until(lambda: "CSeq: 1 ACK" in first.messages, "its acknowledgement")
            keys = {"replaces": dialog_of(first)}
            async with scenario("uac_takes_over", tmp_path / "second", target=exchange.at, service="alice", keys=keys, echo=True) as second:
                await first.succeeds()
                await talk.mouth.hears(ALICE_HZ)
                await talk.hang_up()
                await second.succeeds()


async def test_sipp_lets_two_users_talk_whom_it_talks_with(tmp_path: Path, media: MediaThread) -> None:
    async with deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange:
        alice, bob = await exchange.user("alice", ALICE_HZ), await exchange.user("bob", BOB_HZ)
        async with scenario("uac_waits", tmp_path / "first", target=exchange.at, service="bob") as first:
            with_bob = await bob.answers()
            await with_bob.reaches(State.ESTABLISHED)
            await first.program.until(lambda: "CSeq: 1 ACK" in first.messages, "its acknowledgement")
            keys = {"refer_to": f"sip:bob@{exchange.at}?Replaces={quote(dialog_of(first), safe='')}"}
            async with scenario("uac_transfers", tmp_path / "second", target=exchange.at, service="alice", keys=keys) as second:
                with_alice = await alice.answers()
                await with_alice.mouth.hears(BOB_HZ)
                await with_bob.mouth.hears(ALICE_HZ)
                await first.succeeds()
                await second.succeeds()
                assert with_alice.call.peer == "bob"
                await with_alice.hang_up()
                await with_bob.ended()
