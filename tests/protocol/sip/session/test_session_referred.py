"""A peer's REFER: taken, told about by NOTIFY until its call is answered or refused; and ours, which waits for the ACK."""

from typing import Any

import pytest

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog, parse_replaces, replaces_in
from sinchphone.protocol.sip.message import Request, read_message, respond
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.transfer import REFERRED_SECONDS
from sinchphone.protocol.sip.session.vocabulary import Effect
from sinchphone.protocol.sip.uri import parse_uri
from tests.protocol.sip.session.test_session import ANSWER, Callee, Caller, talking

TARGET = "<sip:carol@b.example;user=phone>"


def refer(caller: Caller, to: str = TARGET, number: int = 10, sub: str = "true") -> list[Effect]:
    return caller.receive("REFER", number=number, Refer_To=to, Refer_Sub=sub)


def replied(effects: list[Effect]) -> list[int]:
    return [one.response.status for one in effects if isinstance(one, v.Reply)]


def sent(effects: list[Effect]) -> list[Request]:
    return [one.request for one in effects if isinstance(one, v.SendRequest)]


def told(effects: list[Effect]) -> list[Any]:
    return [one.event for one in effects if isinstance(one, v.Notify)]


def news(effects: list[Effect]) -> list[tuple[str, bytes, str]]:
    """What a NOTIFY says: of which subscription, what, and whether that was the last word."""
    notified = [one for one in sent(effects) if one.method == "NOTIFY"]
    return [(one.first("Event") or "", one.body, (one.first("Subscription-State") or "").partition(";")[0]) for one in notified]


@pytest.mark.parametrize(("status", "line"), [(200, b"SIP/2.0 200 OK\r\n"), (486, b"SIP/2.0 486 Busy Here\r\n")])
def test_a_peer_is_told_how_the_call_goes_that_it_asked_for(status: int, line: bytes) -> None:
    caller = talking()
    effects = refer(caller)
    assert replied(effects) == [202]
    assert news(effects) == [("refer", b"SIP/2.0 100 Trying\r\n", "active")]
    assert told(effects) == [v.SipReferred(parse_uri("sip:carol@b.example;user=phone"))]
    assert news(caller.order(v.ReferNews(180, "Ringing"))) == [("refer", b"SIP/2.0 180 Ringing\r\n", "active")]
    assert news(caller.order(v.ReferNews(status))) == [("refer", line, "terminated")]
    assert news(caller.order(v.ReferNews(200))) == [], "the last word is the last one"


def test_a_later_transfer_has_a_subscription_of_its_own_and_only_one_goes_on() -> None:
    caller = talking()
    refer(caller)
    assert replied(refer(caller, number=11)) == [491]
    caller.order(v.ReferNews(486))
    effects = refer(caller, number=12)
    assert (replied(effects), news(effects)[0][0]) == ([202], "refer;id=12")


def test_who_wants_no_news_gets_none() -> None:
    caller = talking()
    effects = refer(caller, sub="false")
    assert (replied(effects), news(effects)) == ([202], [])
    assert len(told(effects)) == 1
    assert news(caller.order(v.ReferNews(200))) == []


def test_a_peer_that_refuses_the_news_is_told_no_more() -> None:
    caller = talking()
    effects = refer(caller)
    [notify] = [one for one in effects if isinstance(one, v.SendRequest)]
    caller.session.handle(v.GotResponse(notify.serial, respond(notify.request, 481)), caller.now)
    assert news(caller.order(v.ReferNews(200))) == []


def test_a_call_of_which_nobody_says_what_came_ends_its_subscription() -> None:
    caller = talking()
    refer(caller)
    assert news(caller.wait(REFERRED_SECONDS + 1)) == [("refer", b"SIP/2.0 408 Request Timeout\r\n", "terminated")]


def test_an_attended_transfer_names_the_call_that_is_replaced() -> None:
    caller = talking()
    to = "<sip:carol@b.example?Replaces=a%40b%3Bto-tag%3D12%3Bfrom-tag%3D34&Require=replaces>"
    [event] = told(refer(caller, to))
    assert event == v.SipReferred(parse_uri("sip:carol@b.example"), ReplacedDialog("a@b", "12", "34"))
    assert not event.target.headers


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("carol", 400),
        ("<sip:carol@b?Replaces=x>", 400),
        ("<sip:carol@b?Replaces=x%3Bto-tag%3D1>", 400),
        ("<http://b.example>", 603),
        ("<sip:carol@b;method=BYE>", 603),
    ],
)
def test_what_is_no_transfer_is_refused_and_nobody_is_called(to: str, status: int) -> None:
    caller = talking()
    effects = refer(caller, to)
    assert (replied(effects), told(effects), sent(effects)) == ([status], [], [])


def test_a_refer_without_or_with_two_addresses_is_refused() -> None:
    caller = talking()
    assert replied(caller.receive("REFER", number=10)) == [400]


def test_a_call_that_is_not_answered_is_not_transferred_by_its_caller() -> None:
    callee = Callee()
    effects = callee.receive("REFER", number=2, Refer_To=TARGET)
    assert (replied(effects), told(effects)) == ([500], [])


def test_our_own_waits_for_the_ack_and_is_lost_with_the_call() -> None:
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    assert sent(callee.order(v.SendRefer("sip:carol@b.example"))) == []
    second = callee.order(v.SendRefer("sip:carol@b.example"))
    assert [one.status for one in second if isinstance(one, v.ReferDone)] == [491]
    [request] = sent(callee.acknowledge())
    assert (request.method, request.first("Refer-To")) == ("REFER", "<sip:carol@b.example>")
    assert request.first("Referred-By") == "<sip:bob@b.example>"

    unheard = Callee()
    unheard.order(v.SipAnswer(ANSWER))
    unheard.order(v.SendRefer("sip:carol@b.example"))
    done = [one for one in unheard.wait(60) if isinstance(one, v.ReferDone | v.Notify)]
    assert done[0] == v.ReferDone(481, "the call is over"), "and that before the call's end is told"


@pytest.mark.parametrize(
    "text", ["", "a b;to-tag=1;from-tag=2", "a;to-tag=1", "a;to-tag=;from-tag=2", "a;to-tag=1;to-tag=2;from-tag=3", "x" * 600]
)
def test_a_header_that_names_no_dialog_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_replaces(text)


def test_a_replaced_dialog_is_written_as_it_is_read() -> None:
    for dialog in (ReplacedDialog("98732@sip.example", "r33th4x0r", "ff87ff"), ReplacedDialog("%&=?", "1", "2", early_only=True)):
        assert parse_replaces(str(dialog)) == dialog
        assert replaces_in(parse_uri(f"sip:carol@b.example?{dialog.in_uri()}")) == dialog


def test_the_short_names_of_headers_are_read_too() -> None:
    lines = [
        "REFER sip:a@b SIP/2.0",
        "Via: SIP/2.0/UDP a;branch=z9hG4bKx",
        "From: <sip:a@b>;tag=1",
        "To: <sip:c@d>;tag=2",
        "Call-ID: c",
        "CSeq: 1 REFER",
        "r: <sip:carol@b>",
        "",
        "",
    ]
    assert read_message("\r\n".join(lines).encode()).first("Refer-To") == "<sip:carol@b>"
