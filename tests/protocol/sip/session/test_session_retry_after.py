"""When to ask again (Retry-After, RFC 3261 20.33): told where a call is refused, honoured where a change is."""

import pytest

from sinchphone.protocol.sip.session import vocabulary as v
from tests.protocol.sip.session.test_session import OTHER, Callee, Caller, answered, events, only, requests, talking


@pytest.mark.parametrize(
    ("value", "told"), [("120", 120), ("18000;duration=3600", 18000), ("60 (I'm in a meeting)", 60), ("soon", None), ("-1", None)]
)
@pytest.mark.parametrize("status", [404, 480, 486, 500, 503, 600, 603])
def test_a_refusal_tells_when_to_ask_again(status: int, value: str, told: int | None) -> None:
    caller = Caller()
    (refused,) = events(caller.answer(status, headers=(("Retry-After", value),)))
    assert isinstance(refused, v.Refused)
    assert (refused.status, refused.retry_after_s) == (status, told)


def test_our_refusal_tells_it_too() -> None:
    callee = Callee()
    response = callee.reply(callee.order(v.SipRefuse(486, "Busy Here", 120)))
    assert (response.status, response.first("Retry-After")) == (486, "120")


def test_a_change_that_comes_too_early_is_offered_again_when_the_peer_wants_it() -> None:
    caller = talking()
    ours = only(caller.order(v.Reoffer(OTHER)), v.SendRequest)
    assert caller.get(answered(ours.request, 500, headers=(("Retry-After", "20"),)), ours.serial) == []
    assert requests(caller.wait(19.5)) == []
    again = only(caller.wait(1), v.SendRequest)
    assert (again.request.method, again.request.sdp) == ("INVITE", OTHER)


@pytest.mark.parametrize("value", ["61", "86400", "later"])
def test_a_change_that_is_wanted_too_late_is_refused_at_once(value: str) -> None:
    caller = talking()
    ours = only(caller.order(v.Reoffer(OTHER)), v.SendRequest)
    assert caller.get(answered(ours.request, 500, headers=(("Retry-After", value),)), ours.serial) == [v.ReofferDone(None, 500)]
