"""Messages in a stream: cut where they end, whatever pieces they come in."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.sip.framing import Framed, FramingLimits, Ping, StreamFramer

OPTIONS = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"
WITH_BODY = b"MESSAGE sip:a@b SIP/2.0\r\nl: 11\r\n\r\nhello\r\n\r\nyo"
FOLDED = b"SIP/2.0 200 OK\r\nCONTENT-LENGTH \t:\r\n 3\r\nX: y\r\n\r\nabc"


def frames(*pieces: bytes, limits: FramingLimits | None = None) -> list[Framed]:
    framer = StreamFramer(limits)
    return [one for piece in pieces for one in framer.push(piece)]


@given(
    st.lists(st.sampled_from([OPTIONS, WITH_BODY, FOLDED]), max_size=6),
    st.lists(st.integers(min_value=0, max_value=400), max_size=12),
    st.sampled_from([b"", b"\r\n", b"\n", b"\r"]),
)
def test_messages_come_out_as_they_went_in_whatever_the_pieces(messages: list[bytes], cuts: list[int], between: bytes) -> None:
    stream = b"".join(between + message for message in messages)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert frames(*(stream[a:b] for a, b in itertools.pairwise(edges))) == messages


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_are_messages_or_a_protocol_error_and_never_more_than_the_limit_is_kept(pieces: list[bytes]) -> None:
    framer = StreamFramer(FramingLimits(header_bytes=100, body_bytes=50))
    try:
        for piece in pieces:
            framer.push(piece)
            assert len(framer._buffer) <= 150
    except RemoteProtocolError:
        pass


def test_a_ping_between_messages_is_told_apart_from_a_pong() -> None:
    assert frames(b"\r\n\r\n") == [Ping()]
    assert frames(b"\r\n", b"\r\n") == [Ping()]
    assert frames(b"\r\n") == []
    assert frames(OPTIONS + b"\r\n\r\n" + OPTIONS) == [OPTIONS, Ping(), OPTIONS]
    assert frames(b"\r\n" + OPTIONS + b"\r\n\r\n" * 2) == [OPTIONS, Ping(), Ping()]


def test_line_ends_inside_a_body_are_no_ping() -> None:
    assert frames(WITH_BODY) == [WITH_BODY]


def test_an_endless_row_of_line_ends_isnt_kept() -> None:
    framer = StreamFramer()
    for _ in range(10_000):
        framer.push(b"\r\r\n")
    assert len(framer._buffer) < 4
    assert framer.is_between_messages


@pytest.mark.parametrize(
    "headers",
    [
        b"Call-ID: 1",
        b"Content-Length: 3\r\nl: 4",
        b"Content-Length: -1",
        b"Content-Length: 3, 3",
        b"Content-Length: \xb2",
        b"Content-Length: 99999999999999999999",
        b"X-Content-Length: 3",
    ],
)
def test_a_message_without_one_clear_length_ends_the_stream(headers: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        frames(b"OPTIONS sip:a SIP/2.0\r\n" + headers + b"\r\n\r\n")


def test_the_same_length_twice_is_one_length() -> None:
    message = b"OPTIONS sip:a SIP/2.0\r\nl: 2\r\nContent-Length: 2\r\n\r\nab"
    assert frames(message) == [message]


def test_headers_and_bodies_have_limits() -> None:
    limits = FramingLimits(header_bytes=64, body_bytes=10)
    assert frames(b"A" * 63, limits=limits) == []
    with pytest.raises(RemoteProtocolError):
        frames(b"A" * 64, limits=limits)
    with pytest.raises(RemoteProtocolError):
        frames(b"A" * 100 + b"\r\nl: 0\r\n\r\n", limits=limits)
    with pytest.raises(RemoteProtocolError):
        frames(b"X y\r\nl: 11\r\n\r\n", limits=limits)
    with pytest.raises(LocalProtocolError):
        FramingLimits(header_bytes=0)


def test_half_a_message_is_no_place_between_messages() -> None:
    framer = StreamFramer()
    framer.push(OPTIONS[:20])
    assert not framer.is_between_messages
    framer.push(OPTIONS[20:] + b"\r\n")
    assert framer.is_between_messages
