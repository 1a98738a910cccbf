"""Session descriptions: what is read from those of browsers, SDKs and gateways, and what ours say."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import MediaError
from sinchphone.media.agreement import Agreement, OpusWishes
from sinchphone.media.webrtc.formats import agree
from sinchphone.media.webrtc.sdp import (
    Fingerprint,
    LocalDescription,
    RemoteAudio,
    answering_setup,
    read_description,
    write_answer,
    write_offer,
)

DIGEST = ":".join(["AB"] * 32)
LOCAL = LocalDescription(42, "user", "p" * 24, (Fingerprint("sha-256", DIGEST),), 7, "name")
BROWSER = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE audio video
a=extmap-allow-mixed
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 2f0a.local 50000 typ host generation 0
a=candidate:2 1 udp 1677729535 203.0.113.5 50000 typ srflx raddr 0.0.0.0 rport 0
a=end-of-candidates
a=ice-ufrag:Zg+/
a=ice-pwd:AAAAAAAAAAAAAAAAAAAAAAAA
a=ice-options:trickle
a=fingerprint:sha-256 {DIGEST.lower()}
a=setup:actpass
a=mid:audio
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1;maxaveragebitrate=24000
a=rtpmap:63 red/48000/2
a=rtpmap:0 PCMU/8000
a=ssrc:1 cname:x
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=ice-ufrag:Zg+/
a=ice-pwd:AAAAAAAAAAAAAAAAAAAAAAAA
a=fingerprint:sha-256 {DIGEST}
a=setup:actpass
a=mid:video
a=rtpmap:96 VP8/90000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=mid:data
"""
GATEWAY = f"""v=0
o=FreeSWITCH 1 2 IN IP4 203.0.113.7
s=x
c=IN IP4 203.0.113.7
t=0 0
a=ice-lite
a=fingerprint:SHA-256 {DIGEST}
a=ice-ufrag:abcd
a=ice-pwd:BBBBBBBBBBBBBBBBBBBBBB
m=audio 17016 RTP/SAVPF 102 101
a=rtpmap:102 OPUS/48000/2
a=rtpmap:101 telephone-event/48000
a=setup:active
a=rtcp-mux
a=candidate:7 1 udp 659136 203.0.113.7 17016 typ host
"""
VECTORS = Path(__file__).parent.parent / "vectors"
HUGE = "1" * 5000  # int() refuses numbers of more than 4300 digits with a ValueError


def descriptions_in(value: object) -> Iterator[str]:
    """Every session description in a recorded line, however deep the JSON in JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from descriptions_in(each)
    elif isinstance(value, str) and value.startswith("v=0"):
        yield value
    elif isinstance(value, str) and value.startswith(("{", "[", '"')):
        try:
            inner = json.loads(value)
        except ValueError:
            return
        yield from descriptions_in(inner)


def recorded() -> list[str]:
    """The offers and answers of the SDKs, as they were recorded."""
    lines = (json.loads(line) for path in sorted(VECTORS.glob("*.jsonl")) for line in path.read_text().splitlines())
    return sorted({found for line in lines for found in descriptions_in(line)})


REAL = [BROWSER, GATEWAY, *recorded()]


def wishes(audio: RemoteAudio) -> OpusWishes:
    return OpusWishes.read(audio.sound.parameters)


def repairs(audio: RemoteAudio) -> tuple[int | None, bool]:
    """The payload type of copies, and whether packets may be asked for."""
    repair = agree(audio.sound, audio.formats).repair
    return repair.red, repair.nack


def test_a_browsers_offer_is_read() -> None:
    audio = read_description(BROWSER)
    assert (audio.index, audio.mid, audio.ufrag, audio.sound.payload_type, audio.setup) == (0, "audio", "Zg+/", 111, "actpass")
    assert audio.fingerprints == (Fingerprint("sha-256", DIGEST),)
    assert wishes(audio) == OpusWishes(fec=True, max_bitrate=24_000)
    assert (audio.complete, audio.lite) == (True, False)
    assert [each.split()[1] for each in audio.candidates] == ["1", "1"]


@pytest.mark.parametrize(("parameters", "wanted"), [("usedtx=1", True), ("minptime=10; UseDtx=1", True), ("usedtx=0", False), ("", False)])
def test_a_peer_that_wants_no_silence_says_so(parameters: str, wanted: bool) -> None:
    assert OpusWishes.read(parameters).dtx is wanted


URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


def browser(*lines: str) -> Agreement:
    """What is agreed on where the browser's sound has these lines more."""
    more = "\n".join(lines)
    audio = read_description(BROWSER.replace("a=mid:audio", f"a=mid:audio\n{more.strip()}", 1))
    return agree(audio.sound, audio.formats)


@pytest.mark.parametrize(("extmap", "found"), [("5", 5), ("14/sendrecv", 14), ("15", None), ("5/sendonly", None), ("x", None), ("0", None)])
def test_the_arrival_of_packets_is_told_under_the_peers_number_for_the_extension(extmap: str, found: int | None) -> None:
    assert browser("a=rtcp-fb:111 transport-cc", f"a=extmap:{extmap} {URI}").numbering == found


def test_it_needs_the_extension_the_feedback_and_a_profile_with_feedback() -> None:
    feedback, extension = "a=rtcp-fb:* transport-cc", f"a=extmap:3 {URI} more"
    assert browser(feedback, extension).numbering == 3
    for lines in ((feedback,), (extension,), ("a=rtcp-fb:9 transport-cc", extension)):
        assert browser(*lines).numbering is None
    audio = read_description(write_offer(LOCAL).replace("SAVPF", "SAVP"))
    assert agree(audio.sound, audio.formats).numbering is None


def test_an_answer_has_the_extension_if_the_offer_has_it() -> None:
    offer = read_description(write_offer(LOCAL))
    answer = write_answer(LOCAL, offer)
    for sdp in (write_offer(LOCAL), answer):
        assert f"a=extmap:3 {URI}\r\n" in sdp
        assert "a=rtcp-fb:111 transport-cc\r\n" in sdp
    assert URI not in write_answer(LOCAL, read_description(GATEWAY))


def test_a_gateways_answer_is_read_without_mid_and_with_attributes_at_session_level() -> None:
    audio = read_description(GATEWAY)
    assert (audio.mid, audio.ufrag, audio.sound.payload_type, audio.setup, audio.lite) == (None, "abcd", 102, "active", True)
    assert wishes(audio) == OpusWishes(fec=False, max_bitrate=None)
    assert not audio.complete
    assert audio.receives


def test_video_and_data_are_refused_in_their_places() -> None:
    answer = write_answer(LOCAL, read_description(BROWSER))
    assert [line for line in answer.splitlines() if line.startswith("m=")] == [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63",
        "m=video 0 UDP/TLS/RTP/SAVPF 96 97",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ]
    assert "a=group:BUNDLE audio\r\n" in answer
    assert "a=mid:video" in answer


def test_the_answer_takes_the_offered_profile_payload_type_and_no_mid_where_none_was_offered() -> None:
    answer = write_answer(LOCAL, read_description(GATEWAY))
    assert "m=audio 9 RTP/SAVPF 102 101\r\n" in answer
    assert "a=rtpmap:102 opus/48000/2" in answer
    assert "a=setup:passive" in answer
    assert "a=mid" not in answer
    assert "BUNDLE" not in answer


@pytest.mark.parametrize(("offered", "answered"), [("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")])
def test_the_direction_is_mirrored(offered: str, answered: str) -> None:
    offer = read_description(BROWSER.replace("a=sendrecv", f"a={offered}"))
    assert f"a={answered}\r\n" in write_answer(LOCAL, offer)
    assert offer.receives == (offered == "recvonly")


def test_what_we_write_is_what_we_read_and_what_the_library_reads() -> None:
    for text in (write_offer(LOCAL), write_answer(LOCAL, read_description(BROWSER))):
        audio = read_description(text)
        assert (audio.ufrag, audio.password, audio.fingerprints) == (LOCAL.ufrag, LOCAL.password, LOCAL.fingerprints)
        assert wishes(audio).fec
        theirs = SessionDescription.parse(text).media[0]
        assert theirs.ice is not None
        assert theirs.ice.usernameFragment == LOCAL.ufrag
        assert theirs.rtp.codecs[0].mimeType == "audio/opus"
        assert theirs.rtcp_mux
        assert theirs.ice_candidates == []


@pytest.mark.parametrize(
    ("cut", "put"),
    [
        ("m=audio 9", "m=audio 0"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 UDP/TLS/UDPTL"),
        ("m=audio 9", "m=audio x"),
        ("opus/48000", "speex/16000"),
        ("ice-pwd:AAAAAAAAAAAAAAAAAAAAAAAA", "ice-pwd:short"),
        ("a=ice-ufrag:Zg+/", "a=ice-ufrag:a b c d"),
        ("fingerprint:sha-256", "fingerprint:sha-1"),
    ],
)
def test_what_cannot_be_used_is_refused(cut: str, put: str) -> None:
    with pytest.raises(MediaError):
        read_description(BROWSER.replace(cut, put))


def test_a_description_of_any_size_or_shape_does_not_get_through() -> None:
    """Attack: a huge description, or thousands of sections."""
    with pytest.raises(MediaError):
        read_description(BROWSER + "a=x\r\n" * 20_000)
    with pytest.raises(MediaError):
        read_description(BROWSER + "m=audio 9 RTP/SAVPF 0\r\n" * 100)


def test_candidates_are_limited_in_number() -> None:
    many = "".join(f"a=candidate:1 1 udp 1 127.0.0.1 {port} typ host\n" for port in range(1, 900))
    assert len(read_description(BROWSER.replace("a=end-of-candidates\n", many)).candidates) == 64


def test_a_line_break_in_a_mid_does_not_add_lines_to_our_answer() -> None:
    """Attack: text of the peer's that becomes lines of our description."""
    for broken in ("a\x0bb", "a\x1cb", "a b", "x" * 500):
        answer = write_answer(LOCAL, read_description(BROWSER.replace("a=mid:video", f"a=mid:{broken}")))
        assert not {line for line in answer.splitlines() if line[1:2] != "="}


@given(st.lists(st.one_of(st.sampled_from(BROWSER.splitlines() + GATEWAY.splitlines()), st.text(max_size=40))))
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    try:
        audio = read_description("\r\n".join(lines))
    except MediaError:
        return
    assert "m=audio" in write_answer(LOCAL, audio)


@pytest.mark.parametrize(
    ("cut", "put"),
    [
        ("m=audio 9", f"m=audio {HUGE}"),
        ("m=audio 9", f"m=audio {HUGE}/2"),
        ("m=video 9", f"m=video {HUGE}"),
        ("m=audio 9", "m=audio \u0669"),
        ("SAVPF 111 63", f"SAVPF {HUGE} 63 a=rtpmap:{HUGE} opus/48000/2"),
    ],
)
def test_a_number_that_no_machine_reads_is_refused(cut: str, put: str) -> None:
    """Attack: a number of thousands of digits, which int() doesn't take, or in digits that aren't ASCII."""
    with pytest.raises(MediaError):
        read_description(
            BROWSER.replace(cut, put).replace("a=rtpmap:111 opus", f"a=rtpmap:{HUGE} opus" if "rtpmap" in put else "a=rtpmap:111 opus")
        )


@pytest.mark.parametrize(
    ("rate", "read"),
    [
        (HUGE, None),
        ("000024000" + "0" * 5000, None),
        ("24000" + "0" * 5000, None),
        ("5999", None),
        ("510001", None),
        ("6000", 6000),
        ("510000", 510_000),
    ],
)
def test_a_bitrate_out_of_range_is_no_bitrate(rate: str, read: int | None) -> None:
    """Attack: a maxaveragebitrate of thousands of digits."""
    assert wishes(read_description(BROWSER.replace("maxaveragebitrate=24000", f"maxaveragebitrate={rate}"))).max_bitrate == read


def test_the_recorded_descriptions_are_read() -> None:
    assert len(recorded()) >= 5
    for text in recorded():
        assert read_description(text).sound.payload_type == 111


MUTATIONS = st.tuples(
    st.integers(0, 2000),
    st.integers(0, 30),
    st.one_of(
        st.text(max_size=20), st.sampled_from([HUGE, "-1", "\u0669", "\u00b2", "\r\n", "\x0b", "m=audio ", "a=rtpmap:", " ", ":", "\ud800"])
    ),
)


@given(st.sampled_from(REAL), st.lists(MUTATIONS, min_size=1, max_size=6))
def test_nothing_but_a_media_error_comes_out_of_a_mutated_description(text: str, mutations: list[tuple[int, int, str]]) -> None:
    """Attack: a real description of which parts are cut out or replaced."""
    for at, cut, put in mutations:
        place = at % (len(text) + 1)
        text = text[:place] + put + text[place + cut :]
    try:
        audio = read_description(text)
    except MediaError:
        return
    assert "m=audio" in write_answer(LOCAL, audio)


def test_without_a_setup_an_offer_is_active_and_we_are_passive() -> None:
    """RFC 4145 4: the default is active in an offer and passive in an answer, so that what it means is decided by who reads it."""
    offer = read_description(BROWSER.replace("a=setup:actpass\n", ""))
    assert (offer.setup, answering_setup(offer)) == ("", "passive")
    assert "a=setup:passive\r\n" in write_answer(LOCAL, offer)


@pytest.mark.parametrize(("offered", "answered"), [("actpass", "active"), ("passive", "active"), ("active", "passive")])
def test_the_answered_setup_fits_the_offered_one(offered: str, answered: str) -> None:
    assert answering_setup(read_description(BROWSER.replace("a=setup:actpass", f"a=setup:{offered}"))) == answered


@pytest.mark.parametrize(
    ("group", "answered"),
    [
        ("", False),
        ("a=group:BUNDLE video\n", False),
        ("a=group:LS audio video\n", False),
        ("a=group:LS audio\na=group:BUNDLE x audio\n", True),
    ],
)
def test_a_bundle_group_is_answered_only_where_our_section_was_offered_in_one(group: str, answered: bool) -> None:
    """RFC 8843 7.3: libwebrtc refuses an answer with a group that its offer didn't have."""
    answer = write_answer(LOCAL, read_description(BROWSER.replace("a=group:BUNDLE audio video\n", group)))
    assert ("a=group:BUNDLE audio\r\n" in answer) == answered
    assert "BUNDLE" not in answer or answered


def test_our_offer_has_copies_and_asks_for_what_is_lost() -> None:
    audio = read_description(write_offer(LOCAL))
    assert (audio.sound.payload_type, *repairs(audio)) == (111, 63, True)
    assert "a=fmtp:63 111/111\r\n" in write_offer(LOCAL)


@pytest.mark.parametrize(
    ("lines", "red", "nack"),
    [
        ([], None, False),
        (["a=rtpmap:63 red/48000/2"], 63, False),
        (["a=rtpmap:63 RED/48000/2", "a=fmtp:63 111/111", "a=rtcp-fb:111 transport-cc"], 63, False),
        (["a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111/111", "a=rtcp-fb:111 nack"], 63, True),
        (["a=rtpmap:63 red/48000/2", "a=fmtp:63 0/0"], None, False),
        (["a=rtpmap:63 red/8000"], None, False),
        (["a=rtpmap:64 red/48000/2"], None, False),
        (["a=rtcp-fb:* nack"], None, True),
        (["a=rtcp-fb:111 nack pli"], None, False),
        (["a=rtcp-fb:0 nack"], None, False),
    ],
)
def test_copies_and_requests_are_answered_as_they_are_offered(lines: list[str], red: int | None, nack: bool) -> None:
    offer = read_description(BROWSER.replace("a=rtpmap:63 red/48000/2\n", "".join(f"{line}\n" for line in lines)))
    assert repairs(offer) == (red, nack)
    answer = read_description(write_answer(LOCAL, offer).replace("m=video 0", "m=video 9"))
    assert repairs(answer) == (red, nack)


def test_a_profile_without_feedback_gets_none() -> None:
    text = BROWSER.replace("UDP/TLS/RTP/SAVPF 111", "UDP/TLS/RTP/SAVP 111").replace("a=mid:audio", "a=mid:audio\na=rtcp-fb:111 nack")
    offer = read_description(text)
    assert not repairs(offer)[1]
    assert "rtcp-fb" not in write_answer(LOCAL, offer)
