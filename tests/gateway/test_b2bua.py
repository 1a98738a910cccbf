"""Conversations among fakes: what one side does, what the other is told, and that nothing stays behind."""

import asyncio
from typing import Any

import pytest

from sinchphone.gateway.bridging import forking, lifetime
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.legs.leg import AnswerChanged, Answered, BranchRings, DigitPressed, Early, Gone, Reoffered, Ringing, Trickled
from sinchphone.gateway.legs.reasons import ELSEWHERE, CallEnding
from sinchphone.gateway.relay.relay import BranchCandidate, Side, SideConnected, SideDigitHeard, SideLost, SideSilent
from sinchphone.gateway.routing.routing import Refuse, Terms, ToUser
from sinchphone.protocol.callbacks.events import CallResult, Reason
from sinchphone.protocol.sdp.jsep import Candidate

CANDIDATE = Candidate("candidate:1")


async def answered(calls: Any, make_leg: Any, **more: Any) -> tuple[Any, Any]:
    leg = make_leg("called")
    call = calls(leg, **more)
    await leg.until(("start", "v=0 offer relayed"))
    leg.say(Ringing(), Answered(sdp="v=0 answer"))
    await call.caller.until(("answer", "v=0 answer relayed"))
    return call, leg


async def test_ringing_and_the_answer_reach_the_caller(calls: Any, make_leg: Any) -> None:
    call, _ = await answered(calls, make_leg)
    assert call.caller.orders == ["ring", ("answer", "v=0 answer relayed")]
    call.caller.say(Gone())
    await call.over()


async def test_a_caller_who_hangs_up_ends_the_called_side(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    call.caller.say(Gone())
    await call.over()
    assert leg.orders[-1] == ("hang up", None)


async def test_a_called_side_that_hangs_up_ends_the_caller(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    leg.say(Gone())
    await call.over()
    assert call.caller.orders[-1] == ("hang up", None)


@pytest.mark.parametrize("status", [404, 486, 503, 603])
async def test_a_refusal_reaches_the_caller_with_its_status(calls: Any, make_leg: Any, status: int) -> None:
    leg = make_leg("called")
    call = calls(leg)
    leg.say(Gone(failure=Failure(status, "no", "sip")))
    await call.over()
    assert call.caller.orders[-1] == ("hang up", status)


async def test_a_caller_who_gives_up_cancels_the_called_side(calls: Any, make_leg: Any) -> None:
    leg = make_leg("called")
    call = calls(leg)
    await leg.until(("start", "v=0 offer relayed"))
    call.caller.say(Gone())
    await call.over()
    assert ("hang up", None) in leg.orders


async def test_early_sound_comes_before_the_answer_and_the_answer_without_a_description_stands_on_it(calls: Any, make_leg: Any) -> None:
    leg = make_leg("called")
    call = calls(leg)
    leg.say(Early(sdp="v=0 early"))
    await call.caller.until(("early", "v=0 early relayed"))
    leg.say(Answered(sdp=None))
    await call.caller.until(("answer", "v=0 early relayed"))


async def test_the_first_of_several_legs_has_the_call(calls: Any, make_leg: Any) -> None:
    slow, quick = make_leg("slow"), make_leg("quick")
    call = calls(slow, quick)
    slow.say(Ringing())
    quick.say(Ringing(), Answered(sdp="v=0 quick"))
    await call.caller.until(("answer", "v=0 quick relayed"))
    await slow.until(("hang up", 200))
    assert call.caller.orders.count("ring") == 1
    slow.say(Answered(sdp="v=0 too late"))
    quick.say(Gone())
    await call.over()
    assert call.caller.orders[-1] == ("hang up", None)


async def test_a_caller_whose_call_somebody_else_answered_says_so_to_whom_it_rings(calls: Any, make_leg: Any) -> None:
    leg = make_leg("called")
    call = calls(leg)
    await leg.until(("start", "v=0 offer relayed"))
    call.caller.say(Gone(failure=ELSEWHERE))
    await call.over()
    assert ("hang up", 200) in leg.orders


async def test_early_sound_of_one_of_several_legs_only_rings(calls: Any, make_leg: Any) -> None:
    one, other = make_leg("one"), make_leg("other")
    call = calls(one, other)
    one.say(Early(sdp="v=0 early"))
    await call.caller.until("ring")
    one.say(Gone(failure=Failure(480, "no")))
    other.say(Gone(failure=Failure(486, "busy")))
    await call.over()
    assert call.caller.orders == ["ring", ("hang up", 486)]


async def test_somebody_who_declines_declines_for_all_devices(calls: Any, make_leg: Any) -> None:
    one, other = make_leg("one"), make_leg("other")
    call = calls(one, other)
    one.say(Gone(failure=Failure(603, "no")))
    await call.over()
    assert ("hang up", 603) in other.orders
    assert call.caller.orders[-1] == ("hang up", 603)


async def test_a_phone_that_refuses_our_kind_of_sound_is_offered_another(calls: Any, make_leg: Any) -> None:
    leg, second = make_leg("plain"), make_leg("encrypted")
    leg.other = second
    call = calls(leg)
    leg.say(Gone(failure=Failure(488, "Not Acceptable Here", "sip")))
    second.say(Answered(sdp="v=0 answer"))
    await call.caller.until(("answer", "v=0 answer relayed"))
    await call.cancel()
    assert second.released == 1


async def test_nobody_answers(calls: Any, make_leg: Any) -> None:
    leg = make_leg("called")
    call = calls(leg, route=ToUser("bob", terms=Terms(ring_s=0.05)))
    await call.over()
    assert ("hang up", 480) in leg.orders
    assert call.caller.orders[-1] == ("hang up", 480)


async def test_a_call_has_a_maximum_duration(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg, route=ToUser("bob", terms=Terms(max_duration_s=0.05)))
    await call.over()
    assert leg.orders[-1] == call.caller.orders[-1] == ("hang up", 408)


async def test_a_route_that_refuses_ends_the_call(calls: Any) -> None:
    call = calls(route=Refuse(Failure(404, "nobody")))
    await call.over()
    assert call.caller.orders == [("hang up", 404)]


@pytest.mark.parametrize("broken", ["offer", "answer"])
async def test_media_that_cannot_be_had_ends_both_sides(calls: Any, make_leg: Any, broken: str) -> None:
    leg = make_leg("called")
    call = calls(leg)
    call.media_backends.broken.add(broken)
    leg.say(Answered(sdp="v=0 answer"))
    await call.over()
    assert call.caller.orders[-1] == ("hang up", 488)
    assert any(order[0] == "hang up" for order in leg.orders)


async def test_a_line_that_was_taken_is_given_back_where_the_callers_media_cannot_end_here(calls: Any, make_leg: Any) -> None:
    leg, caller = make_leg("called"), make_leg("caller")
    caller.offer = None  # waits for ours: needs a port
    call = calls(leg, caller=caller)
    await call.over()
    assert caller.orders[-1] == ("hang up", 488)
    assert (leg.runs, leg.released) == (0, 1)


async def test_a_call_that_is_cancelled_at_once_leaves_no_relay(calls: Any, make_leg: Any) -> None:
    call = calls(make_leg("called"))
    call.meanwhile = CallEnding("caller")
    await call.over()
    assert [relay.deleted for relay in call.media_backends.relays] == [1]


@pytest.mark.parametrize("stage", ["at once", "ringing", "talking"])
async def test_an_exchange_that_closes_ends_the_call_at_any_stage(calls: Any, make_leg: Any, stage: str) -> None:
    leg = make_leg("called")
    call = calls(leg)
    if stage != "at once":
        await leg.until(("start", "v=0 offer relayed"))
    if stage == "talking":
        leg.say(Answered(sdp="v=0 answer"))
        await call.caller.until(("answer", "v=0 answer relayed"))
    await call.cancel()
    if stage != "at once":
        assert leg.orders[-1] == call.caller.orders[-1] == "cancelled"


async def test_a_leg_that_says_no_goodbye_is_not_waited_for(calls: Any, make_leg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "GOODBYE_S", 0.05)
    leg = make_leg("called", stubborn=True)
    call = calls(leg)
    await leg.until(("start", "v=0 offer relayed"))
    call.caller.say(Gone())
    await call.over()
    assert leg.orders[-2:] == [("hang up", None), "cancelled"]


async def test_a_fault_of_the_program_ends_this_call_and_both_sides_hear_of_it(calls: Any, make_leg: Any) -> None:
    leg = make_leg("called")
    call = calls(leg)

    async def fail(*_: Any) -> None:
        raise ZeroDivisionError

    call.caller.ring = fail
    leg.say(Ringing())
    await call.over()
    assert call.caller.orders[-1] == ("hang up", 500)
    assert ("hang up", 500) in leg.orders


async def test_hold_is_answered_without_asking_the_other_side(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    leg.say(Reoffered(sdp="v=0 hold"))
    await leg.until(("reoffer answered", "v=0 hold renewed"))
    call.caller.say(Reoffered(sdp="v=0 hold too"))
    await call.caller.until(("reoffer answered", "v=0 hold too renewed"))
    assert [order[:2] for order in call.relay.orders if order[0] == "renew"] == [("renew", Side.CALLED), ("renew", Side.CALLER)]


async def test_an_offer_that_is_asked_for_is_a_new_one_and_its_answer_is_taken(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    leg.say(Reoffered(sdp=None))
    await leg.until(("reoffer answered", "v=0 anew"))
    call.caller.say(Gone())
    await call.over()
    assert ("settle", Side.CALLED, "v=0 their answer") in call.relay.orders


async def test_an_offer_that_is_asked_for_and_cannot_be_answered_is_taken_back(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    call.media_backends.broken.add("settle")
    leg.say(Reoffered(sdp=None))
    await leg.until(("reoffer refused", 488))
    assert call.relay.orders[-1] == ("withdraw",)


async def test_a_change_that_cannot_be_is_refused_and_the_call_goes_on(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    call.media_backends.broken.add("renew")
    leg.say(Reoffered(sdp="v=0 odd"))
    await leg.until(("reoffer refused", 488))
    assert not call.task.done()


async def test_digits_by_signaling_become_sound_or_signaling_again(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    leg.say(DigitPressed(digit="1", duration_ms=100))
    call.media_backends.broken.add("nothing")
    call.caller.say(DigitPressed(digit="2", duration_ms=100))
    async with asyncio.timeout(5):
        while not {("dtmf", Side.CALLED, "2"), ("dtmf", Side.CALLER, "1")} <= set(call.relay.orders):
            await asyncio.sleep(0.01)
    call.media_backends.broken.add("dtmf")
    leg.say(DigitPressed(digit="3", duration_ms=100))
    await call.caller.until(("digit", "3"))
    call.relay.news.put(SideDigitHeard(Side.CALLER, "4", 100, passed=False))
    await leg.until(("digit", "4"))
    leg.takes_digits = False
    call.relay.news.put(SideDigitHeard(Side.CALLER, "5", 100, passed=False))
    leg.say(Reoffered(sdp="v=0 barrier"))
    await leg.until(("reoffer answered", "v=0 barrier renewed"))
    assert not call.task.done()


async def test_what_happens_to_the_media_is_told_to_the_leg(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    call.relay.news.put(SideConnected(Side.CALLER, "opus"))
    await call.caller.until(("connected", "opus"))
    call.relay.news.put(BranchCandidate("2", CANDIDATE))
    await leg.until(("trickle", CANDIDATE, "2"))
    call.relay.news.put(SideSilent(Side.CALLED, 120.0))
    await leg.until(("media silent", 120.0))
    call.relay.news.put(SideSilent(Side.CALLER, 121.0))
    await call.caller.until(("media silent", 121.0))
    assert not call.task.done()
    call.relay.news.put(SideLost(Side.CALLED, "silent"))
    await call.over()
    assert call.caller.orders[-1] == ("hang up", 408)


async def test_candidates_of_both_sides_reach_the_relay(calls: Any, make_leg: Any) -> None:
    leg = make_leg("called")
    call = calls(leg)
    call.caller.say(Trickled(candidate=CANDIDATE))
    leg.say(BranchRings(branch="1", sdp="v=0 ringing"), Trickled(candidate=None, branch="1"), Ringing())
    await call.caller.until("ring")
    async with asyncio.timeout(5):
        while ("candidate", Side.CALLER, CANDIDATE, "") not in call.relay.orders:
            await asyncio.sleep(0)
    assert ("ringing", "v=0 ringing", "1") in call.relay.orders
    assert ("candidate", Side.CALLED, None, "1") in call.relay.orders


class Session:
    """The backend, as one call sees it."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    async def incoming(self, event: Any) -> Any:
        await asyncio.Event().wait()

    def disconnected(self, event: Any) -> None:
        self.events.append(event)


@pytest.mark.parametrize("by", ["caller", "exchange"])
async def test_a_call_that_ends_while_the_backend_thinks_is_reported(calls: Any, by: str) -> None:
    session = Session()
    call = calls(session=session)
    await asyncio.sleep(0.01)
    if by == "caller":
        call.caller.say(Gone())
        await call.over()
    else:
        await call.cancel()
    (event,) = session.events
    assert event.result in (CallResult.NO_ANSWER, CallResult.FAILED)
    assert event.reason in (Reason.CANCEL, Reason.CONGESTION)


def test_the_best_of_several_refusals_is_what_people_decided() -> None:
    failures = [Failure(status, "") for status in (503, 404, 480, 486)]
    assert forking.best_of(failures).status == 486
    assert forking.best_of(failures[:3]).status == 480
    assert forking.best_of(failures[:2]).status == 404


async def test_legs_are_called_a_few_at_a_time_until_all_ring(calls: Any, make_leg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "TURN_SECONDS", 0.05)
    legs = [make_leg(f"phone {at}") for at in range(10)]  # all but the last are dead
    call = calls(*legs)
    await legs[3].until(("start", "v=0 offer relayed"))
    assert legs[4].orders == []
    legs[9].say(Ringing(), Answered(sdp="v=0 answer"))
    await call.caller.until(("answer", "v=0 answer relayed"))
    assert all(("hang up", 200) in leg.orders for leg in legs[:9])
    call.caller.say(Gone())
    await call.over()


async def test_the_next_legs_have_their_turn_when_those_before_them_are_over(
    calls: Any, make_leg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forking, "TURN_SECONDS", 1_000.0)
    legs = [make_leg(f"phone {at}") for at in range(5)]
    call = calls(*legs)
    for leg in legs[:4]:
        leg.say(Gone(failure=Failure(503, "gone")))
    await legs[4].until(("start", "v=0 offer relayed"))
    legs[4].say(Gone(failure=Failure(486, "busy")))
    await call.over()
    assert call.caller.orders[-1] == ("hang up", 486)


async def test_legs_that_had_no_turn_yet_are_not_called_after_the_answer(
    calls: Any, make_leg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forking, "TURN_SECONDS", 0.05)
    legs = [make_leg(f"phone {at}") for at in range(6)]
    call = calls(*legs)
    legs[0].say(Answered(sdp="v=0 answer"))
    await call.caller.until(("answer", "v=0 answer relayed"))
    await asyncio.sleep(0.2)
    assert legs[4].runs == legs[5].runs == 0
    call.caller.say(Gone())
    await call.over()


async def test_a_call_that_has_used_up_its_users_allowance_ends_and_both_sides_are_told_why(calls: Any, make_leg: Any) -> None:
    leg = make_leg()
    call = calls(leg)
    await leg.until(("start", "v=0 offer relayed"))
    leg.say(Answered(sdp="v=0 answer"))
    await call.caller.until(("answer", "v=0 answer relayed"))
    leg.allowance.set_result(Failure(403, "today's minutes are used up"))
    await call.over()
    assert ("hang up", 403) in leg.orders and ("hang up", 403) in call.caller.orders
    assert call.conversation.lifetime.ending == CallEnding("time", Failure(403, "today's minutes are used up"))


@pytest.mark.parametrize("holder", [Side.CALLER, Side.CALLED])
async def test_who_is_held_is_told_and_told_again_when_it_is_over(calls: Any, make_leg: Any, holder: Side) -> None:
    call, leg = await answered(calls, make_leg)
    holding, other = (call.caller, leg) if holder is Side.CALLER else (leg, call.caller)
    call.relay.holding.add(holder)
    holding.say(Reoffered(sdp="v=0 hold"))
    await other.until(("reoffered", "v=0 anew"))
    call.relay.holding.clear()
    holding.say(Reoffered(sdp="v=0 back"))
    async with asyncio.timeout(5):
        while other.orders.count(("reoffered", "v=0 anew")) < 2:
            await asyncio.sleep(0.01)
    held = Side.CALLED if holder is Side.CALLER else Side.CALLER
    assert [order[:2] for order in call.relay.orders if order[0] in ("propose", "settle")] == [("propose", held), ("settle", held)] * 2
    assert ("reoffered", "v=0 anew") not in holding.orders


@pytest.mark.parametrize("side", list(Side))
async def test_who_answers_a_refresh_by_something_else_is_offered_anew_and_heard_as_it_says(calls: Any, make_leg: Any, side: Side) -> None:
    call, leg = await answered(calls, make_leg)
    moved, other = (call.caller, leg) if side is Side.CALLER else (leg, call.caller)
    moved.say(AnswerChanged())
    await moved.until(("reoffered", "v=0 anew"))
    moved.say(AnswerChanged(), Reoffered(sdp="v=0 there"))
    async with asyncio.timeout(5):
        while moved.orders.count(("reoffered", "v=0 anew")) < 2:
            await asyncio.sleep(0.01)
    assert [order[:3] for order in call.relay.orders if order[0] == "settle"] == [("settle", side, "v=0 agreed")] * 2
    assert ("reoffered", "v=0 anew") not in other.orders


async def test_who_answers_that_it_holds_as_well_is_told_to_the_other(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    call.relay.holding.update(Side)
    leg.say(Reoffered(sdp="v=0 hold"))
    await call.caller.until(("reoffered", "v=0 anew"))
    await leg.until(("reoffered", "v=0 anew"))
    assert not call.task.done()


async def test_who_refuses_to_be_told_of_a_hold_stays_in_the_call_as_it_was(calls: Any, make_leg: Any) -> None:
    call, leg = await answered(calls, make_leg)
    call.caller.refuses_reoffers = True
    call.relay.holding.add(Side.CALLED)
    leg.say(Reoffered(sdp="v=0 hold"))
    await call.caller.until(("reoffered", "v=0 anew"))
    async with asyncio.timeout(5):
        while ("withdraw",) not in call.relay.orders:
            await asyncio.sleep(0.01)
    assert not call.task.done()
