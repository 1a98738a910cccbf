"""Whatever a description says, it is understood or refused in the agreed way, in linear time; our answer has its shape.

The descriptions are a browser's, phones' and our own, edited by lines, words and characters; and conversations of offers and answers.
"""

import contextlib
import copy
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, MediaError, RemoteProtocolError
from sinchphone.gateway.relay import description
from sinchphone.media.webrtc import sdp as webrtc
from sinchphone.media.webrtc.formats import agree
from sinchphone.protocol.sdp.offer_answer import Agreed, LocalCapabilities, Negotiation
from sinchphone.protocol.sdp.session_description import DIRECTIONS, MAX_SDP_BYTES, Crypto, read_blocks, read_session, write_blocks
from tests.fuzz.edits import Edit, edited, edits, growth

DIGEST: Final = ":".join(["AB"] * 32)
KEYS: Final = (
    Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(range(30))),
    Crypto(2, "AES_CM_128_HMAC_SHA1_32", bytes(range(1, 31))),
)
CODECS: Final = ("opus", "G722", "PCMU", "PCMA")
HEAD: Final = ("v=0", "o=- 7 3 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0")
ICE: Final = ("a=ice-ufrag:Zg+/", "a=ice-pwd:AAAAAAAAAAAAAAAAAAAAAAAA", f"a=fingerprint:sha-256 {DIGEST}", "a=setup:actpass")


def text(*lines: str) -> str:
    return "\r\n".join([*HEAD, *lines]) + "\r\n"


PHONES: Final = (
    text("m=audio 49170 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", "a=maxptime:60"),
    text(
        "m=audio 4000 RTP/AVP 96 9 100 101",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 useinbandfec=1;maxaveragebitrate=24000",
        "a=rtpmap:100 telephone-event/48000",
        "a=rtpmap:101 telephone-event/8000",
        "a=rtcp:53020 IN IP4 192.0.2.1",
        "a=rtcp-mux",
        "a=mid:0",
        "m=video 4002 RTP/AVP 34",
        "m=image 4004 udptl t38",
    ),
    text(
        "a=sendonly", "m=audio 5004 RTP/SAVP 8 0", *(f"a=crypto:{key}" for key in KEYS), "a=crypto:3 F8_128_HMAC_SHA1_80 inline:AA|2^20|1:4"
    ),
    text("m=audio 5004/2 RTP/AVP 0", "c=IN IP4 224.2.1.1/127/3", "a=inactive").replace("192.0.2.1", "0.0.0.0"),
    text("m=audio 0 RTP/AVP 0", "m=audio 6000 RTP/SAVPF 0", "c=IN IP6 2001:db8::1", f"a=crypto:{KEYS[1]}"),
)
BROWSERS: Final = (
    text(
        "a=group:BUNDLE audio 1",
        "a=extmap-allow-mixed",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2113937151 2f0a.local 50000 typ host generation 0",
        "a=candidate:2 1 udp 1677729535 203.0.113.5 50000 typ srflx raddr 0.0.0.0 rport 0",
        "a=end-of-candidates",
        *ICE,
        "a=mid:audio",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtcp-fb:111 nack",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1;maxaveragebitrate=24000",
        "a=rtpmap:63 red/48000/2",
        "a=fmtp:63 111/111",
        "a=rtpmap:110 telephone-event/48000",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "a=mid:1",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "a=mid:2",
    ),
    text("a=ice-lite", *ICE, "m=audio 40000 RTP/SAVPF 0 8", "a=recvonly"),
    text(
        "a=group:BUNDLE v a",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        *ICE,
        "a=mid:v",
        "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000",
        "a=fmtp:96 max-fr=30",
        "m=audio 0 UDP/TLS/RTP/SAVPF 111",
        "a=mid:a",
        "a=bundle-only",
        "a=rtpmap:111 opus/48000/2",
    ),
)
LOCAL: Final = webrtc.LocalDescription(42, "user", "p" * 24, (webrtc.Fingerprint("sha-256", DIGEST),), 7, "name")
BOB: Final = LocalCapabilities("192.0.2.2", 40000, CODECS)
OURS: Final = (Negotiation(1).offer(BOB), webrtc.write_offer(LOCAL, CODECS))
WORDS: Final = (
    *(
        "audio",
        "video",
        "RTP/AVP",
        "RTP/SAVP",
        "RTP/SAVPF",
        "UDP/TLS/RTP/SAVPF",
        "telephone-event/0",
        "telephone-event",
        "opus",
        "PCMU",
        "red",
    ),
    *(
        "a=inactive",
        "a=recvonly",
        "a=sendonly",
        "a=mid:0",
        "a=setup:active",
        "a=rtcp-mux",
        "m=audio 1 RTP/AVP 0",
        "m=",
        "m=audio",
        "c=IN IP4 ::",
    ),
    *(
        "a=rtpmap:0 telephone-event/0",
        "a=rtpmap:101 opus/48000/2",
        "a=ice-lite",
        "a=bundle-only",
        "a=group:BUNDLE v a",
        "TCP/DTLS/RTP/SAVPF",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        "nack",
        "0.0.0.0",
    ),
)
SEEDS: Final = (*PHONES, *BROWSERS, *OURS)
texts = st.one_of(
    st.builds(edited, st.sampled_from(SEEDS), edits(WORDS)),
    st.text(max_size=100),
    st.lists(st.text(max_size=12).map(lambda value: "a=" + value), max_size=8).map(lambda lines: PHONES[0] + "\r\n".join(lines)),
)
locals_ = st.builds(
    LocalCapabilities,
    address=st.sampled_from(["192.0.2.2", "2001:db8::2"]),
    port=st.just(40000),
    codecs=st.lists(st.sampled_from(CODECS), min_size=1, unique=True).map(tuple),
    direction=st.sampled_from(DIRECTIONS),
    preferred=st.sampled_from([None, *CODECS]),
    keys=st.sampled_from([(), KEYS, KEYS[:1]]),
    secure_only=st.booleans(),
    rtcp_mux=st.booleans(),
)


@given(texts)
def test_any_text_is_a_description_or_the_peers_fault(sdp: str) -> None:
    try:
        session = read_session(sdp)
    except RemoteProtocolError:
        return
    for section in session.sections:
        assert 0 <= section.port <= 65535
        assert 0 < section.rtcp_port <= 65535 or not section.port
        assert section.direction in DIRECTIONS
        assert all(one.payload_type < 128 and one.name and one.clock_rate > 0 for one in section.formats)
        assert all(len(one.key) == 30 for one in section.cryptos)


@given(texts)
def test_lines_are_the_same_when_they_are_written_and_read_again(sdp: str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        blocks = read_blocks(sdp)
        assert read_blocks(write_blocks(blocks)[:MAX_SDP_BYTES]) == blocks or len(write_blocks(blocks)) > MAX_SDP_BYTES


def check(agreed: Agreed, ours: str, local: LocalCapabilities) -> None:
    """What was agreed on can be done, and what we wrote says it."""
    section = next(one for one in read_session(ours).sections if one.port)
    assert section.port == local.port
    assert agreed.codec.name in CODECS
    assert agreed.event is None or agreed.event.clock_rate > 0
    numbers = [one.payload_type for one in agreed.receiving]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= {one.payload_type for one in section.formats}
    assert (agreed.our_key is None) == (agreed.peer_key is None) == (not section.is_secure)


@given(st.lists(st.tuples(st.sampled_from(["offer", "answer", "withdraw"]), texts, locals_), max_size=6))
def test_any_conversation_agrees_on_what_can_be_done_or_on_nothing(steps: list[tuple[str, str, LocalCapabilities]]) -> None:
    ours = Negotiation(1)
    version, said = 0, ""
    for what, sdp, local in steps:
        before = copy.copy(ours)
        try:
            match what:
                case "offer":
                    said = ours.offer(local)
                case "withdraw":
                    ours.withdraw()
                case _ if ours.is_offered:
                    check(ours.accept(sdp), said, local)
                case _:
                    said, agreed = ours.answer(sdp, local)
                    check(agreed, said, local)
                    offered = read_session(sdp).sections
                    assert [one.kind for one in read_session(said).sections] == [one.kind for one in offered]
                    assert sum(one.port > 0 for one in read_session(said).sections) == 1
        except (RemoteProtocolError, LocalProtocolError) as error:
            assert isinstance(error, RemoteProtocolError) or what == "offer"
            ours = before
        if said:
            assert version <= read_session(said).version <= version + len(steps)
            version = read_session(said).version


@given(edits(WORDS), locals_, edits(WORDS))
def test_an_offer_of_ours_and_the_answer_to_it_that_was_changed_on_the_way(
    first: list[Edit], local: LocalCapabilities, second: list[Edit]
) -> None:
    ours, theirs = Negotiation(1), Negotiation(2)
    offer = ours.offer(local)
    with contextlib.suppress(RemoteProtocolError):
        answer, agreed = theirs.answer(edited(offer, first), local)
        check(agreed, answer, local)
        check(ours.accept(edited(answer, second)), offer, local)


@given(texts, st.lists(st.sampled_from(CODECS), min_size=1, unique=True), st.sampled_from([None, *CODECS]))
def test_any_text_is_sound_of_a_browser_or_refused(sdp: str, codecs: list[str], prefer: str | None) -> None:
    try:
        remote = webrtc.read_description(sdp, codecs, prefer)
    except (MediaError, RemoteProtocolError):
        return
    agreement = agree(remote.sound, remote.formats, codecs)
    numbers = [agreement.payload_type, *agreement.receives, *agreement.events, *agreement.repair.reds]
    assert all(number < 128 for number in numbers)
    assert all(rate > 0 for rate in agreement.events.values())
    assert len(remote.candidates) <= webrtc.MAX_CANDIDATES
    for said in (webrtc.write_answer(LOCAL, remote), webrtc.write_again(LOCAL, remote, remote.mid, ["candidate:1"])):
        assert len(said) <= MAX_SDP_BYTES
        assert [section.kind for section in read_session(said).sections] == [section.kind for section in remote.sections]
        again = webrtc.read_description(said, codecs)
        assert (again.index, again.carrier, again.mid, again.rtcp_mux) == (remote.index, remote.carrier, remote.mid, remote.rtcp_mux)
        assert all(len(line) > 2 and line[1] == "=" for line in said.split("\r\n")[:-1])


@given(texts, texts, st.sampled_from(DIRECTIONS))
def test_a_relay_changes_any_text_or_refuses_it(sdp: str, other: str, way: str) -> None:
    with contextlib.suppress(MediaError):
        for said in (description.with_direction(sdp, way), description.with_candidates(sdp, ["candidate:1"]), description.anonymous(sdp)):
            if len(said) <= MAX_SDP_BYTES:
                description.codecs(said)
        assert description.direction(sdp) in DIRECTIONS
        description.takes_events(sdp)
        description.ice_lines(sdp)
        description.agreed(sdp, other)


LONG: Final = (
    "a=rtpmap:0 PCMU/8000",
    "a=crypto:1" + " " * 60,
    "a=candidate:1 1 udp 1 192.0.2.1 1 typ host",
    "m=audio 1 RTP/AVP 0",
    "a=" + "x" * 60,
    "a=group:BUNDLE 0 1 2",
)


@given(st.sampled_from(LONG), st.sampled_from(BROWSERS + PHONES))
def test_the_time_to_read_grows_with_the_length(line: str, seed: str) -> None:
    def read(size: int) -> None:
        sdp = seed + (line + "\r\n") * (size // (len(line) + 2))
        with contextlib.suppress(RemoteProtocolError, MediaError):
            webrtc.read_description(sdp, CODECS)
        with contextlib.suppress(RemoteProtocolError):
            Negotiation(1).answer(sdp, BOB)

    assert growth(read, 15_000) < 12
