"""A phone that says something unusable before it answers, or as its answer: it is never rung twice for that (RFC 3261 13.2.1)."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import State
from sinchphone.tasks import start_task
from tests.peers.peerkit.deployment import Deployment, deployed
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.raw import SDP, Raw, raw

_HEAD = f"v=0\r\no=x 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
UNUSABLE = {
    "no port": _HEAD + "m=audio 0 RTP/AVP 0\r\n",
    "garbage": "nobody can read that",
    "G.729 only": _HEAD + "m=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n",
    "a picture": _HEAD + "m=image 4000 udptl t38\r\n",
    "another profile": _HEAD + "m=audio 4000 RTP/SAVP 0\r\n",
    "no media": _HEAD,
}


@pytest.mark.parametrize("early", UNUSABLE.values(), ids=UNUSABLE)
async def test_an_unusable_183_rings_on_and_the_200s_description_counts(tmp_path: Path, media: MediaThread, early: str) -> None:
    async with deployed(media, tmp_path) as exchange, raw(port_of(exchange)) as bob:
        talk = await (await exchange.user("alice")).calls(f"sip:bob@{HOST}:{bob.port}")
        invite = await bob.receives("INVITE ")
        bob.reply(invite, "183 Session Progress", body=early)
        await talk.reaches(State.RINGING)
        bob.reply(invite, "200 OK", body=SDP.format(host=HOST, port=bob.port))
        await bob.receives("ACK ")
        await talk.reaches(State.ESTABLISHED)
        await _hangs_up(talk.call.hang_up(), bob)
        assert not [message for message in bob.came if message.startswith(("CANCEL", "INVITE"))]


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
async def test_an_unusable_200_is_acknowledged_and_hung_up_with_the_reason_and_nobody_rings_again(
    tmp_path: Path, media: MediaThread, answer: str
) -> None:
    async with deployed(media, tmp_path) as exchange, raw(port_of(exchange)) as bob:
        talk = await (await exchange.user("alice")).calls(f"sip:bob@{HOST}:{bob.port}")
        invite = await bob.receives("INVITE ")
        bob.reply(invite, "180 Ringing")
        bob.reply(invite, "200 OK", body=answer)
        await bob.receives("ACK ")
        bye = await bob.receives("BYE ")
        assert 'Reason: SIP;cause=488;text="' in bye
        bob.reply(bye, "200 OK")
        details = await talk.ended()
        assert details.failure is not None
        assert details.failure.code == 488
        assert "answer" in details.failure.message
        await asyncio.sleep(0.2)
        assert not [message for message in bob.came if message.startswith("INVITE")]


@pytest.mark.parametrize("status", ["488 Not Acceptable Here", "606 Not Acceptable"])
async def test_a_real_refusal_of_plain_sound_is_followed_by_an_encrypted_offer(tmp_path: Path, media: MediaThread, status: str) -> None:
    async with deployed(media, tmp_path) as exchange, raw(port_of(exchange)) as bob:
        talk = await (await exchange.user("alice")).calls(f"sip:bob@{HOST}:{bob.port}")
        first = await bob.receives("INVITE ")
        assert "RTP/AVP" in first
        bob.reply(first, status)
        second = await bob.receives("INVITE ")
        assert "RTP/SAVP" in second
        bob.reply(second, "486 Busy Here")
        assert (await talk.ended()).failure is not None


def port_of(exchange: Deployment) -> int:
    return int(exchange.at.rpartition(":")[2])


async def _hangs_up(hanging_up: Coroutine[Any, Any, None], bob: Raw) -> None:
    task = start_task(hanging_up, name="hanging up")
    bye = await bob.receives("BYE ")
    bob.reply(bye, "200 OK")
    await task
