"""Which description answers the offer of an INVITE (RFC 3261 13.2.1, RFC 3262 5)."""

from sinchphone.errors import MediaError
from sinchphone.protocol.sip.session import vocabulary as v
from tests.protocol.sip.session.test_session import ANSWER, OTHER, Caller, events, only, requests

RELIABLE = (("Require", "100rel"), ("RSeq", "7"))
REFUSED = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"


def test_an_unreliable_description_is_told_and_the_200s_counts() -> None:
    caller = Caller()
    assert events(caller.answer(183, sdp=REFUSED)) == [v.SipEarly(REFUSED, 183)]
    effects = caller.answer(200, sdp=ANSWER)
    assert (events(effects), requests(effects)) == ([v.SipAnswered(ANSWER)], ["ACK"])


def test_garbage_in_a_provisional_response_is_told_as_it_is_and_ends_nothing() -> None:
    caller = Caller()
    assert events(caller.answer(183, sdp="what?")) == [v.SipEarly("what?", 183)]
    assert events(caller.answer(200, sdp=ANSWER)) == [v.SipAnswered(ANSWER)]


def test_a_reliable_description_is_the_answer_whatever_the_200_says() -> None:
    caller = Caller()
    assert events(caller.answer(183, sdp=ANSWER, headers=RELIABLE)) == [v.SipEarly(ANSWER, 183)]
    assert events(caller.answer(200, sdp=REFUSED)) == [v.SipAnswered(ANSWER)]
    assert caller.session.remote_sdp == ANSWER


def test_a_later_provisional_description_doesnt_replace_a_reliable_one() -> None:
    caller = Caller()
    caller.answer(183, sdp=ANSWER, headers=RELIABLE)
    assert events(caller.answer(183, sdp=OTHER)) == [v.SipEarly(ANSWER, 183)]
    assert events(caller.answer(200)) == [v.SipAnswered(ANSWER)]


def test_an_unreliable_description_before_a_reliable_one_is_no_answer() -> None:
    caller = Caller()
    caller.answer(183, sdp=REFUSED)
    assert events(caller.answer(183, sdp=ANSWER, headers=RELIABLE)) == [v.SipEarly(ANSWER, 183)]
    assert events(caller.answer(200, sdp=OTHER)) == [v.SipAnswered(ANSWER)]


def test_another_branchs_reliable_description_is_that_branchs_own() -> None:
    caller = Caller()
    caller.answer(183, tag="bob", sdp=REFUSED, headers=RELIABLE)
    assert events(caller.answer(200, tag="carol", sdp=ANSWER)) == [v.SipAnswered(ANSWER)]


def test_a_200_without_any_description_is_our_verdict_and_says_so_in_the_bye() -> None:
    caller = Caller()
    effects = caller.answer(200)
    told = only(effects, v.Notify).event
    assert isinstance(told.error, MediaError)
    assert requests(effects) == ["ACK", "BYE"]
    assert 'SIP;cause=488;text="no session description"' in only(effects, v.SendRequest).request.values("Reason")
