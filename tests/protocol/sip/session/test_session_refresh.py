"""The same description again, from either side: what is a refresh, and what is news for the sound (RFC 3264 8, RFC 4028 7.4)."""

import pytest

from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.vocabulary import Effect
from tests.protocol.sip.session.test_session import ANSWER, OFFER, OTHER, Callee, Caller, answered, events, only, talking

REFRESHER = ("Session-Expires", "600;refresher=uac")


def refreshed(answer: str | None) -> tuple[Caller, list[Effect]]:
    """A caller whose peer knows no UPDATE, and so answers a re-INVITE to a refresh."""
    caller = Caller(session_seconds=600)
    caller.answer(200, sdp=ANSWER, headers=(REFRESHER,))
    refresh = only(caller.wait(300), v.SendRequest)
    assert (refresh.request.method, refresh.request.sdp) == ("INVITE", OFFER)
    return caller, caller.get(answered(refresh.request, 200, sdp=answer, headers=(REFRESHER,)), refresh.serial)


@pytest.mark.parametrize("answer", [OTHER, ANSWER + "a=sendonly\r\n", ANSWER.replace("IN IP4 192.0.2.1\r\nt", "IN IP4 192.0.2.7\r\nt")])
def test_another_answer_to_our_refresh_is_told(answer: str) -> None:
    assert events(refreshed(answer)[1]) == [v.SipAnswerChanged()]


@pytest.mark.parametrize("answer", [ANSWER, ANSWER.replace("o=- 1 1 ", "o=- 1 2 "), None])
def test_the_same_answer_to_our_refresh_is_no_news(answer: str | None) -> None:
    assert events(refreshed(answer)[1]) == []


def test_another_answer_is_told_once_though_its_200_comes_twice() -> None:
    caller, _ = refreshed(OTHER)
    serial = max(caller.session.accepted)
    assert events(caller.get(answered(caller.session.accepted[serial].request, 200, sdp=OTHER), serial)) == []


def test_an_offer_that_we_answered_gets_the_same_answer_again() -> None:
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    callee.acknowledge()
    again = callee.receive("INVITE", number=2, sdp=OFFER)
    assert (only(again, v.Reply).response.sdp, events(again)) == (ANSWER, [])


def test_a_change_that_we_answered_gets_the_same_answer_again() -> None:
    caller = talking()
    caller.receive("INVITE", number=1, sdp=OTHER)
    caller.order(v.AnswerReoffer(ANSWER))
    caller.receive("ACK", number=1)
    again = caller.receive("INVITE", number=2, sdp=OTHER)
    assert (only(again, v.Reply).response.sdp, events(again)) == (ANSWER, [])


def test_what_answered_our_offer_is_an_offer_when_it_comes_as_one() -> None:
    """Ours isn't its answer: it may name several keys, codecs that aren't offered, and a direction that doesn't fit (RFC 4568 5.1.2)."""
    assert events(talking().receive("INVITE", number=1, sdp=ANSWER)) == [v.SipReoffered(ANSWER)]


def test_what_answered_our_change_is_an_offer_when_it_comes_as_one() -> None:
    """Whether the sound could use it or not."""
    callee = Callee()
    callee.order(v.SipAnswer(ANSWER))
    callee.acknowledge()
    ours = only(callee.order(v.Reoffer(ANSWER)), v.SendRequest)
    callee.get(answered(ours.request, 200, sdp=OTHER), ours.serial)
    assert events(callee.receive("INVITE", number=2, sdp=OTHER)) == [v.SipReoffered(OTHER)]


def test_what_an_ack_answered_is_an_offer_when_it_comes_as_one() -> None:
    caller = talking()
    caller.receive("INVITE", number=1)
    caller.order(v.AnswerReoffer(OTHER))
    caller.receive("ACK", number=1, sdp=ANSWER)
    assert events(caller.receive("INVITE", number=2, sdp=ANSWER)) == [v.SipReoffered(ANSWER)]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("sdp", [OTHER, OFFER, None], ids=["a change", "a refresh", "no description"])
def test_a_change_with_too_short_an_interval_is_refused_before_the_sound_is_changed(method: str, sdp: str | None) -> None:
    callee = Callee(session_seconds=600)
    callee.order(v.SipAnswer(ANSWER))
    callee.acknowledge()
    said = callee.receive(method, number=2, sdp=sdp, Supported="timer", Session_Expires="60")
    refusal = only(said, v.Reply).response
    assert (refusal.status, refusal.first("Min-SE"), events(said)) == (422, "90", [])
    again = callee.receive(method, number=3, sdp=OTHER, Supported="timer", Session_Expires="90")
    assert events(again) == [v.SipReoffered(OTHER)]
