"""What a relay reads from session descriptions, and changes in them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import MediaError
from sinchphone.gateway.relay.description import (
    agreed,
    anonymous,
    check_answer,
    codecs,
    direction,
    takes_events,
    with_candidates,
    with_direction,
)
from sinchphone.protocol.sdp.session_description import MAX_SDP_BYTES, mirrored

OFFER = """v=0
o=- 1 1 IN IP4 10.0.0.1
s=-
c=IN IP4 10.0.0.1
t=0 0
m=video 5002 RTP/AVP 99
a=rtpmap:99 VP8/90000
a=inactive
m=audio 5000 RTP/AVP 96 18 0 8 101
a=rtpmap:96 OPUS/48000/2
a=rtpmap:101 telephone-event/8000
a=setup:actpass
a=sendonly
m=audio 0 RTP/AVP 9
""".replace("\n", "\r\n")


def test_codecs_come_in_the_order_of_the_media_line_in_our_spelling_without_unknown_ones() -> None:
    assert codecs(OFFER) == ("opus", "PCMU", "PCMA")


def test_a_static_number_that_is_mapped_to_something_else_is_not_taken_for_its_usual_codec() -> None:
    assert codecs("m=audio 1 RTP/AVP 0\r\na=rtpmap:0 L16/8000\r\n") == ()


def test_telephone_events_count_only_in_the_media_line() -> None:
    assert takes_events(OFFER)
    assert not takes_events(OFFER.replace("0 8 101", "0 8"))


@pytest.mark.parametrize("way", ["sendrecv", "sendonly", "recvonly", "inactive"])
def test_the_direction_is_that_of_the_sound(way: str) -> None:
    changed = with_direction(OFFER, way)
    assert direction(changed) == way
    assert changed.count("a=inactive") == (2 if way == "inactive" else 1), "that of the video stays"
    assert mirrored(mirrored(way)) == way


def test_a_direction_of_the_whole_session_counts_where_the_sound_has_none() -> None:
    assert direction("v=0\r\na=recvonly\r\nm=audio 1 RTP/AVP 0\r\n") == "recvonly"
    assert direction("v=0\r\nm=audio 1 RTP/AVP 0\r\n") == "sendrecv"


def test_an_address_of_zero_means_that_nothing_is_to_be_heard_but_not_with_ice() -> None:
    held = OFFER.replace("a=sendonly\r\n", "").replace("10.0.0.1\r\nt=", "0.0.0.0\r\nt=")
    assert direction(held) == "sendonly"
    assert direction(held.replace("a=setup", "a=ice-ufrag:abcd\r\na=setup")) == "sendrecv"


def test_candidates_are_added_to_the_sound_with_their_end() -> None:
    lines = with_candidates(OFFER, ["candidate:1 1 udp 1 10.0.0.1 5000 typ host"]).splitlines()
    assert (
        lines.index("a=candidate:1 1 udp 1 10.0.0.1 5000 typ host")
        < lines.index("a=end-of-candidates")
        < lines.index("m=audio 0 RTP/AVP 9")
    )
    assert lines.index("a=end-of-candidates") > lines.index("a=sendonly")


def test_an_offer_becomes_what_its_author_agreed_to_by_our_answer() -> None:
    answer = "v=0\r\nm=video 0 RTP/AVP 99\r\nm=audio 6000 RTP/AVP 0 101 33\r\na=setup:active\r\n"
    as_answer = agreed(OFFER, answer)
    assert "m=audio 5000 RTP/AVP 0 101\r\n" in as_answer
    assert "a=setup:passive\r\n" in as_answer
    assert codecs(as_answer) == ("PCMU",)


def test_an_anonymous_description_names_nobody() -> None:
    named = OFFER.replace("o=- 1", "o=margot 1").replace("s=-", "s=For Bob\r\ni=private\r\nu=http://a\r\ne=a@b\r\np=+1")
    assert anonymous(named) == OFFER


@pytest.mark.parametrize("sdp", ["", "v=0", "m=", "m=audio", "m=audio 0 RTP/AVP 0", "x" * (MAX_SDP_BYTES + 1)])
def test_a_description_without_sound_is_an_error_of_media(sdp: str) -> None:
    for read in (codecs, direction, takes_events):
        with pytest.raises(MediaError):
            read(sdp)


@given(st.lists(st.sampled_from([*OFFER.splitlines(), "m=audio", "m=audio 1 a b", "c=", "a=", "a=rtpmap:", "a=rtpmap:0", "=", " "])))
def test_no_description_does_more_than_raise_a_media_error(lines: list[str]) -> None:
    sdp = "\n".join(lines)
    with contextlib.suppress(MediaError):
        codecs(sdp)
        direction(sdp)
        takes_events(with_direction(agreed(sdp, sdp), "inactive"))


@pytest.mark.parametrize(
    "answer", ["v=0", "what?", "v=0\r\nm=audio 0 RTP/AVP 0\r\n", "v=0\r\nm=image 4 udptl t38\r\n", "v=0\r\nm=audio 4 RTP/AVP 18 101\r\n"]
)
def test_an_answer_that_takes_nothing_of_the_offer_is_an_error_of_media(answer: str) -> None:
    with pytest.raises(MediaError):
        check_answer(OFFER, answer)
    check_answer(OFFER, OFFER)
