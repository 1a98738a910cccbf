"""A phone offers in mid-call what nobody can take (488), then what can be taken: a user and the phone hear each other after both."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import State
from tests.gateway.relay.changing_phone import EVENT, ChangingPhone
from tests.gateway.relay.relay_lab import until_heard
from tests.peers.peerkit.deployment import Deployment, deployed
from tests.peers.peerkit.programs import HOST
from tests.peers.peerkit.raw import raw, tag_of
from tests.peers.peerkit.rtpengine import rtpengine

USER_HZ, PHONE_HZ = 440.0, 1000.0
LOUDER_DB = 8.0  # a user of these tests speaks louder than a phone


@pytest.fixture(params=["python", "rtpengine"])
async def exchange(request: pytest.FixtureRequest, tmp_path: Path, media: MediaThread) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        if request.param == "python":
            yield await stack.enter_async_context(deployed(media, tmp_path / "exchange", trusted=(HOST,)))
        else:
            engine = await stack.enter_async_context(rtpengine(tmp_path / "rtpengine"))
            through = deployed(media, tmp_path / "exchange", trusted=(HOST,), media="rtpengine", rtpengine=engine.setting)
            yield await stack.enter_async_context(through)


async def test_the_call_goes_on_as_before_and_may_change_after_it(exchange: Deployment) -> None:
    alice, phone = await exchange.user("alice", USER_HZ), ChangingPhone(PHONE_HZ)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(phone.close)
        bob = await stack.enter_async_context(raw(int(exchange.at.rpartition(":")[2])))
        bob.send(bob.request("INVITE", "changes", body=await phone.offer(), user="alice"))
        talk = await alice.answers()
        answer = await bob.receives("SIP/2.0 200")
        tag = tag_of(answer)
        phone.point(answer)
        bob.send(bob.request("ACK", "changes", to_tag=tag, user="alice"))
        await talk.reaches(State.ESTABLISHED)

        async def both_hear() -> None:
            phone.forget()
            talk.mouth.heard.clear()
            await until_heard(phone, USER_HZ, within_db=LOUDER_DB)
            await talk.mouth.hears(PHONE_HZ)

        await both_hear()
        unknown = str(phone.said).replace("RTP/AVP 0 101", "RTP/AVP 77 101").replace("rtpmap:0 PCMU", "rtpmap:77 nothing")
        bob.send(bob.request("INVITE", "changes", cseq=2, to_tag=tag, body=unknown, user="alice", branch="wrong"))
        await bob.receives("SIP/2.0 488")
        bob.send(bob.request("ACK", "changes", cseq=2, to_tag=tag, user="alice", branch="wrong"))
        await both_hear()
        right = phone.change(formats={8: "PCMA", 96: EVENT})
        bob.send(bob.request("INVITE", "changes", cseq=3, to_tag=tag, body=right, user="alice"))
        phone.point(await bob.receives(lambda message: message.startswith("SIP/2.0 200") and "CSeq: 3 INVITE" in message))
        bob.send(bob.request("ACK", "changes", cseq=3, to_tag=tag, user="alice"))
        await both_hear()
        bob.send(bob.request("BYE", "changes", cseq=4, to_tag=tag, user="alice"))
        await talk.ended()
