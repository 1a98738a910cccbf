"""Bodies of several parts: which description is found in them, and what must be refused (RFC 5621)."""

import base64
from dataclasses import replace

import pytest

from sinchphone.protocol.sip.bodies import MAX_PARTS, read_body
from sinchphone.protocol.sip.message import Request, read_message

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
SDP = "application/sdp"
MIXED = 'multipart/mixed;boundary="a b"'
ISUP = b"\x01\x00\x49\r\n--a\r\n\r\n\xff"


def part(content_type: str, content: bytes, *headers: str) -> bytes:
    return "\r\n".join([f"Content-Type: {content_type}", *headers, "", ""]).encode() + content


def body(*parts: bytes, boundary: str = "a b", end: bool = True) -> bytes:
    lines = [f"--{boundary}\r\n".encode() + one + b"\r\n" for one in parts]
    return b"".join(lines) + f"--{boundary}{'--' * end}\r\n".encode()


OPTIONAL = part("application/isup;version=itu-t92+", ISUP, "Content-Disposition: signal;handling=optional")
REQUIRED = part("application/isup;version=itu-t92+", ISUP, "Content-Disposition: signal;handling=required")


@pytest.mark.parametrize(
    "parts",
    [
        [part(SDP, OFFER)],
        [part(SDP, OFFER), OPTIONAL],
        [OPTIONAL, part(SDP, OFFER)],
        [part(SDP, OFFER, "Content-Disposition: session;handling=required")],
        [part("Application/SDP; charset=utf-8", OFFER, "Content-Length: 3", "X-Own: y")],
        [part(SDP, base64.b64encode(OFFER), "Content-Transfer-Encoding: base64")],
        [part(SDP, OFFER.replace(b"=", b"=3D"), "content-transfer-encoding: Quoted-Printable")],
        [part(SDP, OFFER.replace(b"4000", b"1"), "Content-Disposition: early-session;handling=optional"), part(SDP, OFFER)],
        [part("multipart/mixed;boundary=c", body(part(SDP, OFFER), boundary="c")), OPTIONAL],
        [part("multipart/alternative;boundary=c", body(REQUIRED, part(SDP, OFFER), boundary="c"))],
        [part("multipart/alternative;boundary=c", body(part(SDP, OFFER), REQUIRED, boundary="c"))],
    ],
)
def test_the_description_is_found_among_parts_that_may_be_ignored(parts: list[bytes]) -> None:
    found = read_body(MIXED, body(*parts))
    assert found.is_understood
    assert found.sdp == OFFER


@pytest.mark.parametrize(
    "parts",
    [
        [part(SDP, OFFER), REQUIRED],
        [part(SDP, OFFER), part("application/isup", ISUP)],  # RFC 3261 20.11: who says nothing requires it
        [part(SDP, OFFER), part("text/plain", b"hello")],
        [part(SDP, OFFER), b"\r\nhello"],
        [part(SDP, OFFER), b"hello"],
        [part(SDP, OFFER, "Content-Disposition: early-session")],
        [part(SDP, OFFER, "Content-Transfer-Encoding: x-own")],
        [part(SDP, b"=", "Content-Transfer-Encoding: base64"), part("application/x", b"")],
        [part("multipart/alternative;boundary=c", body(REQUIRED, boundary="c"))],
        [part("multipart/mixed", body(part(SDP, OFFER), boundary="c"))],
        [],
    ],
)
def test_what_must_be_understood_and_is_not_is_said(parts: list[bytes]) -> None:
    assert not read_body(MIXED, body(*parts)).is_understood


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        (MIXED, body(part(SDP, OFFER), end=False)),
        (MIXED, b"hello"),
        ("multipart/mixed", body(part(SDP, OFFER))),
        ('multipart/mixed;boundary=""', body(part(SDP, OFFER))),
        (f"multipart/mixed;boundary={'x' * 71}", body(part(SDP, OFFER), boundary="x" * 71)),
        ("", OFFER),
        ("application/unknown", OFFER),
        ("x" * 5000, OFFER),
    ],
)
def test_a_body_that_cannot_be_read_is_not_understood(content_type: str, content: bytes) -> None:
    assert not read_body(content_type, content).is_understood


@pytest.mark.parametrize("content", [b"", b"\r\n", b" "])
def test_an_empty_body_says_nothing(content: bytes) -> None:
    assert read_body("application/unknown", content).is_understood


def test_lines_before_the_first_part_and_after_the_last_are_not_read() -> None:
    text = b"This is MIME.\r\n" + body(part(SDP, OFFER)) + b"--a b\r\n" + part("text/plain", b"x")
    assert read_body(MIXED, text) == read_body(SDP, OFFER)
    assert read_body(MIXED, text.replace(b"\r\n", b"\n")).sdp == OFFER.replace(b"\r\n", b"\n")


def test_an_unknown_body_that_may_be_ignored_is() -> None:
    assert read_body("application/unknown", b"x", "render;handling=optional").is_understood
    assert not read_body("application/unknown", b"x", "render;handling=required").is_understood


def test_parts_are_limited_in_number_and_depth() -> None:
    """Attack: thousands of parts, or parts in parts in parts."""
    assert read_body(MIXED, body(*[OPTIONAL.replace(b"--a", b"")] * (MAX_PARTS - 1), part(SDP, OFFER))).sdp == OFFER
    assert not read_body(MIXED, body(*[OPTIONAL] * 3000, part(SDP, OFFER))).is_understood
    nested = part(SDP, OFFER)
    for depth in range(30):
        nested = part(f"multipart/mixed;boundary=b{depth}", body(nested, boundary=f"b{depth}"))
    assert not read_body(MIXED, body(nested)).is_understood


def test_a_message_finds_its_description_among_parts() -> None:
    head = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n"
    content = body(part(SDP, OFFER), OPTIONAL)
    head += f"Call-ID: 1\r\nCSeq: 1 INVITE\r\nMIME-Version: 1.0\r\nc: {MIXED}\r\nl: {len(content)}\r\n\r\n"
    request = read_message(head.encode() + content)
    assert isinstance(request, Request)
    assert (request.sdp, request.has_unknown_body) == (OFFER.decode(), False)
    assert replace(request, body=body(part(SDP, OFFER), REQUIRED)).has_unknown_body
