"""The INVITE session, one machine at a time: what it sends for what comes."""

from dataclasses import replace
from typing import Any

import pytest

from sinchphone.protocol.sip.bodies import SDP
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.message import Request, Response, read_message, respond
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.machine import SipSession
from sinchphone.protocol.sip.session.state import SessionOptions
from sinchphone.protocol.sip.session.vocabulary import Effect, SipEvent, SipPhase
from sinchphone.protocol.sip.uri import parse_address, parse_uri

OFFER = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace("4000", "5000")
OTHER = OFFER.replace("4000", "6000")
CONTACT = (("Contact", "<sip:bob@192.0.2.4:5070>"),)
ALLOWS = ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, INFO")


class Tokens:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"token{self.count:015}"


def options(**given: Any) -> SessionOptions:
    return SessionOptions(new_token=Tokens(), chance=lambda: 0.5, **{"session_seconds": 0, **given})


def only(effects: list[Effect], kind: type) -> Any:
    found = [one for one in effects if isinstance(one, kind)]
    assert len(found) == 1, effects
    return found[0]


def events(effects: list[Effect]) -> list[SipEvent]:
    return [one.event for one in effects if isinstance(one, v.Notify)]


def requests(effects: list[Effect]) -> list[str]:
    return [one.request.method for one in effects if isinstance(one, v.SendRequest | v.SendAck)]


def answered(
    request: Request, status: int, *, tag: str = "bob", sdp: str | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    response = respond(request, status, tag=tag, headers=(*CONTACT, *headers))
    return response.with_body(SDP, sdp.encode()) if sdp is not None else response


class Caller:
    """A session that called, with what it sent."""

    def __init__(self, *, credentials: Credentials | None = None, route: tuple[str, ...] = (), **given: Any) -> None:
        self.session = SipSession.outgoing(
            options(**given),
            call_id="call",
            target=parse_uri("sip:bob@biloxi.example"),
            caller=parse_address('"Alice" <sip:alice@atlanta.example>'),
            offer=OFFER,
            headers={"X-Team": "blue"},
            credentials=credentials,
            route=tuple(parse_address(one) for one in route),
        )
        self.now = 0.0
        sent = only(self.session.handle(v.SipDial(), 0.0), v.SendRequest)
        self.invite: Request = sent.request
        self.serial: int = sent.serial
        self.next_uri = sent.next_uri

    def order(self, order: v.Order) -> list[Effect]:
        return self.session.handle(order, self.now)

    def get(self, response: Response, serial: int | None = None) -> list[Effect]:
        effects = self.session.handle(v.GotResponse(self.serial if serial is None else serial, response), self.now)
        again = [one for one in effects if isinstance(one, v.SendRequest) and one.request.method == "INVITE"]
        if again:
            self.invite, self.serial = again[0].request, again[0].serial
        return effects

    def answer(self, status: int, **given: Any) -> list[Effect]:
        return self.get(answered(self.invite, status, **given))

    def wait(self, seconds: float) -> list[Effect]:
        self.now += seconds
        effects: list[Effect] = []
        while (due := self.session.deadline) is not None and due <= self.now:
            effects += self.session.handle(v.SipElapsed(), due)
        return effects

    def receive(
        self, method: str, *, number: int = 1, sdp: str | None = None, body: tuple[str, bytes] | None = None, **headers: str
    ) -> list[Effect]:
        """A request of the peer in the dialog."""
        dialog = self.session.dialog
        assert dialog is not None
        request = Request(
            (
                ("Via", f"SIP/2.0/UDP b;branch=z9hG4bK{method}{number}"),
                ("From", dialog.remote),
                ("To", dialog.local),
                ("Call-ID", "call"),
                ("CSeq", f"{number} {method}"),
                *CONTACT,
                *((name.replace("_", "-"), value) for name, value in headers.items()),
            ),
            b"",
            method,
            parse_uri("sip:alice@192.0.2.1"),
        )
        if sdp is not None:
            request = request.with_body(SDP, sdp.encode())
        if body is not None:
            request = request.with_body(*body)
        if method == "ACK":
            return self.session.handle(v.GotAck(request), self.now)
        return self.session.handle(v.GotRequest(f"{method}{number}", request), self.now)


def talking(**given: Any) -> Caller:
    caller = Caller(**given)
    caller.answer(200, sdp=ANSWER, headers=(ALLOWS,))
    assert caller.session.phase is SipPhase.TALKING
    return caller


class Callee(Caller):
    """A session that was called."""

    def __init__(self, *headers: str, sdp: str | None = OFFER, **given: Any) -> None:
        lines = [
            "INVITE sip:bob@192.0.2.4 SIP/2.0",
            "Via: SIP/2.0/UDP a;branch=z9hG4bKinv",
            "From: <sip:alice@a.example>;tag=alice",
            "To: <sip:bob@b.example>",
        ]
        lines += [
            "Call-ID: call",
            "CSeq: 1 INVITE",
            "Contact: <sip:alice@192.0.2.1:5080>",
            "Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>",
            *headers,
            "",
            "",
        ]
        invite = read_message("\r\n".join(lines).encode())
        assert isinstance(invite, Request)
        self.invite = invite.with_body(SDP, sdp.encode()) if sdp is not None else invite
        self.now = 0.0
        self.session = SipSession.incoming(options(**given), "key", self.invite, 0.0)

    def reply(self, effects: list[Effect]) -> Response:
        response: Response = only(effects, v.Reply).response
        return response

    def acknowledge(self, sdp: str | None = None) -> list[Effect]:
        return self.receive("ACK", number=1, sdp=sdp)


# The caller.


def test_the_invite_says_who_what_and_how() -> None:
    caller = Caller(route=("<sip:proxy.example;lr>",), session_seconds=1800)
    invite = caller.invite
    assert (invite.method, str(invite.uri)) == ("INVITE", "sip:bob@biloxi.example")
    assert invite.first("Route") == "<sip:proxy.example;lr>"
    assert str(caller.next_uri) == "sip:proxy.example;lr"
    assert invite.sender.name == "Alice"
    assert invite.sender.tag
    assert not invite.recipient.tag
    assert invite.first("X-Team") == "blue"
    assert {"100rel", "timer"} <= invite.tokens("Supported")
    assert invite.first("Session-Expires") == "1800"
    assert invite.sdp == OFFER


def test_ringing_then_a_200_makes_a_call_and_an_ack_along_the_route() -> None:
    caller = Caller()
    assert events(caller.answer(180)) == [v.SipRinging(180, "Ringing")]
    recorded = ("Record-Route", "<sip:p2.example;lr>, <sip:p1.example;lr>")
    effects = caller.answer(200, sdp=ANSWER, headers=(recorded,))
    ack = only(effects, v.SendAck)
    assert (str(ack.request.uri), ack.request.cseq.number, ack.request.recipient.tag) == ("sip:bob@192.0.2.4:5070", 1, "bob")
    assert ack.request.all("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    assert str(ack.next_uri) == "sip:p1.example;lr"
    assert events(effects) == [v.SipAnswered(ANSWER)]


def test_a_strict_router_gets_itself_in_the_request_line() -> None:
    caller = Caller()
    ack = only(caller.answer(200, sdp=ANSWER, headers=(("Record-Route", "<sip:p2.example;lr>, <sip:old.example>"),)), v.SendAck)
    assert str(ack.request.uri) == "sip:old.example"
    assert ack.request.all("Route") == ["<sip:p2.example;lr>", "<sip:bob@192.0.2.4:5070>"]
    assert str(ack.next_uri) == "sip:old.example"


def test_a_repeated_200_gets_the_same_ack_and_no_event() -> None:
    caller = Caller()
    first = only(caller.answer(200, sdp=ANSWER), v.SendAck)
    assert caller.answer(200, sdp=ANSWER) == [first]
    caller.order(v.SipHangUp())
    assert caller.answer(200, sdp=ANSWER) == [first]


def test_a_second_branch_of_a_fork_that_answers_is_acknowledged_and_ended() -> None:
    caller = talking()
    effects = caller.answer(200, tag="carol", sdp=OTHER)
    assert requests(effects) == ["ACK", "BYE"]
    assert all(one.request.recipient.tag == "carol" for one in effects if isinstance(one, v.SendRequest | v.SendAck))
    assert events(effects) == []
    again = caller.answer(200, tag="carol", sdp=OTHER)
    assert requests(again) == ["ACK"]
    assert caller.session.phase is SipPhase.TALKING


def test_early_dialogs_of_a_fork_are_kept_apart_by_their_tags() -> None:
    caller = Caller()
    reliable = (("Require", "100rel"), ("RSeq", "7"))
    first = only(caller.answer(183, tag="bob", sdp=ANSWER, headers=reliable), v.SendRequest)
    second = only(caller.answer(183, tag="carol", sdp=OTHER, headers=reliable), v.SendRequest)
    assert [one.request.recipient.tag for one in (first, second)] == ["bob", "carol"]
    assert [one.request.first("RAck") for one in (first, second)] == ["7 1 INVITE", "7 1 INVITE"]
    assert events(caller.answer(200, tag="carol")) == [v.SipAnswered(OTHER)]


def test_a_reliable_provisional_response_is_acknowledged_once_and_in_order() -> None:
    caller = Caller()
    effects = caller.answer(183, sdp=ANSWER, headers=(("Require", "100rel"), ("RSeq", "7")))
    prack = only(effects, v.SendRequest)
    assert (prack.request.method, prack.request.cseq.number, str(prack.request.uri)) == ("PRACK", 2, "sip:bob@192.0.2.4:5070")
    assert events(effects) == [v.SipEarly(ANSWER, 183)]
    assert caller.answer(183, sdp=ANSWER, headers=(("Require", "100rel"), ("RSeq", "7"))) == []
    assert caller.answer(180, headers=(("Require", "100rel"), ("RSeq", "9"))) == []
    assert requests(caller.answer(180, headers=(("Require", "100rel"), ("RSeq", "8")))) == ["PRACK"]
    assert events(caller.answer(200)) == [v.SipAnswered(ANSWER)]


def test_a_200_without_any_description_is_ended() -> None:
    caller = Caller()
    effects = caller.answer(200)
    assert requests(effects) == ["ACK", "BYE"]
    assert events(effects) == [v.Refused(488, "the answer has no session description")]


@pytest.mark.parametrize("status", [404, 408, 480, 486, 500, 603])
def test_a_final_refusal_ends_with_its_status(status: int) -> None:
    caller = Caller()
    (event,) = events(caller.answer(status))
    assert isinstance(event, v.Refused)
    assert event.status == status
    assert caller.session.phase is SipPhase.OVER
    assert caller.session.deadline is None


def test_a_challenge_is_answered_once_with_the_next_cseq_and_without_its_to_tag() -> None:
    caller = Caller(credentials=Credentials("alice", "secret"))
    challenge = ("Proxy-Authenticate", 'Digest realm="biloxi.example", nonce="abc", qop="auth,auth-int", algorithm=MD5')
    effects = caller.answer(407, headers=(challenge,))
    assert requests(effects) == ["INVITE"]
    again = caller.invite
    assert (again.cseq.number, again.call_id, again.recipient.tag) == (2, "call", "")
    assert 'username="alice"' in (again.first("Proxy-Authorization") or "")
    assert "qop=auth," in (again.first("Proxy-Authorization") or "")
    assert events(caller.answer(407, headers=(challenge,))) == [v.Refused(407, "Proxy Authentication Required")]


def test_a_stale_nonce_is_no_wrong_password() -> None:
    caller = Caller(credentials=Credentials("alice", "secret"))
    caller.answer(401, headers=(("WWW-Authenticate", 'Digest realm="r", nonce="one"'),))
    assert requests(caller.answer(401, headers=(("WWW-Authenticate", 'Digest realm="r", nonce="two", stale=TRUE'),))) == ["INVITE"]
    assert 'nonce="two"' in (caller.invite.first("Authorization") or "")


def test_the_ack_has_the_credentials_and_so_have_later_requests() -> None:
    caller = Caller(credentials=Credentials("alice", "secret"))
    caller.answer(401, headers=(("WWW-Authenticate", 'Digest realm="r", nonce="one", qop="auth"'),))
    ack = only(caller.answer(200, sdp=ANSWER), v.SendAck).request
    assert ack.first("Authorization") == caller.invite.first("Authorization")
    bye = only(caller.order(v.SipHangUp()), v.SendRequest).request
    assert "nc=00000002" in (bye.first("Authorization") or "")


def test_a_challenged_bye_is_sent_again() -> None:
    caller = talking(credentials=Credentials("alice", "secret"))
    bye = only(caller.order(v.SipHangUp()), v.SendRequest)
    effects = caller.get(answered(bye.request, 407, headers=(("Proxy-Authenticate", 'Digest realm="r", nonce="one"'),)), bye.serial)
    again = only(effects, v.SendRequest)
    assert (again.request.method, again.request.cseq.number) == ("BYE", bye.request.cseq.number + 1)
    assert again.request.first("Proxy-Authorization")
    caller.get(answered(again.request, 200), again.serial)
    assert caller.session.phase is SipPhase.OVER


def test_hanging_up_before_anything_came_waits_with_the_cancel() -> None:
    caller = Caller()
    effects = caller.order(v.SipHangUp())
    assert events(effects) == [v.SipEnded("hung up")]
    assert not any(isinstance(one, v.CancelRequest) for one in effects)
    assert only(caller.answer(100), v.CancelRequest).serial == caller.serial
    assert caller.answer(180) == []
    assert events(caller.answer(487)) == []
    assert caller.session.phase is SipPhase.OVER


def test_hanging_up_while_it_rings_cancels_at_once() -> None:
    caller = Caller()
    caller.answer(180)
    assert only(caller.order(v.SipHangUp()), v.CancelRequest).serial == caller.serial
    assert caller.answer(401, headers=(("WWW-Authenticate", 'Digest realm="r", nonce="n"'),)) == []
    assert caller.session.phase is SipPhase.OVER


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    caller = Caller()
    caller.answer(180)
    caller.order(v.SipHangUp())
    effects = caller.answer(200, sdp=ANSWER)
    assert requests(effects) == ["ACK", "BYE"]
    assert events(effects) == []
    assert caller.session.phase is SipPhase.LEAVING
    assert caller.wait(100) == []
    assert caller.session.phase is SipPhase.OVER  # type: ignore[comparison-overlap]


def test_ringing_for_too_long_is_given_up() -> None:
    caller = Caller(ring_seconds=60)
    caller.answer(180)
    effects = caller.wait(60)
    assert only(effects, v.CancelRequest)
    assert events(effects) == [v.Refused(408, "nobody answered in time")]
    caller.wait(40)
    assert caller.session.phase is SipPhase.OVER


def test_a_redirect_is_followed_best_first_and_no_contact_twice() -> None:
    caller = Caller(may_follow=lambda uri: uri.host != "own.example")
    wanted = "<sip:worse@c.example>;q=0.1, <sip:better@c.example;method=INVITE?X-Evil=1>;q=0.9"
    contacts = f"{wanted}, <sip:bob@biloxi.example>, <sip:x@own.example>, <tel:+1>, junk<"
    response = replace(answered(caller.invite, 302), headers=(*respond(caller.invite, 302, tag="bob").headers, ("Contact", contacts)))
    assert requests(caller.get(response)) == ["INVITE"]
    assert (str(caller.invite.uri), caller.invite.cseq.number) == ("sip:better@c.example", 2)
    caller.answer(480)
    assert str(caller.invite.uri) == "sip:worse@c.example"
    assert events(caller.get(replace(response, headers=respond(caller.invite, 302).headers))) == [v.Refused(302, "Moved Temporarily")]


def test_redirects_that_never_end_are_not_followed_for_ever() -> None:
    caller = Caller(redirects=3)
    for number in range(3):
        contact = ("Contact", f"<sip:{number}@c.example>")
        assert requests(caller.get(respond(caller.invite, 302, tag="x", headers=(contact,)))) == ["INVITE"]
    last = caller.get(respond(caller.invite, 302, tag="x", headers=(("Contact", "<sip:9@c.example>"),)))
    assert events(last) == [v.Refused(302, "Moved Temporarily")]


def test_a_session_interval_that_is_too_small_is_raised() -> None:
    caller = Caller(session_seconds=100)
    assert requests(caller.answer(422, headers=(("Min-SE", "600"),))) == ["INVITE"]
    assert (caller.invite.first("Session-Expires"), caller.invite.first("Min-SE")) == ("600", "600")


# The callee.


def test_an_incoming_call_is_answered_and_confirmed() -> None:
    callee = Callee()
    ringing = callee.reply(callee.order(v.SipRing()))
    assert (ringing.status, ringing.recipient.tag) == (180, callee.session.tag)
    assert ringing.all("Record-Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    ok = callee.reply(callee.order(v.SipAnswer(ANSWER)))
    assert (ok.status, ok.sdp, ok.recipient.tag) == (200, ANSWER, callee.session.tag)
    assert callee.acknowledge() == []
    assert callee.session.phase is SipPhase.TALKING
    bye = only(callee.order(v.SipHangUp()), v.SendRequest)
    assert bye.request.all("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    assert str(bye.request.uri) == "sip:alice@192.0.2.1:5080"


def test_the_200_is_repeated_until_its_ack_and_then_given_up() -> None:
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    effects = callee.wait(31.9)
    assert len([one for one in effects if isinstance(one, v.Reply)]) == 10
    effects = callee.wait(0.2)
    assert events(effects) == [v.SipEnded("the answer was never acknowledged", 408)]
    assert requests(effects) == ["BYE"]


def test_a_callee_that_hangs_up_waits_for_the_ack_with_its_bye() -> None:
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    assert events(callee.order(v.SipHangUp())) == [v.SipEnded("hung up")]
    assert callee.session.phase is SipPhase.LEAVING
    assert requests(callee.acknowledge()) == ["BYE"]


def test_a_change_right_after_the_answer_waits_for_the_ack() -> None:
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    assert callee.order(v.Reoffer(OTHER)) == []
    assert callee.order(v.Reoffer(OTHER)) == [v.ReofferDone(None, 491)]
    callee.acknowledge()
    ours = only(callee.wait(0), v.SendRequest)
    assert (ours.request.method, ours.request.sdp) == ("INVITE", OTHER)
    effects = callee.get(answered(ours.request, 200, sdp=OFFER), ours.serial)
    assert v.ReofferDone(OFFER, 200) in effects


def test_an_ack_of_another_number_is_no_ack() -> None:
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    assert callee.receive("ACK", number=2) == []
    assert callee.session.phase is SipPhase.ACCEPTED


def test_early_sound_is_reliable_where_the_caller_can_and_the_200_waits_for_the_prack() -> None:
    callee = Callee("Supported: 100rel")
    early = callee.reply(callee.order(v.SendEarly(ANSWER)))
    assert (early.status, early.sdp, early.tokens("Require")) == (183, ANSWER, {"100rel"})
    assert callee.order(v.SipAnswer(ANSWER)) == []
    assert len(callee.wait(3.6)) == 3
    rack = f"{early.first('RSeq')} 1 INVITE"
    replies = [one.response for one in callee.receive("PRACK", number=2, RAck=rack) if isinstance(one, v.Reply)]
    assert [(one.status, one.cseq.method) for one in replies] == [(200, "PRACK"), (200, "INVITE")]
    assert replies[1].sdp is None
    assert callee.session.deadline is not None


def test_a_prack_of_something_else_is_481() -> None:
    callee = Callee("Supported: 100rel")
    assert callee.reply(callee.receive("PRACK", number=2, RAck="1 1 INVITE")).status == 481
    early = callee.reply(callee.order(v.SendEarly(ANSWER)))
    assert callee.reply(callee.receive("PRACK", number=3, RAck=f"{early.number('RSeq')} 9 INVITE")).status == 481


def test_a_second_reliable_response_waits_for_the_prack_of_the_first() -> None:
    callee = Callee("Require: 100rel")
    first = callee.reply(callee.order(v.SipRing()))
    assert callee.order(v.SendEarly(ANSWER)) == []
    effects = callee.receive("PRACK", number=2, RAck=f"{first.first('RSeq')} 1 INVITE")
    second = [one.response for one in effects if isinstance(one, v.Reply)][1]
    assert (second.status, second.number("RSeq")) == (183, (first.number("RSeq") or 0) + 1)


def test_a_reliable_response_that_is_never_acknowledged_ends_the_call() -> None:
    callee = Callee("Require: 100rel")
    callee.order(v.SipRing())
    effects = callee.wait(33)
    assert events(effects) == [v.SipEnded("a provisional response was never acknowledged", 504)]
    assert [one.response.status for one in effects if isinstance(one, v.Reply)][-1] == 504
    assert callee.session.phase is SipPhase.OVER


def test_without_100rel_early_sound_is_sent_once_and_the_200_has_it_again() -> None:
    callee = Callee()
    assert callee.reply(callee.order(v.SendEarly(ANSWER))).first("RSeq") is None
    assert callee.wait(10) == []
    assert callee.reply(callee.order(v.SipAnswer(ANSWER))).sdp == ANSWER


def test_an_invite_without_a_description_gets_our_offer_and_its_answer_is_in_the_ack() -> None:
    callee = Callee(sdp=None)
    assert callee.reply(callee.order(v.SipAnswer(OFFER))).sdp == OFFER
    assert events(callee.acknowledge(ANSWER)) == [v.SipAnswered(ANSWER)]
    silent = Callee(sdp=None)
    silent.order(v.SipAnswer(OFFER))
    effects = silent.acknowledge()
    assert events(effects) == [v.SipEnded("the ACK has no session description", 488)]
    assert requests(effects) == ["BYE"]


def test_our_offer_in_a_reliable_183_is_answered_in_the_prack() -> None:
    callee = Callee("Supported: 100rel", sdp=None)
    early = callee.reply(callee.order(v.SendEarly(OFFER)))
    effects = callee.receive("PRACK", number=2, sdp=ANSWER, RAck=f"{early.first('RSeq')} 1 INVITE")
    assert events(effects) == [v.SipAnswered(ANSWER)]
    assert callee.reply(callee.order(v.SipAnswer(OFFER))).sdp is None
    assert events(callee.acknowledge()) == []
    assert callee.session.phase is SipPhase.TALKING


def test_a_cancel_ends_the_call_with_487_and_its_reason() -> None:
    callee = Callee()
    callee.order(v.SipRing())
    stop = Request((("Reason", 'SIP ;cause=200 ;text="Call completed elsewhere"'),), b"", "CANCEL", callee.invite.uri)
    effects = callee.session.handle(v.GotCancel("key", stop), 1.0)
    assert callee.reply(effects).status == 487
    assert events(effects) == [v.SipEnded("Call completed elsewhere", 200)]
    assert callee.order(v.SipAnswer(ANSWER)) == []


@pytest.mark.parametrize(
    ("reasons", "text", "status"),
    [
        (["SIP;cause=200"], "canceled", 200),
        (["sip ; cause = 200 ; text = answered"], "canceled", 200),
        (['Q.850;cause=26;text="non-selected user clearing"'], "non-selected user clearing", 200),
        (["Q.850;cause=16", 'SIP;cause=200;text="Call completed elsewhere"'], "Call completed elsewhere", 200),
        (['Q.850;cause=16;text="Normal", SIP;cause=200'], "canceled", 200),
        (['Q.850;cause=16;text="Normal clearing"'], "Normal clearing", 487),
        (['SIP;cause=603;text="Decline"'], "Decline", 603),
        (["nonsense;;cause"], "canceled", 487),
        ([], "canceled", 487),
    ],
)
def test_a_cancel_says_whether_somebody_else_answered(reasons: list[str], text: str, status: int) -> None:
    callee = Callee()
    stop = Request(tuple(("Reason", value) for value in reasons), b"", "CANCEL", callee.invite.uri)
    assert events(callee.session.handle(v.GotCancel("key", stop), 1.0)) == [v.SipEnded(text, status)]


def test_a_cancel_that_comes_after_the_answer_does_nothing() -> None:
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    assert callee.session.handle(v.GotCancel("key", Request((), b"", "CANCEL")), 1.0) == []
    assert callee.session.phase is SipPhase.ACCEPTED


def test_a_refusal_and_a_hang_up_before_the_answer_are_final_responses() -> None:
    callee = Callee()
    effects = callee.order(v.SipRefuse(486, "Busy"))
    assert (callee.reply(effects).status, callee.reply(effects).reason) == (486, "Busy")
    assert events(effects) == [v.SipEnded("Busy", 486)]
    assert callee.reply(Callee().order(v.SipHangUp())).status == 480


def test_a_call_that_nobody_takes_ends() -> None:
    callee = Callee(ring_seconds=30)
    callee.order(v.SipRing())
    effects = callee.wait(31)
    assert callee.reply(effects).status == 480
    assert events(effects) == [v.SipEnded("nobody answered in time", 480)]


def test_long_ringing_is_said_again_every_minute() -> None:
    callee = Callee()
    callee.order(v.SipRing())
    effects = callee.wait(150)
    assert [one.response.status for one in effects if isinstance(one, v.Reply)] == [180, 180]


def test_a_caller_may_end_an_early_dialog_with_bye() -> None:
    callee = Callee()
    callee.order(v.SipRing())
    effects = callee.receive("BYE", number=2)
    assert [one.response.status for one in effects if isinstance(one, v.Reply)] == [200, 487]
    assert events(effects) == [v.SipEnded("canceled", 487)]


def test_an_update_before_the_first_answer_is_491_and_after_it_a_change() -> None:
    callee = Callee("Supported: 100rel")
    assert callee.reply(callee.receive("UPDATE", number=2, sdp=OTHER)).status == 491
    early = callee.reply(callee.order(v.SendEarly(ANSWER)))
    callee.receive("PRACK", number=3, RAck=f"{early.first('RSeq')} 1 INVITE")
    assert events(callee.receive("UPDATE", number=4, sdp=OTHER)) == [v.SipReoffered(OTHER)]
    assert callee.reply(callee.order(v.AnswerReoffer(ANSWER))).sdp == ANSWER


# Either side, in a call.


def test_the_peer_hangs_up_with_a_reason() -> None:
    caller = talking()
    effects = caller.receive("BYE", Reason='Q.850;cause=16;text="Normal call clearing"')
    assert only(effects, v.Reply).response.status == 200
    assert events(effects) == [v.SipEnded("Normal call clearing", None)]
    assert caller.session.phase is SipPhase.OVER


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ('SIP;cause=503;text="down"', 503),
        ('SIP ; cause=408 ; text="down"', 408),
        ('Q.850;cause=38;text="down"', 503),
        ('Q.850;cause=31;text="down"', None),
        ('Q.850;cause=999;text="down"', None),
        ('X.25;cause=503;text="down"', None),
        ('SIP;text="down"', None),
    ],
)
def test_a_bye_says_why_by_its_reason(reason: str, status: int | None) -> None:
    assert events(talking().receive("BYE", Reason=reason)) == [v.SipEnded("down", status)]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (v.SipHangUp(), None),
        (v.SipHangUp("bye"), 'SIP;text="bye"'),
        (v.SipHangUp("", 503), "SIP;cause=503"),
        (v.SipHangUp("the line is down", 503), 'SIP;cause=503;text="the line is down"'),
        (v.SipHangUp("Call completed elsewhere", 503), 'SIP;cause=200;text="Call completed elsewhere"'),
    ],
)
def test_our_goodbye_says_why(order: v.SipHangUp, reason: str | None) -> None:
    assert only(talking().order(order), v.SendRequest).request.first("Reason") == reason
    ringing = Caller()
    ringing.answer(180)
    assert only(ringing.order(order), v.CancelRequest).reason == (reason or "")


def test_a_goodbye_that_waits_for_the_ack_still_says_why() -> None:
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    callee.order(v.SipHangUp("the line is down", 503))
    bye = only(callee.receive("ACK", number=1), v.SendRequest).request
    assert bye.first("Reason") == 'SIP;cause=503;text="the line is down"'


def test_requests_that_come_out_of_order_are_500() -> None:
    caller = talking()
    caller.receive("INFO", number=5)
    assert only(caller.receive("INFO", number=4), v.Reply).response.status == 500


def test_requests_of_a_stranger_in_the_dialog_are_481() -> None:
    caller = talking()
    assert caller.session.dialog is not None
    stranger = replace(
        caller.session.dialog.request("BYE"),
        headers=(("From", "<sip:x@y>;tag=evil"), ("To", caller.session.dialog.local), ("CSeq", "9 BYE")),
    )
    effects = caller.session.handle(v.GotRequest("k", stranger), 0.0)
    assert only(effects, v.Reply).response.status == 481
    assert caller.session.phase is SipPhase.TALKING


def test_the_peer_holds_and_our_answer_is_repeated_until_its_ack() -> None:
    caller = talking()
    assert events(caller.receive("INVITE", number=1, sdp=OTHER)) == [v.SipReoffered(OTHER)]
    ok = only(caller.order(v.AnswerReoffer(ANSWER)), v.Reply)
    assert (ok.key, ok.response.status, ok.response.sdp) == ("INVITE1", 200, ANSWER)
    assert caller.wait(0.5) == [ok]
    assert caller.receive("ACK", number=1) == []
    assert caller.wait(60) == []


@pytest.mark.parametrize(("handling", "status"), [("optional", None), ("required", 415)])
def test_a_change_among_other_parts_is_a_change_and_what_must_be_understood_is_refused(handling: str, status: int | None) -> None:
    caller = talking()
    parts = f"--b\r\nContent-Type: {SDP}\r\n\r\n{OTHER}\r\n--b\r\nContent-Disposition: signal;handling={handling}\r\n\r\nx\r\n--b--\r\n"
    effects = caller.receive("INVITE", number=1, body=("multipart/mixed;boundary=b", parts.encode()))
    assert [event.sdp for event in events(effects) if isinstance(event, v.SipReoffered)] == ([OTHER] if status is None else [])
    assert [one.response.status for one in effects if isinstance(one, v.Reply)] == ([] if status is None else [status])


def test_a_reinvite_without_a_description_gets_our_offer() -> None:
    caller = talking()
    assert events(caller.receive("INVITE", number=1)) == [v.SipReoffered(None)]
    assert only(caller.order(v.AnswerReoffer(OTHER)), v.Reply).response.sdp == OTHER
    assert caller.receive("ACK", number=1, sdp=ANSWER) == [v.ReofferDone(ANSWER, 200)]


def test_a_refused_change_of_the_peer_changes_nothing() -> None:
    caller = talking()
    caller.receive("INVITE", number=1, sdp=OTHER)
    assert only(caller.order(v.RefuseReoffer(488)), v.Reply).response.status == 488
    assert caller.session.remote_sdp == ANSWER


def test_a_change_that_nobody_answers_is_refused_in_the_end() -> None:
    caller = talking()
    caller.receive("INVITE", number=1, sdp=OTHER)
    assert only(caller.wait(61), v.Reply).response.status == 500


def test_both_sides_ask_at_once_and_both_get_491() -> None:
    caller = talking()
    ours = only(caller.order(v.Reoffer(OTHER)), v.SendRequest)
    assert only(caller.receive("INVITE", number=1, sdp=OTHER), v.Reply).response.status == 491
    assert caller.get(answered(ours.request, 491), ours.serial) == []
    assert requests(caller.wait(2.0)) == []
    assert requests(caller.wait(2.1)) == ["INVITE"]


def test_a_second_change_of_the_peer_before_the_first_is_answered_is_500() -> None:
    caller = talking()
    caller.receive("INVITE", number=1, sdp=OTHER)
    response = only(caller.receive("INVITE", number=2, sdp=OFFER), v.Reply).response
    assert (response.status, response.first("Retry-After") is not None) == (500, True)


def test_our_change_is_answered_acknowledged_and_told() -> None:
    caller = talking()
    ours = only(caller.order(v.Reoffer(OTHER)), v.SendRequest)
    assert (ours.request.method, ours.request.sdp, ours.request.cseq.number) == ("INVITE", OTHER, 2)
    response = answered(ours.request, 200, sdp=OTHER, headers=())
    effects = caller.get(response, ours.serial)
    assert requests(effects) == ["ACK"]
    assert only(effects, v.ReofferDone) == v.ReofferDone(OTHER, 200)
    assert requests(caller.get(response, ours.serial)) == ["ACK"]


def test_a_target_refresh_moves_the_dialog() -> None:
    caller = talking()
    moved = caller.receive("UPDATE", number=1)
    assert only(moved, v.Reply).response.status == 200
    assert caller.session.dialog is not None
    caller.session.dialog.refresh_target(Request((("Contact", "<sip:bob@203.0.113.9>"),)))
    assert str(only(caller.order(v.SipHangUp()), v.SendRequest).request.uri) == "sip:bob@203.0.113.9"


@pytest.mark.parametrize("status", [408, 481])
def test_a_change_that_the_peer_knows_no_call_for_ends_it(status: int) -> None:
    caller = talking()
    ours = only(caller.order(v.Reoffer(OTHER)), v.SendRequest)
    effects = caller.get(answered(ours.request, status), ours.serial)
    assert events(effects) == [v.SipEnded("the other side has lost the call", status)]
    assert requests(effects) == ["BYE"]


def test_orders_that_cannot_be_done_are_answered_all_the_same() -> None:
    caller = Caller()
    assert caller.order(v.Reoffer(OTHER)) == [v.ReofferDone(None, 491)]
    assert caller.order(v.AnswerReoffer(OTHER)) == [v.ReofferDone(None, 481)]
    assert talking().order(v.AnswerReoffer(OTHER)) == [v.ReofferDone(None, 481)]


def test_hanging_up_ends_changes_of_either_side() -> None:
    caller = talking()
    caller.order(v.Reoffer(OTHER))
    effects = caller.order(v.SipHangUp())
    assert v.ReofferDone(None, 487) in effects
    caller = talking()
    caller.receive("INVITE", number=1, sdp=OTHER)
    assert only(caller.order(v.SipHangUp()), v.Reply).response.status == 487


def test_digits_come_and_go_as_info() -> None:
    caller = talking()
    effects = caller.receive("INFO", body=("application/dtmf-relay", b"Signal=5\r\nDuration=250\r\n"))
    assert events(effects) == [v.SipDigitHeard("5", 250)]
    assert only(caller.receive("INFO", number=2, body=("application/dtmf", b"*")), v.Notify).event == v.SipDigitHeard("*", 160)
    assert only(caller.receive("INFO", number=3, body=("text/plain", b"x")), v.Reply).response.status == 415
    assert only(caller.receive("INFO", number=4, body=("application/dtmf", b"x")), v.Reply).response.status == 400
    ours = only(caller.order(v.SendDigit("#", 160)), v.SendRequest)
    assert (ours.request.content_type, ours.request.body) == ("application/dtmf-relay", b"Signal=#\r\nDuration=160\r\n")
    assert caller.get(answered(ours.request, 200), ours.serial) == [v.DigitDone(200)]


def test_options_and_unknown_methods_in_a_call() -> None:
    caller = talking()
    assert only(caller.receive("OPTIONS", number=1), v.Reply).response.status == 200
    assert only(caller.receive("MESSAGE", number=2), v.Reply).response.status == 405


# Session timers.


def test_we_refresh_with_update_at_half_the_interval() -> None:
    caller = Caller(session_seconds=1800)
    caller.answer(200, sdp=ANSWER, headers=(ALLOWS, ("Session-Expires", "600;refresher=uac")))
    refresh = only(caller.wait(300), v.SendRequest)
    assert (refresh.request.method, refresh.request.sdp, refresh.request.first("Session-Expires")) == ("UPDATE", None, "600;refresher=uac")
    caller.get(answered(refresh.request, 200, headers=(("Session-Expires", "600;refresher=uac"),)), refresh.serial)
    assert requests(caller.wait(299)) == []
    assert requests(caller.wait(2)) == ["UPDATE"]


def test_we_refresh_with_a_reinvite_where_the_peer_knows_no_update() -> None:
    caller = Caller(session_seconds=1800)
    caller.answer(200, sdp=ANSWER, headers=(("Session-Expires", "600;refresher=uac"),))
    refresh = only(caller.wait(300), v.SendRequest)
    assert (refresh.request.method, refresh.request.sdp) == ("INVITE", OFFER)
    effects = caller.get(answered(refresh.request, 200, sdp=ANSWER, headers=(("Session-Expires", "600;refresher=uac"),)), refresh.serial)
    assert requests(effects) == ["ACK"]
    assert events(effects) == []


def test_a_refresh_that_is_not_taken_is_tried_again_and_then_the_session_ends() -> None:
    caller = Caller(session_seconds=1800)
    caller.answer(200, sdp=ANSWER, headers=(ALLOWS, ("Session-Expires", "600;refresher=uac")))
    refresh = only(caller.wait(300), v.SendRequest)
    caller.get(answered(refresh.request, 500), refresh.serial)
    assert requests(caller.wait(6)) == ["UPDATE"]
    effects = caller.wait(300)
    assert events(effects) == [v.SipEnded("the session expired", 408)]
    assert requests(effects) == ["BYE"]


@pytest.mark.parametrize("refresher", ["uac", "uas"])
def test_attack_an_interval_of_a_second_neither_makes_us_refresh_all_the_time_nor_ends_the_call(refresher: str) -> None:
    caller = Caller(session_seconds=1800)
    caller.answer(200, sdp=ANSWER, headers=(ALLOWS, ("Session-Expires", f"1;refresher={refresher}")))
    effects = caller.wait(44)
    assert (requests(effects), events(effects)) == ([], [])


def test_a_peer_that_vanishes_is_noticed_by_the_session_timer() -> None:
    caller = Caller(session_seconds=1800)
    caller.answer(200, sdp=ANSWER, headers=(ALLOWS, ("Session-Expires", "90;refresher=uas")))
    assert events(caller.wait(59)) == []
    effects = caller.wait(2)
    assert events(effects) == [v.SipEnded("the session expired", 408)]


def test_a_peer_that_refreshes_keeps_the_session() -> None:
    callee = Callee("Supported: timer", "Session-Expires: 120", session_seconds=1800)
    ok = callee.reply(callee.order(v.SipAnswer(ANSWER)))
    assert (ok.first("Session-Expires"), ok.tokens("Require")) == ("120;refresher=uac", {"timer"})
    callee.acknowledge()
    for number in range(2, 8):
        assert events(callee.wait(60)) == []
        response = callee.reply(callee.receive("UPDATE", number=number, Session_Expires="120;refresher=uac", Supported="timer"))
        assert response.first("Session-Expires") == "120;refresher=uac"
    assert events(callee.wait(89)) == [v.SipEnded("the session expired", 408)]


def test_a_callee_refreshes_for_a_caller_that_knows_no_timers() -> None:
    callee = Callee(session_seconds=600)
    ok = callee.reply(callee.order(v.SipAnswer(ANSWER)))
    assert (ok.first("Session-Expires"), ok.first("Require")) == ("600;refresher=uas", None)
    callee.acknowledge()
    assert requests(callee.wait(300)) == ["INVITE"]


def test_a_peer_that_wants_no_timer_gets_none() -> None:
    caller = talking(session_seconds=1800)
    assert caller.session.deadline is None
