"""sipp calls without an offer, or asks for one later, and is joined to somebody all the same."""

from pathlib import Path

import pytest

from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from tests.peers.peerkit.deployment import deployed
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.sipp import scenario


@pytest.mark.parametrize("name", ["uac_late_offer", "uac_reinvite_without_offer"])
async def test_is_joined_to_a_user(tmp_path: Path, media: MediaThread, name: str) -> None:
    async with deployed(media, tmp_path / "exchange", trusted=(HOST,)) as exchange:
        alice = await exchange.user("alice")
        async with scenario(name, tmp_path / "phone", target=exchange.at, service="alice", echo=True) as phone:
            talk = await alice.answers()
            await talk.reaches(State.ESTABLISHED)
            assert (await talk.ended()).cause is Cause.HUNG_UP
            await phone.succeeds()
