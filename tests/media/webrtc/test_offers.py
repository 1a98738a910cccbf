"""Offers of browsers that must be taken whatever their profile or bundle (RFC 8829 5.1.2, RFC 8843), and how they are answered."""

import asyncio
import re

import pytest

from sinchphone.errors import MediaError
from sinchphone.media.port import Connected
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.media.webrtc.sdp import read_description, write_again, write_answer
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sdp.session_description import MAX_SDP_BYTES, read_session
from sinchphone.tasks import start_task
from tests.media.test_webrtc_sdp import BROWSER, DIGEST, GATEWAY, LOCAL
from tests.media.webrtc.webrtc_parties import HERE, PATIENCE_S, a_party, talk
from tests.waiting import until_steady

PROFILE = "UDP/TLS/RTP/SAVPF"
ICE = f"a=ice-ufrag:Zg+/\na=ice-pwd:AAAAAAAAAAAAAAAAAAAAAAAA\na=fingerprint:sha-256 {DIGEST}\na=setup:actpass\na=rtcp-mux\n"
MAX_BUNDLE = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE v a
m=video 9 {PROFILE} 96 97
c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 192.0.2.1 50000 typ host
{ICE}a=mid:v
a=sendrecv
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
a=rtpmap:97 rtx/90000
m=audio 0 {PROFILE} 111
c=IN IP4 0.0.0.0
a=bundle-only
a=mid:a
a=sendrecv
a=rtpmap:111 opus/48000/2
"""
PLAIN = "m=audio 5004 RTP/AVP 0\na=mid:plain\n"


@pytest.mark.parametrize(
    "profile",
    [
        "RTP/AVP",
        "RTP/AVPF",
        "RTP/SAVP",
        "RTP/SAVPF",
        "TCP/DTLS/RTP/SAVP",
        "TCP/DTLS/RTP/SAVPF",
        "UDP/TLS/RTP/SAVP",
        "UDP/TLS/RTP/SAVPF",
    ],
)
def test_every_profile_of_rtp_is_taken_with_a_fingerprint_and_answered_alike(profile: str) -> None:
    offer = read_description(BROWSER.replace(PROFILE, profile).replace("a=mid:audio", "a=mid:audio\na=rtcp-fb:111 nack"))
    assert offer.sound.payload_type == 111
    answer = write_answer(LOCAL, offer)
    assert f"m=audio 9 {profile} 111 63\r\n" in answer
    assert ("rtcp-fb" in answer) == profile.endswith("F")


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/AVPF", PROFILE, "TCP/DTLS/RTP/SAVPF"])
def test_no_profile_is_taken_without_a_fingerprint(profile: str) -> None:
    """Sound that isn't encrypted isn't WebRTC's."""
    with pytest.raises(MediaError, match="fingerprint"):
        read_description(re.sub("a=fingerprint.*\n", "", BROWSER.replace(PROFILE, profile)))


@pytest.mark.parametrize("profile", ["UDP/DTLS/SCTP", "RTP/AVPX", "RTP", "udptl"])
def test_other_profiles_are_refused(profile: str) -> None:
    with pytest.raises(MediaError):
        read_description(BROWSER.replace(PROFILE, profile))


def test_a_section_with_a_certificate_goes_before_a_plain_one() -> None:
    """A phone that offers both in one description."""
    offer = read_description(BROWSER.replace("m=audio", PLAIN + "m=audio"))
    assert (offer.index, offer.mid) == (1, "audio")
    assert [line for line in write_answer(LOCAL, offer).splitlines() if line.startswith("m=audio")] == [
        "m=audio 0 RTP/AVP 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63",
    ]


def test_sound_that_only_comes_in_a_bundle_is_taken_with_the_section_that_carries_it() -> None:
    """RFC 8843 7.3: who rejects the section with the transport rejects the bundle; the video is taken, and inactive."""
    offer = read_description(MAX_BUNDLE)
    assert (offer.index, offer.carrier, offer.mid, offer.line) == (1, 0, "a", ("v", 0))
    assert (offer.ufrag, offer.rtcp_mux, len(offer.candidates)) == ("Zg+/", True, 1)
    answer = write_answer(LOCAL, offer, candidates=["candidate:7 1 udp 1 192.0.2.9 6000 typ host"])
    video, audio = read_session(answer).sections
    assert "a=group:BUNDLE v a\r\n" in answer
    assert (video.port, video.said_direction, video.payloads) == (9, "inactive", ("96",))
    assert [one.name for one in video.formats] == ["H264"]
    assert (video.first("ice-ufrag"), video.first("fingerprint"), len(video.all("candidate"))) == ("user", f"sha-256 {DIGEST}", 1)
    assert (audio.port, audio.said_direction, audio.first("ice-ufrag"), audio.first("fingerprint")) == (9, "sendrecv", None, None)
    again = read_session(write_again(LOCAL, offer, offer.mid, ["candidate:7 1 udp 1 192.0.2.9 6000 typ host"]))
    assert [len(section.all("candidate")) for section in again.sections] == [1, 0]


@pytest.mark.parametrize(("own", "carrier"), [("", 0), (ICE, 0), (ICE.replace("Zg+/", "1234"), 1)])
def test_sound_in_a_bundle_has_a_transport_of_its_own_where_it_says_another_one(own: str, carrier: int) -> None:
    """RFC 8843 7.1.3: a section that is bundled says nothing about the transport. libwebrtc repeats that of the first one there."""
    offer = read_description(MAX_BUNDLE.replace("a=bundle-only\n", own).replace("m=audio 0", "m=audio 9"))
    assert (offer.index, offer.carrier) == (1, carrier)
    assert [section.port > 0 for section in read_session(write_answer(LOCAL, offer)).sections] == [carrier == 0, True]


@pytest.mark.parametrize(
    ("cut", "put"),
    [
        ("a=bundle-only\n", ""),  # refused, then
        ("BUNDLE v a", "BUNDLE v"),
        ("BUNDLE v a", "LS v a"),
        ("m=video 9", "m=video 0"),
        (f"m=video 9 {PROFILE} 96 97", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"),  # it can't be taken for its transport alone
        ("a=mid:a\n", ""),
        (ICE, ""),
    ],
)
def test_sound_that_nothing_carries_is_refused(cut: str, put: str) -> None:
    with pytest.raises(MediaError):
        read_description(MAX_BUNDLE.replace(cut, put))


def test_what_names_the_format_of_a_carrying_section_adds_no_lines() -> None:
    """Attack: text of the peer's that becomes lines of our description."""
    answer = write_answer(LOCAL, read_description(MAX_BUNDLE.replace("packetization-mode=1", "x\ra=sendrecv")))
    assert not {line for line in answer.splitlines() if line[1:2] != "="}
    assert "a=sendrecv" not in answer.split("m=audio")[0]


@pytest.mark.parametrize("said", [True, False])
def test_an_answer_says_rtcp_mux_and_mid_where_the_offer_does(said: bool) -> None:
    text = BROWSER if said else re.sub("a=(rtcp-mux|mid:.*|group:.*)\n", "", BROWSER)
    answer = write_answer(LOCAL, read_description(text))
    assert ("a=rtcp-mux\r\n" in answer, "a=mid:" in answer, "BUNDLE" in answer) == (said, said, said)


def test_without_rtcp_mux_no_feedback_is_agreed_on() -> None:
    """There's no second port for it (RFC 5761 5.1.1)."""
    text = BROWSER.replace("a=mid:audio", "a=mid:audio\na=rtcp-fb:111 nack")
    assert "rtcp-fb" in write_answer(LOCAL, read_description(text))
    assert "rtcp-fb" not in write_answer(LOCAL, read_description(text.replace("a=rtcp-mux\n", "")))


@pytest.mark.parametrize("seed", [BROWSER, GATEWAY, MAX_BUNDLE])
@pytest.mark.parametrize(
    "line",
    [
        "m=video 9 RTP/SAVPF " + " ".join(["x" * 64] * 64),
        "m=video 9 RTP/SAVPF 96\na=mid:" + "m" * 64,
        "a=candidate:" + "c" * 500,
        "a=fmtp:96 " + "f" * 500,
        "a=fmtp:111 " + "f" * 500,
        "a=rtpmap:111 opus/48000/2",
    ],
)
def test_our_answer_is_never_longer_than_what_we_read(seed: str, line: str) -> None:
    """An offer that just fits: what is repeated of it in the answer is bounded."""
    sections = line.count("m=video")
    count = 16 - seed.count("m=") if sections else (MAX_SDP_BYTES - len(seed)) // (len(line) + 1)
    count = min(count, (MAX_SDP_BYTES - len(seed)) // (len(line) + 1))
    answer = write_answer(LOCAL, read_description(seed + f"{line}\n" * count))
    assert len(answer) <= MAX_SDP_BYTES
    assert len(read_session(answer).sections) == seed.count("m=") + count * sections


async def test_a_call_is_heard_over_the_transport_of_a_section_of_video() -> None:
    async with a_party(WebRtcPort(HERE), 440) as caller, a_party(WebRtcPort(HERE), 620) as callee:
        await caller.trickle_to(callee.port.add_candidate)
        await callee.trickle_to(caller.port.add_candidate)
        head, audio = (await caller.port.offer()).sdp.split("m=audio 9")
        transport = re.findall("a=(?:ice|fingerprint|setup).*\r\n", audio)
        video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n" + "".join(transport)
        bundled = "m=audio 0" + re.sub("a=(ice|fingerprint|setup|rtcp-mux).*\r\n", "", audio) + "a=bundle-only\r\n"
        answer = await callee.port.answer(Description("offer", head.replace("BUNDLE 0", "BUNDLE v 0") + video + bundled))
        await caller.port.accept(answer)
        await caller.wait_for(Connected)
        await callee.wait_for(Connected)
        talking = start_task(talk(caller, callee), name="talk")
        try:
            async with asyncio.timeout(PATIENCE_S):
                await until_steady(caller.heard, 620)
                await until_steady(callee.heard, 440)
        finally:
            talking.cancel()
