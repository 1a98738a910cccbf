"""REFER and what is told of it (RFC 3515): the last status decides, and an earlier transfer's news isn't taken for this one's."""

from typing import Any

import pytest

from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.vocabulary import Effect
from tests.protocol.sip.session.test_session import Caller, talking

TARGET = "sip:carol@b.example"
FRAG = "message/sipfrag;version=2.0"


def asked() -> tuple[Caller, Any, int]:
    """A call whose peer was asked to call carol: the call, the REFER, its number."""
    caller = talking()
    effects = caller.session.handle(v.SendRefer(TARGET), caller.now)
    sent = next(effect for effect in effects if isinstance(effect, v.SendRequest))
    assert (sent.request.method, sent.request.first("Refer-To")) == ("REFER", f"<{TARGET}>")
    return caller, sent, sent.request.cseq.number


def notify(caller: Caller, number: int, line: str, state: str = "active;expires=60", event: str = "refer") -> list[Effect]:
    body = (FRAG, f"{line}\r\n".encode())
    return caller.receive("NOTIFY", number=number, body=body, Event=event, Subscription_State=state)


def done(effects: list[Effect]) -> list[v.ReferDone]:
    return [effect for effect in effects if isinstance(effect, v.ReferDone)]


def replied(effects: list[Effect]) -> list[int]:
    return [effect.response.status for effect in effects if isinstance(effect, v.Reply)]


@pytest.mark.parametrize(("line", "status", "reason"), [("SIP/2.0 200 OK", 200, "OK"), ("SIP/2.0 486 Busy Here", 486, "Busy Here")])
def test_the_final_status_that_is_told_decides(line: str, status: int, reason: str) -> None:
    caller, _, _ = asked()
    assert done(notify(caller, 10, "SIP/2.0 100 Trying")) == []
    effects = notify(caller, 11, line, "terminated;reason=noresource")
    assert replied(effects) == [200]
    assert done(effects) == [v.ReferDone(status, reason)]


def test_a_subscription_that_ends_with_its_first_word_leaves_the_rest_open() -> None:
    caller, _, _ = asked()
    assert done(notify(caller, 10, "SIP/2.0 100 Trying", "terminated;reason=noresource")) == [v.ReferDone(202, "")]


def test_news_of_an_earlier_transfer_is_not_taken_for_this_ones() -> None:
    caller, _, number = asked()
    effects = notify(caller, 10, "SIP/2.0 486 Busy Here", "terminated", f"refer;id={number - 1}")
    assert (replied(effects), done(effects)) == ([481], [])
    assert done(notify(caller, 11, "SIP/2.0 200 OK", "terminated", f"refer;id={number}")) == [v.ReferDone(200, "OK")]


def test_news_that_nobody_asked_for_and_other_events_are_refused() -> None:
    caller = talking()
    assert replied(notify(caller, 10, "SIP/2.0 200 OK")) == [481]
    caller, _, _ = asked()
    assert replied(notify(caller, 10, "SIP/2.0 200 OK", event="presence")) == [489]
    assert replied(notify(caller, 11, "hello")) == [400]


def test_a_refused_transfer_is_over_and_another_may_follow() -> None:
    caller, sent, _ = asked()
    second = caller.session.handle(v.SendRefer(TARGET), caller.now)
    assert [effect.status for effect in done(second)] == [491]
    from sinchphone.protocol.sip.message import respond

    refused = caller.session.handle(v.GotResponse(sent.serial, respond(sent.request, 603)), caller.now)
    assert [effect.status for effect in done(refused)] == [603]
    assert not done(caller.session.handle(v.SendRefer(TARGET), caller.now))


def test_a_call_that_is_not_established_is_not_transferred() -> None:
    caller = Caller()
    assert [effect.status for effect in done(caller.session.handle(v.SendRefer(TARGET), caller.now))] == [481]
