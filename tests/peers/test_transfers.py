"""Transfers with real phones (baresip): a user transfers one, and one transfers a user."""

import asyncio
from pathlib import Path

from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import State
from tests.peers.peerkit.baresip import phone
from tests.peers.peerkit.deployment import USERS, deployed
from tests.peers.peerkit.sound import ENOUGH

PHONE_HZ, ALICE_HZ, BOB_HZ = 440.0, 1000.0, 700.0


async def test_a_phone_is_transferred_and_transfers(tmp_path: Path, media: MediaThread) -> None:
    async with (
        deployed(media, tmp_path / "exchange") as exchange,
        phone(tmp_path / "desk", "desk", hz=PHONE_HZ, registrar=f"{exchange.at};transport=udp", password=USERS["desk"]) as desk,
    ):
        alice, bob = await exchange.user("alice", ALICE_HZ), await exchange.user("bob", BOB_HZ)
        await desk.dial(f"sip:alice@{exchange.at}")
        first = await alice.answers()
        await first.reaches(State.ESTABLISHED)
        await first.mouth.hears(PHONE_HZ)
        async with asyncio.TaskGroup() as group:
            group.create_task(first.call.transfer("bob"))
            second = await bob.answers()
        await second.reaches(State.ESTABLISHED)
        await first.ended()
        await second.mouth.hears(PHONE_HZ)
        await desk.order("transfer", f"sip:alice@{exchange.at}")
        third = await alice.answers()
        await third.reaches(State.ESTABLISHED)
        await third.mouth.hears(BOB_HZ)
        await second.mouth.hears(ALICE_HZ)
        assert second.call.peer == "alice"
        await desk.event("CALL_CLOSED")
        await third.hang_up()
        await second.ended()
        assert await desk.hears(BOB_HZ, last=True) > ENOUGH
        await exchange.is_quiet()
