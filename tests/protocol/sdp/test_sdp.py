"""Session descriptions of phones, and the rules of offer and answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.sdp import session_description as sdp
from sinchphone.protocol.sdp.jsep import decode_sdp_body
from sinchphone.protocol.sdp.offer_answer import LocalCapabilities, Negotiation
from sinchphone.protocol.sdp.session_description import Crypto, read_blocks, read_session, write_blocks

ALL = ("PCMU", "PCMA", "G722", "opus")
KEY = Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(range(30)))
SHORT_KEY = Crypto(2, "AES_CM_128_HMAC_SHA1_32", bytes(range(1, 31)))
BOB = LocalCapabilities("192.0.2.2", 40000, ALL)


def lines(*more: str, media: str = "audio 49170 RTP/AVP 0 8 101", address: str = "192.0.2.1") -> str:
    head = ["v=0", f"o=- 7 3 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0", f"m={media}"]
    return "\r\n".join([*head, *more]) + "\r\n"


def test_static_payloads_need_no_rtpmap() -> None:
    section = read_session(lines(media="audio 49170 RTP/AVP 0 8 9")).sections[0]
    assert [one.name for one in section.formats] == ["PCMU", "PCMA", "G722"]


def test_an_rtpmap_goes_before_the_static_meaning() -> None:
    section = read_session(lines("a=rtpmap:0 pcma/8000")).sections[0]
    assert section.formats[0].name == "pcma"


def test_numbers_without_meaning_are_left_out() -> None:
    section = read_session(lines(media="audio 49170 RTP/AVP 97 0 300 junk")).sections[0]
    assert [one.payload_type for one in section.formats] == [0]


@pytest.mark.parametrize("rate", ["0", "00", "000000"])
def test_an_encoding_without_a_clock_has_no_meaning(rate: str) -> None:
    """Durations of digits are divided by it."""
    offer = lines(f"a=rtpmap:101 telephone-event/{rate}", f"a=rtpmap:8 PCMA/{rate}")
    assert [one.name for one in read_session(offer).sections[0].formats] == ["PCMU", "PCMA"]
    _, agreed = Negotiation(1).answer(offer, BOB)
    assert agreed.event is None


def test_the_media_address_goes_before_the_sessions() -> None:
    assert read_session(lines("c=IN IP4 198.51.100.9/127")).sections[0].address == "198.51.100.9"


def test_ipv6_is_read_and_written() -> None:
    offer = Negotiation(1).offer(LocalCapabilities("2001:db8::1", 4000, ("PCMU",)))
    assert "c=IN IP6 2001:db8::1" in offer
    assert read_session(offer).sections[0].address == "2001:db8::1"


@pytest.mark.parametrize(("said", "direction"), [("sendonly", "sendonly"), ("inactive", "inactive"), ("sendrecv", "sendrecv")])
def test_the_direction_may_stand_at_session_level(said: str, direction: str) -> None:
    text = lines().replace("t=0 0", f"t=0 0\r\na={said}")
    assert read_session(text).sections[0].direction == direction


def test_an_old_phone_holds_with_0_0_0_0() -> None:
    assert read_session(lines(address="0.0.0.0")).sections[0].direction == "sendonly"


def test_bare_line_feeds_and_odd_lines_are_taken() -> None:
    text = lines("nonsense", "a=ptime:30", "a=maxptime:60.0").replace("\r\n", "\n")
    section = read_session(text).sections[0]
    assert (section.first("ptime"), section.first("maxptime")) == ("30", "60.0")


@pytest.mark.parametrize(
    "text", ["", "v=1\r\n", "v=0\r\nm=audio\r\n", "v=0\r\nm=audio 99999 RTP/AVP 0\r\n", "v=0\r\n" + "m=audio 1 RTP/AVP 0\r\n" * 17]
)
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_session(text)


def test_rtcp_goes_to_the_next_port_unless_said_otherwise() -> None:
    assert read_session(lines()).sections[0].rtcp_port == 49171
    assert read_session(lines("a=rtcp-mux")).sections[0].rtcp_port == 49170
    assert read_session(lines("a=rtcp:53020 IN IP4 192.0.2.1")).sections[0].rtcp_port == 53020


@pytest.mark.parametrize(
    "line",
    [
        "1 F8_128_HMAC_SHA1_80 inline:" + "A" * 40,  # not ours
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",  # too short
        "1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "|2^20|1:4",  # with an MKI
        "1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + " UNENCRYPTED_SRTP",
        "x",
    ],
)
def test_a_key_that_cannot_be_used_is_passed_over(line: str) -> None:
    section = read_session(lines(f"a=crypto:{line}", "a=crypto:9 " + str(KEY)[2:], media="audio 1 RTP/SAVP 0")).sections[0]
    assert section.cryptos == (Crypto(9, KEY.suite, KEY.key),)


def test_a_lifetime_beside_the_key_is_fine() -> None:
    assert read_session(lines(f"a=crypto:{KEY}|2^31", media="audio 1 RTP/SAVP 0")).sections[0].cryptos == (KEY,)


def test_an_answer_takes_the_first_common_encoding_and_its_digits() -> None:
    text, agreed = Negotiation(1).answer(lines("a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"), BOB)
    assert agreed.codec.name == "PCMU"
    assert agreed.event is not None
    assert "m=audio 40000 RTP/AVP 0 101" in text
    assert "a=fmtp:101 0-15" in text


def test_a_preferred_encoding_goes_before_the_peers_order() -> None:
    local = LocalCapabilities("192.0.2.2", 40000, ALL, preferred="PCMA")
    _, agreed = Negotiation(1).answer(lines(), local)
    assert agreed.codec.name == "PCMA"


def test_opus_takes_events_of_its_clock_where_offered() -> None:
    mapped = ("a=rtpmap:111 OPUS/48000/2", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:110 telephone-event/48000")
    text, agreed = Negotiation(1).answer(lines(*mapped, media="audio 9000 RTP/AVP 111 101 110"), BOB)
    assert agreed.codec.payload_type == 111
    assert agreed.codec.name == "opus"
    assert agreed.event is not None
    assert agreed.event.payload_type == 110
    assert "m=audio 40000 RTP/AVP 111 110" in text
    assert "a=rtpmap:111 opus/48000/2" in text


def test_every_other_media_line_is_refused_in_its_place() -> None:
    offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    offer += "m=video 5000 RTP/AVP 96\r\nm=audio 6000 RTP/AVP 0\r\nm=audio 7000 RTP/AVP 8\r\nm=image 8000 udptl t38\r\n"
    text, _ = Negotiation(1).answer(offer, BOB)
    media = [line for line in text.split("\r\n") if line.startswith("m=")]
    assert media == ["m=video 0 RTP/AVP 96", "m=audio 40000 RTP/AVP 0", "m=audio 0 RTP/AVP 8", "m=image 0 udptl t38"]


def test_our_next_offer_keeps_the_refused_lines() -> None:
    offer = lines().replace("m=audio", "m=video 5000 RTP/AVP 96\r\nm=audio")
    bob = Negotiation(1)
    bob.answer(offer, BOB)
    media = [line for line in bob.offer(BOB).split("\r\n") if line.startswith("m=")]
    assert media[0] == "m=video 0 RTP/AVP 96"
    assert media[1].startswith("m=audio 40000 ")


def test_payload_numbers_are_per_direction() -> None:
    alice = Negotiation(1)
    alice.offer(LocalCapabilities("192.0.2.1", 4000, ("opus",)))
    answer = lines("a=rtpmap:120 opus/48000/2", "a=rtpmap:121 telephone-event/48000", media="audio 9000 RTP/AVP 120 121")
    agreed = alice.accept(answer)
    assert agreed.codec.payload_type == 120
    assert agreed.event is not None
    assert agreed.event.payload_type == 121
    assert {one.payload_type for one in agreed.receiving} == {96, 100}


def test_a_number_keeps_its_meaning_in_later_offers() -> None:
    bob = Negotiation(1)
    bob.answer(lines("a=rtpmap:101 opus/48000/2", "a=rtpmap:96 telephone-event/48000", media="audio 9000 RTP/AVP 101 96"), BOB)
    formats = read_session(bob.offer(BOB)).sections[0].formats
    assert {one.name: one.payload_type for one in formats if one.clock_rate == 48000} == {"opus": 101, "telephone-event": 96}
    numbers = [one.payload_type for one in formats]
    assert len(numbers) == len(set(numbers))


def test_hold_and_resume_are_mirrored() -> None:
    bob = Negotiation(1)
    bob.answer(lines(), BOB)
    text, agreed = bob.answer(lines("a=sendonly"), BOB)
    assert "a=recvonly" in text
    assert (agreed.sends, agreed.receives) == (False, True)
    text, agreed = bob.answer(lines("a=inactive"), BOB)
    assert "a=inactive" in text
    text, agreed = bob.answer(lines(), BOB)
    assert (agreed.sends, agreed.receives) == (True, True)


def test_our_hold_is_seen_by_the_peer() -> None:
    alice, bob = Negotiation(1), Negotiation(2)
    held = LocalCapabilities("192.0.2.1", 4000, ALL, direction="sendonly")
    answer, theirs = bob.answer(alice.offer(held), BOB)
    ours = alice.accept(answer)
    assert (ours.sends, ours.receives) == (True, False)
    assert (theirs.sends, theirs.receives) == (False, True)


def test_the_version_counts_changes_only() -> None:
    alice, bob = Negotiation(1), Negotiation(2)
    versions = []
    for direction in ("sendrecv", "sendrecv", "sendonly"):
        offer = alice.offer(LocalCapabilities("192.0.2.1", 4000, ALL, direction=direction))
        versions.append(read_session(offer).version)
        alice.accept(bob.answer(offer, BOB)[0])
    assert versions == [1, 1, 2]


def test_sdes_keys_travel_both_ways() -> None:
    alice, bob = Negotiation(1), Negotiation(2)
    offer = alice.offer(LocalCapabilities("192.0.2.1", 4000, ALL, keys=(KEY, SHORT_KEY)))
    assert "m=audio 4000 RTP/SAVP 0 8 9 96" in offer
    answer, theirs = bob.answer(offer, LocalCapabilities("192.0.2.2", 4002, ALL, keys=(Crypto(1, SHORT_KEY.suite, bytes(30)),)))
    ours = alice.accept(answer)
    assert theirs.peer_key == ours.our_key == Crypto(2, SHORT_KEY.suite, SHORT_KEY.key)
    assert theirs.our_key == ours.peer_key == Crypto(2, SHORT_KEY.suite, bytes(30))


def test_keys_are_not_in_a_repr() -> None:
    assert "key" not in repr(KEY)


def test_sound_in_the_clear_is_refused_where_keys_are_a_must() -> None:
    with pytest.raises(RemoteProtocolError):
        Negotiation(1).answer(lines(), LocalCapabilities("192.0.2.2", 4002, ALL, keys=(KEY,)))


def test_a_secure_line_goes_before_a_plain_one_where_both_are_offered() -> None:
    offer = lines(media="audio 5000 RTP/AVP 0") + f"m=audio 6000 RTP/SAVP 0\r\na=crypto:{KEY}\r\n"
    _, agreed = Negotiation(1).answer(offer, LocalCapabilities("192.0.2.2", 4002, ALL, keys=(KEY,), secure_only=False))
    assert agreed.remote.port == 6000


def test_an_answer_in_the_clear_to_a_secure_offer_is_refused() -> None:
    alice = Negotiation(1)
    alice.offer(LocalCapabilities("192.0.2.1", 4000, ALL, keys=(KEY,)))
    with pytest.raises(RemoteProtocolError):
        alice.accept(lines())


@pytest.mark.parametrize(
    "answer", [lines(media="audio 0 RTP/AVP 0"), lines(media="audio 5 RTP/AVP 18"), lines(media="video 5 RTP/AVP 31"), "v=0\r\n"]
)
def test_an_answer_that_takes_nothing_of_the_offer_is_refused(answer: str) -> None:
    alice = Negotiation(1)
    alice.offer(LocalCapabilities("192.0.2.1", 4000, ALL))
    with pytest.raises(RemoteProtocolError):
        alice.accept(answer)
    assert not alice.is_offered


def test_an_offer_without_a_common_encoding_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        Negotiation(1).answer(lines(media="audio 5 RTP/AVP 18"), BOB)


def test_a_refused_offer_leaves_what_was_agreed() -> None:
    alice, bob = Negotiation(1), Negotiation(2)
    first = alice.accept(bob.answer(alice.offer(BOB), BOB)[0])
    alice.offer(BOB)
    with pytest.raises(LocalProtocolError):
        alice.offer(BOB)
    alice.withdraw()
    assert alice.agreed == first


def test_a_mid_with_a_line_break_is_not_repeated() -> None:
    text, _ = Negotiation(1).answer(lines("a=mid:a\rb"), BOB)
    assert "\rb" not in text


@given(st.text())
def test_any_text_is_a_description_or_refused(text: str) -> None:
    for each in (text, "v=0\r\n" + text, lines("a=" + text)):
        try:
            session = read_session(each)
        except RemoteProtocolError:
            continue
        for section in session.sections:
            assert section.direction in sdp.DIRECTIONS
            assert all(0 <= one.payload_type < 128 for one in section.formats)
            assert section.rtcp_port < 65536
            assert section.cryptos is not None


@given(st.permutations(list(ALL)), st.permutations(list(ALL)))
def test_any_two_orders_agree_on_the_same_encoding(ours: list[str], theirs: list[str]) -> None:
    alice, bob = Negotiation(1), Negotiation(2)
    answer, at_bob = bob.answer(
        alice.offer(LocalCapabilities("192.0.2.1", 4000, tuple(ours))), LocalCapabilities("192.0.2.2", 4002, tuple(theirs))
    )
    at_alice = alice.accept(answer)
    assert at_alice.codec.name == at_bob.codec.name == ours[0]


def test_lines_are_written_as_they_were_read_whatever_they_say() -> None:
    text = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=x-unknown:yes \u2028no\r\na=sendonly\r\n"
    assert write_blocks(read_blocks(text)) == text


def test_lines_without_a_type_are_left_out() -> None:
    assert read_blocks("v=0\nnonsense\n=x\nab=c\nm=audio 9 RTP/AVP 0\n") == [[("v", "0")], [("m", "audio 9 RTP/AVP 0")]]


NOWHERE = lines().replace("c=IN IP4 192.0.2.1\r\n", "")
ADDRESSES = ["c=IN IP4 ", "c=IN IP4", "c=", "c=IN IP4 192.0.2.1 x", "c=IN IP4 <x>"]


@pytest.mark.parametrize("text", [NOWHERE, *(lines().replace("c=IN IP4 192.0.2.1", one) for one in ADDRESSES)])
def test_a_description_that_names_no_address_is_no_hold_but_refused(text: str) -> None:
    """RFC 8866 5.7: the session or each of its media has one."""
    with pytest.raises(RemoteProtocolError, match="names no address"):
        Negotiation(1).answer(text, BOB)
    alice = Negotiation(1)
    alice.offer(BOB)
    with pytest.raises(RemoteProtocolError, match="names no address"):
        alice.accept(text)


def test_one_address_is_enough_at_either_level() -> None:
    sound = NOWHERE + "c=IN IP4 192.0.2.9\r\n"
    assert Negotiation(1).answer(sound, BOB)[1].remote.address == "192.0.2.9"
    refused_too = sound + "m=video 0 RTP/AVP 96\r\n"
    assert Negotiation(1).answer(refused_too, BOB)[1].sends
    assert Negotiation(1).answer(lines("c=IN IP4"), BOB)[1].remote.address == "192.0.2.1"


def test_a_section_of_sound_with_an_address_goes_before_one_without() -> None:
    both = NOWHERE + "m=audio 49180 RTP/AVP 8\r\nc=IN IP4 192.0.2.9\r\n"
    assert Negotiation(1).answer(both, BOB)[1].remote.port == 49180


@pytest.mark.parametrize("held", ["0.0.0.0", "::", "x.invalid"])
def test_an_address_of_nobody_is_still_a_hold(held: str) -> None:
    _, agreed = Negotiation(1).answer(lines().replace("c=IN IP4 192.0.2.1", f"c=IN IP4 {held}"), BOB)
    assert (agreed.sends, agreed.receives) == (False, True)


@pytest.mark.parametrize(
    "body",
    ['{"type":"offer","sdp":"v=0\\r\\ns=\\ud800"}', '{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host \\udc80"}'],
    ids=["description", "candidate"],
)
def test_half_a_character_in_what_a_peer_says_is_refused(body: str) -> None:
    """It could be written to nobody else: SIP has bytes."""
    with pytest.raises(RemoteProtocolError):
        decode_sdp_body(body)
