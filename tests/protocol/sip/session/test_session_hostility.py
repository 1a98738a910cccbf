"""Whatever a peer puts into its headers, a session raises nothing and keeps its promises."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.message import Request, Response, read_message, respond
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.machine import SipSession
from sinchphone.protocol.sip.session.state import SessionOptions
from sinchphone.protocol.sip.session.vocabulary import SipPhase
from sinchphone.protocol.sip.uri import parse_address, parse_uri

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
NAMES = [
    "Contact",
    "Record-Route",
    "Require",
    "RSeq",
    "RAck",
    "Session-Expires",
    "Min-SE",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Allow",
    "Supported",
    "Reason",
    "Retry-After",
    "Content-Type",
    "Max-Forwards",
]
VALUES = [
    "<sip:bob@192.0.2.4>",
    "<sip:a;lr>, <sip:b>",
    "100rel",
    "timer",
    "1",
    "1 1 INVITE",
    "99999999999",
    "90;refresher=uas",
    "1;refresher=uac",
    'Digest realm="r", nonce="n", qop="auth"',
    'SIP;cause=200;text="x"',
    "application/sdp",
    "*",
    "",
    "<",
    '"',
    ";",
]
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), st.one_of(st.sampled_from(VALUES), st.text(max_size=20))), max_size=6)
STATUSES = st.sampled_from([100, 180, 183, 200, 202, 302, 401, 407, 422, 481, 486, 491, 500])
METHODS = st.sampled_from(["INVITE", "ACK", "BYE", "UPDATE", "PRACK", "INFO", "OPTIONS", "REFER"])
BODIES = st.sampled_from([b"", SDP, b"Signal=5", b"\xff"])
STEPS = st.lists(st.tuples(st.booleans(), STATUSES, METHODS, HEADERS, BODIES, st.floats(0, 40), st.integers(0, 6)), max_size=10)
ORDERS: list[v.Order] = [v.SipHangUp(), v.Reoffer("v=0"), v.AnswerReoffer("v=0"), v.RefuseReoffer(488), v.SendDigit("1", 100)]


def options() -> SessionOptions:
    tokens = iter(range(1_000_000))
    return SessionOptions(new_token=lambda: f"t{next(tokens)}", chance=lambda: 0.5, ring_seconds=60)


def dressed(message: Request | Response, headers: list[tuple[str, str]], body: bytes) -> Request | Response | None:
    """The message as it would come in, with those headers; None where the reader refuses it."""
    lines = [*message.headers, *((name, value) for name, value in headers if value.isprintable())]
    changed = type(message)(tuple(lines), body, *(message.method, message.uri) if isinstance(message, Request) else (message.status, ""))
    with suppress(RemoteProtocolError):
        return read_message(bytes(changed))
    return None


@given(STEPS)
def test_a_caller_bears_any_headers(steps: list[tuple[bool, int, str, list[tuple[str, str]], bytes, float, int]]) -> None:
    session = SipSession.outgoing(
        options(),
        call_id="call",
        target=parse_uri("sip:bob@b.example"),
        caller=parse_address("<sip:alice@a.example>"),
        offer=SDP.decode(),
        headers={},
        credentials=Credentials("alice", "secret"),
    )
    now, ends = 0.0, 0
    sent = {one.serial: one.request for one in session.handle(v.SipDial(), now) if isinstance(one, v.SendRequest)}
    for number, (is_response, status, method, headers, body, wait, choice) in enumerate(steps, 1):
        now += wait
        effects = session.handle(v.SipElapsed(), now)
        if choice < len(ORDERS):
            effects += session.handle(ORDERS[choice], now)
        if is_response:
            serial = max(sent)
            response = respond(sent[serial].with_header("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"), status, tag="bob")
            read = dressed(response, headers, body)
            effects += session.handle(v.GotResponse(serial, read), now) if isinstance(read, Response) else []
        else:
            own = (("Via", "SIP/2.0/UDP b;branch=z9hG4bK2"), ("From", "<sip:bob@b.example>;tag=bob"), ("To", str(session.caller)))
            request = Request((*own, ("Call-ID", "call"), ("CSeq", f"{number} {method}")), b"", method, parse_uri("sip:alice@a.example"))
            read = dressed(request, headers, body)
            if isinstance(read, Request):
                effects += session.handle(v.GotAck(read) if method == "ACK" else v.GotRequest(f"k{number}", read), now)
        for effect in effects:
            if isinstance(effect, v.SendRequest | v.SendAck):
                assert bytes(effect.request)
            if isinstance(effect, v.SendRequest):
                sent[effect.serial] = effect.request
            if isinstance(effect, v.Reply):
                assert bytes(effect.response)
            if isinstance(effect, v.Notify) and isinstance(effect.event, v.Refused | v.SipEnded):
                ends += 1
    assert ends <= 1
    assert session.deadline is not None or session.phase in (SipPhase.TALKING, SipPhase.OVER)
    for _ in range(200):
        if session.deadline is None:
            break
        session.handle(v.SipElapsed(), session.deadline)
    assert session.phase in (SipPhase.TALKING, SipPhase.OVER)


@given(HEADERS, BODIES, STEPS)
def test_a_callee_bears_any_headers(
    first: list[tuple[str, str]], offer: bytes, steps: list[tuple[bool, int, str, list[tuple[str, str]], bytes, float, int]]
) -> None:
    own = (("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"), ("From", "<sip:alice@a.example>;tag=alice"), ("To", "<sip:bob@b.example>"))
    head = (*own, ("Call-ID", "call"), ("CSeq", "1 INVITE"))
    invite = dressed(Request(head, b"", "INVITE", parse_uri("sip:bob@b.example")), first, offer)
    if not isinstance(invite, Request):
        return
    session = SipSession.incoming(options(), "key", invite, 0.0)
    orders: list[v.Order] = [v.SipRing(), v.SendEarly("v=0"), v.SipAnswer("v=0"), v.SipAnswer("v=0"), *ORDERS]
    now, number, ends = 0.0, 1, 0
    for is_cancel, _, method, headers, body, wait, choice in steps:
        now += wait / 4
        number += method != "ACK"
        effects = session.handle(v.SipElapsed(), now) + session.handle(orders[choice % len(orders)], now)
        to = f"<sip:bob@b.example>;tag={session.tag}"
        count = 1 if method == "ACK" else number
        lines = (*own[:2], ("To", to), ("Call-ID", "call"), ("CSeq", f"{count} {method}"))
        read = dressed(Request(lines, b"", method, parse_uri("sip:bob@b.example")), headers, body)
        if isinstance(read, Request):
            event = v.GotAck(read) if method == "ACK" else v.GotRequest(f"k{number}", read)
            effects += session.handle(v.GotCancel("key", read) if is_cancel and number % 4 == 0 else event, now)
        ends += sum(isinstance(one, v.Notify) and isinstance(one.event, v.Refused | v.SipEnded) for one in effects)
        assert all(bytes(one.response) for one in effects if isinstance(one, v.Reply))
    assert ends <= 1
    assert session.deadline is not None or session.phase in (SipPhase.TALKING, SipPhase.OVER)
