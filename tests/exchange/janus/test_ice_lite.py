"""A peer that answers checks and sends none (RFC 8445 2.5): Janus as ICE-lite, which sends our sound back."""

import asyncio
import time

import numpy as np
import pytest

from sinchphone.exchange.conference.janus import link as janus_link
from sinchphone.exchange.conference.janus.link import JanusHandle, JanusLink
from sinchphone.media.port import Connected, Moved
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task
from tests.exchange.janus.conftest import JanusServer
from tests.media.webrtc.narrow_transport import narrow_down
from tests.media.webrtc.webrtc_parties import HERE, PATIENCE_S, Party, a_party, hear, share_of, talk


@pytest.fixture
def lite(janus: JanusServer, monkeypatch: pytest.MonkeyPatch) -> JanusServer:
    """As it is started anew."""
    janus.kill()
    settings = janus.folder / "janus.jcfg"
    told = settings.read_text().replace("nat: { }", "nat: { ice_lite = true }").replace("libjanus_echotest.so", "none.so")
    settings.write_text(told)
    janus.start()
    monkeypatch.setattr(janus_link, "PLUGIN", "janus.plugin.echotest")
    return janus


def without_feedback(sdp: str) -> str:
    """Reports alone must do."""
    return "".join(line for line in sdp.splitlines(True) if "transport-wide" not in line and "transport-cc" not in line)


async def answered(handle: JanusHandle, offer: Description) -> Description:
    _, answer = await handle.request("echo", offer=without_feedback(offer.sdp), audio=True)
    assert "a=ice-lite" in answer
    return Description("answer", answer)


async def hear_oneself(party: Party) -> None:
    async with asyncio.timeout(PATIENCE_S):  # a machine that is busy has no sound at first
        while share_of(await hear(party, 1.0), 440) < 0.95:
            pass
    path = party.port._stream.path
    assert path.measures_round_trips
    assert path._trips.is_fresh(time.monotonic()), "it answers checks"


async def call_it(party: Party, link: JanusLink) -> JanusHandle:
    """A call that it answers."""
    handle = await link.attach(lambda said: None)

    async def trickle(found: Candidate | None) -> None:
        candidate = {"completed": True} if found is None else {"candidate": found.candidate, "sdpMLineIndex": found.sdp_mline_index}
        await handle.trickle(candidate)

    await party.port.accept(await answered(handle, await party.port.offer()))
    await party.trickle_to(trickle)
    await party.wait_for(Connected)
    return handle


async def test_a_lite_peer_is_asked_for_consent_and_its_round_trips_are_known_after_a_restart_too(lite: JanusServer) -> None:
    link = JanusLink(lite.url)
    async with a_party(WebRtcPort(HERE), 440) as party:
        try:
            handle = await call_it(party, link)
            talking = start_task(talk(party), name="talk")
            await hear_oneself(party)
            before = party.port._path.ice.addresses
            await party.port.accept(await answered(handle, await party.port.restart()))
            await party.wait_for(Moved)
            await hear_oneself(party)
            assert party.port._path.ice.addresses != before
            assert party.port._path.ice.ice_controlling
            talking.cancel()
        finally:
            await link.close()


async def test_a_queue_of_ours_is_seen_though_the_packets_that_are_sent_back_have_waited_in_it_too(lite: JanusServer) -> None:
    link = JanusLink(lite.url)
    async with a_party(WebRtcPort(HERE), 440) as party:
        try:
            await call_it(party, link)
            talking = start_task(talk(party), name="talk")
            await hear_oneself(party)
            narrow = narrow_down(party.port)
            waits = []
            for _ in range(40):
                await hear(party, 0.1)
                waits.append(narrow.waiting_s)
            assert max(waits) > 0.2
            assert np.median(waits[-10:]) < 0.1
            talking.cancel()
        finally:
            await link.close()
