"""Whatever comes over the network is a SIP message or refused; a call has one end, and nothing waits for ever.

Messages of phones, edited by lines, words and characters; and whole calls between two of our sides whose messages are edited on the way.
"""

import contextlib
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.bodies import read_body
from sinchphone.protocol.sip.message import MalformedRequestError, Request, Response, read_message, respond
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.vocabulary import SipPhase
from sinchphone.protocol.sip.uri import MAX_URI_CHARACTERS, SipAddress, SipUri, parse_address, parse_uri
from sinchphone.protocol.sip.via import parse_via
from tests.fuzz.conftest import SECONDS
from tests.fuzz.edits import Edit, edited, edits, growth
from tests.protocol.sip.session.test_session_properties import ORDERS, USUAL, WAITS, Side, World, last_events

SDP: Final = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
HEAD: Final = (
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnashds8;rport;received=192.0.2.9",
    "v: SIP/2.0/TCP proxy.example , SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1",
    'From: "A. \\"Q\\" Caller" <sip:alice@atlanta.example;user=phone>;tag=1928301774',
    "To: Bob <sips:bob%40home:secret@biloxi.example:5061;transport=tls?subject=hi>",
    "Call-ID: a84b4c76e66710@pc33.atlanta.example",
    "CSeq: 314159 INVITE",
    "Max-Forwards: 70",
    "Contact: <sip:alice@192.0.2.1:5060;ob>;expires=60, <tel:+4670;phone-context=example.com>",
)
MORE: Final = (
    'Authorization: Digest username="alice", realm="a", nonce="abc", uri="sip:b", response="00", qop=auth, nc=00000001, cnonce="x"',
    "Record-Route: <sip:p1.example;lr>,\r\n  <sip:p2.example;lr>",
    'Reason: SIP;cause=200;text="Call completed elsewhere"',
    "Session-Expires: 1800;refresher=uac",
    "Supported: 100rel, timer",
    "Require: timer",
    "RSeq: 1",
    "RAck: 1 314159 INVITE",
    "Retry-After: 5 (in a meeting);duration=3600",
    "P-Asserted-Identity: <tel:+14155550100>",
)
PARTS: Final = (
    "--b\r\nContent-Type: application/sdp\r\n\r\n" + SDP + "\r\n--b\r\nContent-Type: application/isup\r\n"
    "Content-Disposition: signal;handling=optional\r\n\r\nxyz\r\n--b--\r\n"
)


def message(start: str, *headers: str, body: str = "", kind: str = "application/sdp") -> str:
    length = (f"Content-Type: {kind}", f"Content-Length: {len(body)}") if body else ("Content-Length: 0",)
    return "\r\n".join([start, *headers, *length, "", ""]) + body


INVITE: Final = message("INVITE sip:bob@biloxi.example SIP/2.0", *HEAD, body=SDP)
SEEDS: Final = (
    INVITE,
    message("INVITE sip:bob@biloxi.example;transport=tcp SIP/2.0", *HEAD, *MORE, body=PARTS, kind='multipart/mixed; boundary="b"'),
    message("SIP/2.0 200 OK", *HEAD, *MORE, body=SDP),
    message("SIP/2.0 302 Moved Temporarily", *HEAD, "Diversion: <sip:a@b>;reason=unconditional"),
    message("REGISTER sip:example.com SIP/2.0", *(one.replace("INVITE", "REGISTER") for one in HEAD), *MORE, "Expires: 3600"),
    message("BYE sip:bob@biloxi.example SIP/2.0", *(one.replace("INVITE", "BYE") for one in HEAD), *MORE),
)
WORDS: Final = (
    *("INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "PRACK", "INFO", "OPTIONS", "REGISTER", "SIP/2.0", "SIP/7.0"),
    *("sip:", "sips:a@b", "tel:+1", "<sip:a@b>", "*", ";tag=1", ";lr", "branch=z9hG4bK", "rport", "application/sdp", "multipart/mixed"),
    *("Content-Length: 0", "Content-Length: 99999", "Via: SIP/2.0/UDP h", "To: <sip:b@h>;tag=2", "CSeq: 0 ACK", "Contact: *", "100", "180"),
    *("200", "401", "487", "491", "Require: x", "RSeq: 2", "Session-Expires: 90", "Reason: Q.850;cause=16"),
)
changes = edits(WORDS)


def as_bytes(text: str) -> bytes:
    """As it would come from a socket: lone surrogates stand for bytes that aren't UTF-8."""
    return text.encode("utf-8", "surrogatepass")


@given(st.one_of(st.builds(edited, st.sampled_from(SEEDS), changes), st.text(max_size=200)), st.booleans())
def test_any_text_is_a_message_or_refused_and_what_was_read_is_written_alike(text: str, stream: bool) -> None:
    try:
        read = read_message(as_bytes(text), is_stream=stream)
    except MalformedRequestError as error:
        assert error.request is None or bytes(respond(error.request, error.status, tag="t"))
        return
    except RemoteProtocolError:
        return
    check_fields(read)
    again = read_message(bytes(read), is_stream=stream)
    assert bytes(again) == bytes(read)
    if isinstance(read, Request):
        assert isinstance(read_message(bytes(respond(read, 200, tag="t"))), Response)


def check_fields(read: Request | Response) -> None:
    """Whatever is asked of a message, it's there or it isn't."""
    assert read.via is not None and read.sender is not None and read.recipient is not None
    for address in (read.sender, read.recipient, *read.contacts, *read.addresses("Record-Route")):
        assert len(str(address)) > MAX_URI_CHARACTERS or parse_address(str(address)) == address  # escapes make it longer
    if (sdp := read.sdp) is not None:
        sdp.encode()
    assert read.has_unknown_body in (True, False)
    assert len(str(read.cseq)) < 200
    for name in ("Supported", "Require", "Reason", "RAck"):
        assert all(isinstance(one, str) for one in read.tokens(name))


@given(
    st.one_of(
        st.builds(edited, st.sampled_from([one.split(": ", 1)[1] for one in (*HEAD, *MORE)]), changes),
        st.text(max_size=60).map(lambda name: f'"{name}" <sip:a@b>;x="{name}"'),
        st.text(max_size=60).map(lambda user: f"sip:{user}@b"),
    )
)
def test_any_address_is_read_or_refused_and_what_was_read_is_written_alike(text: str) -> None:
    for parse in (parse_uri, parse_address, parse_via):
        with contextlib.suppress(RemoteProtocolError):
            read = parse(text)
            assert len(str(read)) > MAX_URI_CHARACTERS or parse(str(read)) == read


@given(st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_any_name_and_user_of_ours_can_be_written_and_read_by_others(name: str, user: str) -> None:
    text = str(SipAddress(SipUri("sip", user, "example.com"), name, (("x", name),)))
    assert text.isprintable() or not text.isascii()
    assert not any(mark in text for mark in "\r\n\x00")
    read = parse_address(text)
    assert parse_address(str(read)) == read


@given(
    st.builds(edited, st.just(PARTS), changes),
    st.sampled_from(["multipart/mixed;boundary=b", "multipart/alternative;boundary=b", "multipart/x"]),
)
def test_any_parts_are_read_or_not_understood(text: str, kind: str) -> None:
    found = read_body(kind, as_bytes(text))
    assert found.sdp is None or len(found.sdp) <= len(as_bytes(text))


class HostileSide(Side):
    """Does what an agent does with requests before it has a session for them."""

    def arrived(self, key: str | None, request: Request) -> None:
        if key is not None and request.method == "INVITE" and (not request.contacts or not request.contacts[0].uri.is_sip):
            self.act(self.layer.respond(key, respond(request, 400, tag="c"), self.world.now))
        elif key is not None and request.recipient.tag and request.method != "CANCEL" and self.session is None:
            self.act(self.layer.respond(key, respond(request, 481), self.world.now))
        elif key is not None and not request.recipient.tag and request.method not in ("INVITE", "CANCEL"):
            self.act(self.layer.respond(key, respond(request, 405, tag="c"), self.world.now))
        else:
            super().arrived(key, request)

    def receive(self, data: bytes) -> None:
        with contextlib.suppress(RemoteProtocolError):
            super().receive(data)


class HostileWorld(World):
    """A network that edits messages for as long as it has edits, and then is honest."""

    def __init__(self, changed: list[list[Edit]]) -> None:
        super().__init__([])
        self.changed = changed
        self.a, self.b = HostileSide("a", self), HostileSide("b", self)

    def send(self, sender: Side, data: bytes) -> None:
        changed = self.changed.pop() if self.changed else []
        text = edited(data.decode("utf-8", "surrogateescape"), changed) if changed else ""
        super().send(sender, as_bytes(text)[:65_535] if changed else data)


SCRIPT: Final = st.lists(st.tuples(st.sampled_from("aab"), st.sampled_from(USUAL + sorted(ORDERS)), WAITS), max_size=12)


@settings(max_examples=2_000 if SECONDS else 120, deadline=None)
@given(st.lists(st.one_of(st.just([]), edits(WORDS, most=3)), max_size=30), SCRIPT)
def test_a_call_whose_messages_are_edited_on_the_way_has_one_end_and_nothing_waits(
    changed: list[list[Edit]], script: list[tuple[str, str, float]]
) -> None:
    world = HostileWorld(changed)
    world.a.dial()
    for number, (who, what, wait) in enumerate(script):
        world.run(world.now + wait)
        side = world.a if who == "a" else world.b
        if side.session is not None:
            side.feed(ORDERS[what](number))
    world.changed.clear()
    world.run(world.now + 1000)
    for side in (world.a, world.b):
        if side.session is not None and side.session.phase is not SipPhase.OVER:
            side.feed(v.SipHangUp())
    world.run(world.now + 1000)
    for side in (world.a, world.b):
        assert len(last_events(side)) <= 1
        assert side.session is None or side.session.phase is SipPhase.OVER
        assert side.session is None or side.session.deadline is None
        assert len(side.layer) == 0


LONG: Final = (
    "Via: SIP/2.0/UDP h;branch=z9hG4bK1",
    "X: " + "y" * 60,
    "Contact: <sip:a@b>",
    " folded",
    "Supported: a,b,c",
    "Route: <sip:a;lr>" + "," * 40,
)


@given(st.sampled_from(LONG), st.sampled_from(SEEDS))
def test_the_time_to_read_grows_with_the_length(line: str, seed: str) -> None:
    start, rest = seed.split("\r\n", 1)

    def read(size: int) -> None:
        with contextlib.suppress(RemoteProtocolError):
            check_fields(read_message(as_bytes("\r\n".join([start, *[line] * (size // len(line)), rest]))))

    assert growth(read, 4_000) < 12
