"""libwebrtc as the other side, which nobody of us wrote: calls both ways, and ICE restarts by either side without a gap."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from sinchphone.media.port import Connected, Moved, PortLost
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task
from tests.media.webrtc.libwebrtc import LibWebRtc, a_libwebrtc, modules
from tests.media.webrtc.webrtc_parties import HERE, Party, a_party, hear, longest_gap_ms, share_of, talk
from tests.suite.guests import NotThereError


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    try:
        modules()
    except NotThereError as error:
        if os.environ.get("SINCHPHONE_REQUIRE_INTEROP"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@asynccontextmanager
async def a_call_with_libwebrtc(
    *, we_call: bool, bundled: bool = False, change: Callable[[str], str] = str
) -> AsyncIterator[tuple[Party, LibWebRtc]]:
    """Connected and talking: we say 440 Hz, libwebrtc 620. ``bundled``: its sound comes over the transport of a section of video;
    ``change`` its first offer."""
    async with a_libwebrtc() as peer, a_party(WebRtcPort(HERE), 440) as party:

        async def theirs(text: str) -> None:
            await party.port.add_candidate(Candidate(text, "0", 0))

        async def ours(candidate: Candidate | None) -> None:
            if candidate is not None:
                peer.do("candidate", candidate=candidate.candidate)

        peer.on_candidate = theirs
        if we_call:
            await they_answer(party, peer, await party.port.offer())
        else:
            peer.do("offer", bundled=bundled)
            await we_answer(party, peer, change)
        await party.trickle_to(ours)
        await party.wait_for(Connected)
        await peer.told("state", state="connected")
        talking = start_task(talk(party), name="talk")
        try:
            await hear(party, 1.0)
            yield party, peer
        finally:
            talking.cancel()
            await asyncio.wait([talking])


async def they_answer(party: Party, peer: LibWebRtc, offer: Description) -> None:
    peer.do("remote", type="offer", sdp=offer.sdp)
    answer = await peer.told("description", type="answer")
    await party.port.accept(Description("answer", answer["sdp"]))


async def we_answer(party: Party, peer: LibWebRtc, change: Callable[[str], str] = str) -> None:
    offer = await peer.told("description", type="offer")
    answer = await party.port.answer(Description("offer", change(offer["sdp"])))
    peer.do("remote", type="answer", sdp=answer.sdp)
    await peer.told("taken")


@pytest.mark.parametrize("we_call", [True, False])
@pytest.mark.parametrize("we_restart", [True, False])
async def test_a_restart_by_either_side_moves_the_call_without_a_gap(we_call: bool, we_restart: bool) -> None:
    async with a_call_with_libwebrtc(we_call=we_call) as (party, peer):
        for count in (1, 2):
            before = party.port._path.ice
            peer.do("listen", hz=440, seconds=3.0)
            hearing = start_task(hear(party, 3.0), name="hear")
            if we_restart:
                await they_answer(party, peer, await party.port.restart())
            else:
                peer.do("offer", restart=True)
                await we_answer(party, peer)
            await party.wait_for(Moved, count)
            assert party.port._path.ice is not before
            heard, sound = await peer.told("heard"), await hearing
            assert share_of(sound, 620) > 0.95
            assert longest_gap_ms(sound, 620) <= 200
            assert heard["share"] > 0.9
            assert heard["gap_ms"] <= 200
        assert not party.has(PortLost)


async def test_the_call_lives_on_when_the_path_before_a_restart_is_gone_for_good() -> None:
    async with a_call_with_libwebrtc(we_call=True) as (party, peer):
        await they_answer(party, peer, await party.port.restart())
        await party.wait_for(Moved)
        await hear(party, 4.0)  # the old sockets have been closed meanwhile
        peer.do("listen", hz=440, seconds=1.0)
        assert share_of(await hear(party, 1.0), 620) > 0.95
        assert (await peer.told("heard"))["share"] > 0.9


def with_the_transport_once(sdp: str) -> str:
    """As RFC 8843 7.2 has it, and newer browsers write it: the sound's section says nothing about its transport."""
    head, audio = sdp.split("m=audio 9")
    bundled = re.sub("a=(ice|fingerprint|setup|rtcp|candidate).*\r\n", "", audio)
    return f"{head}m=audio 0{bundled}a=bundle-only\r\n"


@pytest.mark.parametrize("change", [str, with_the_transport_once])
async def test_sound_in_a_bundle_behind_a_section_of_video_is_heard_and_survives_restarts(change: Callable[[str], str]) -> None:
    async with a_call_with_libwebrtc(we_call=False, bundled=True, change=change) as (party, peer):
        for count in range(3):
            if count == 1:
                peer.do("offer", restart=True)
                await we_answer(party, peer)
            if count == 2:
                await they_answer(party, peer, await party.port.restart())
            if count:
                await party.wait_for(Moved, count)
            peer.do("listen", hz=440, seconds=1.0)
            assert share_of(await hear(party, 1.0), 620) > 0.9
            assert (await peer.told("heard"))["share"] > 0.9
