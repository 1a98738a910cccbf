"""Whether the other side of a silent call still knows it: OPTIONS in the dialog (RFC 3261 11, 12.2.1.2)."""

import pytest

from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.vocabulary import SipPhase
from tests.protocol.sip.session.test_session import OTHER, Callee, Caller, answered, events, only, requests, talking

DOUBT = v.DialogProbe("nothing has come for 120 s")


def probe(caller: Caller, status: int) -> list[v.SipEvent]:
    asked = only(caller.order(DOUBT), v.SendRequest)
    assert (asked.request.method, asked.in_dialog) == ("OPTIONS", True)
    return events(caller.get(answered(asked.request, status), asked.serial))


@pytest.mark.parametrize("status", [200, 405, 415, 486, 488, 500, 501, 603])
def test_who_answers_at_all_is_there(status: int) -> None:
    caller = talking()
    assert [probe(caller, status) for _ in range(3)] == [[], [], []]
    assert caller.session.phase is SipPhase.TALKING


@pytest.mark.parametrize(("status", "says"), [(408, "doesn't answer any more"), (481, "knows of no call any more")])
def test_who_does_not_answer_or_knows_of_no_call_is_gone(status: int, says: str) -> None:
    caller = talking()
    asked = only(caller.order(DOUBT), v.SendRequest)
    effects = caller.get(answered(asked.request, status), asked.serial)
    assert events(effects) == [v.SipEnded(f"nothing has come for 120 s, and the other side {says}", 408)]
    assert requests(effects) == ["BYE"]


def test_a_network_that_takes_nothing_says_little_for_once() -> None:
    caller = talking()
    assert probe(caller, 503) == []
    assert probe(caller, 200) == []
    assert probe(caller, 503) == []
    assert probe(caller, 503) == [v.SipEnded("nothing has come for 120 s, and the other side can't be reached any more", 408)]


def test_it_is_asked_once_at_a_time() -> None:
    caller = talking()
    asked = only(caller.order(DOUBT), v.SendRequest)
    assert caller.order(DOUBT) == []
    caller.get(answered(asked.request, 200), asked.serial)
    assert requests(caller.order(DOUBT)) == ["OPTIONS"]


def test_a_peer_that_wants_a_password_for_it_gets_it() -> None:
    caller = talking(credentials=Credentials("alice", "secret"))
    asked = only(caller.order(DOUBT), v.SendRequest)
    challenge = (("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"'),)
    again = only(caller.get(answered(asked.request, 401, headers=challenge), asked.serial), v.SendRequest)
    assert (again.request.method, again.request.first("Authorization") is not None) == ("OPTIONS", True)
    assert caller.get(answered(again.request, 200), again.serial) == []


def test_before_the_answer_and_after_the_end_nothing_is_asked() -> None:
    ringing, over = Caller(), talking()
    over.order(v.SipHangUp())
    assert (ringing.order(DOUBT), over.order(DOUBT), Callee().order(DOUBT)) == ([], [], [])


def test_an_answer_that_comes_after_the_end_ends_nothing() -> None:
    caller = talking()
    asked = only(caller.order(DOUBT), v.SendRequest)
    caller.order(v.SipHangUp())
    assert events(caller.get(answered(asked.request, 481), asked.serial)) == []


def test_it_may_be_asked_beside_a_change_of_the_sound() -> None:
    caller = talking()
    change = only(caller.order(v.Reoffer(OTHER)), v.SendRequest)
    asked = only(caller.order(DOUBT), v.SendRequest)
    assert asked.request.cseq.number == change.request.cseq.number + 1
    assert caller.get(answered(asked.request, 200), asked.serial) == []
