"""A backend moves a call that goes on: it is parked and taken elsewhere, or a menu after the answer leads to somebody else."""

from pathlib import Path
from typing import Any

import pytest

from sinchphone.gateway.options import BackendOptions
from sinchphone.gateway.sip import calls as sip
from sinchphone.protocol.call.states import Cause, State
from tests.e2e.backend.backend_lab import Backend, action, change, hears

ECHO_NUMBER = "+14155550101"


async def test_a_call_that_two_talk_in_is_parked_and_taken_elsewhere(town: Any, steps: Any, backend: Backend, tmp_path: Path) -> None:
    desk = await town.sip_phone()
    backend.answers |= {"ice": action("connectSip", destination={"endpoint": desk.address()}), "ace": action("continue")}
    alice = await town.phone("alice")
    ear, sound = town.ear(440.0)
    call = await alice.call_user("support", sound=sound)
    at_the_desk = await desk.next_call()
    theirs = await desk.answer(at_the_desk, 620.0)
    await hears(ear, 620.0)
    await hears(theirs, 440.0)
    await change(town.local, call.id, action("park", holdPrompt=backend.tone(tmp_path, 700.0)))
    assert isinstance(await at_the_desk.over(), sip.SipEnded), "who was called is done with it"
    await hears(ear, 700.0)
    assert call.state is State.ESTABLISHED
    await change(town.local, call.id, action("connectPstn", number=ECHO_NUMBER, cli="+14155550100"))
    await hears(ear, 440.0)
    await call.hang_up()
    assert (await backend.heard("dice"))["reason"] == "CALLERHANGUP"
    assert [event["event"] for event in backend.events] == ["ice", "ace", "ace", "dice"]


async def test_a_menu_after_the_answer_leads_to_somebody_else(town: Any, steps: Any, backend: Backend, tmp_path: Path) -> None:
    desk, other = await town.sip_phone(), await town.sip_phone()
    menu = {"id": "main", "mainPrompt": backend.tone(tmp_path, 500.0), "options": [{"dtmf": "1", "action": "return(other)"}]}
    backend.answers |= {
        "ice": action("connectSip", {"name": "answer"}, destination={"endpoint": desk.address()}),
        "ace": lambda _: action("runMenu", menus=[menu]) if len(backend.events) == 2 else action("continue"),
        "pie": action("connectSip", destination={"endpoint": other.address("eve")}),
    }
    alice = await town.phone("alice")
    ear, sound = town.ear(440.0)
    call = await alice.call_user("support", sound=sound)
    at_the_desk = await desk.next_call()
    await desk.answer(at_the_desk, 620.0)
    await hears(ear, 500.0)
    await call.dtmf("1")
    elsewhere = await other.next_call()
    assert isinstance(await at_the_desk.over(), sip.SipEnded)
    theirs = await other.answer(elsewhere, 800.0)
    await hears(ear, 800.0)
    await hears(theirs, 440.0)
    await elsewhere.sip.hang_up()
    await steps.end_of(call)
    assert (await backend.heard("dice"))["reason"] == "CALLEEHANGUP"
    assert [event["event"] for event in backend.events] == ["ice", "ace", "pie", "ace", "dice"]


async def test_a_phones_call_to_a_user_is_spoken_in_and_parked(sip_exchange: Any, steps: Any, backend: Backend, tmp_path: Path) -> None:
    backend.answers["ice"] = action("connectMxp", destination={"endpoint": "bob"})
    town = await sip_exchange("desk", backend=BackendOptions(backend.url))
    _, bobs_sound = town.lines.ear(620.0)
    bob, desk = await town.terminal("bob", sound=lambda: bobs_sound), await town.lines.sip_phone()
    call = await desk.dial(f"sip:support@{town.at}", "sip:desk@127.0.0.1", "desk")
    incoming = await steps.next_call(bob)
    await incoming.answer()
    await call.until(sip.SipAnswered)
    ear = await desk.listen(call, 440.0)
    await hears(ear, 620.0)
    call_id = (await backend.heard("ice"))["callid"]
    await change(town.local, call_id, action("continue", {"name": "playFiles", "ids": [backend.tone(tmp_path, 500.0)]}))
    await hears(ear, 500.0)
    await change(town.local, call_id, action("park", holdPrompt=backend.tone(tmp_path, 700.0)))
    assert (await steps.end_of(incoming)).cause is Cause.HUNG_UP
    await hears(ear, 700.0)
    await change(town.local, call_id, action("hangup"))
    await call.over()
    assert (await backend.heard("dice"))["reason"] == "MANAGERHANGUP"


async def test_a_call_between_users_is_hung_up_but_not_spoken_in(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action("connectMxp", destination={"endpoint": "bob"})
    alice, bob = await town.phone("alice"), await town.phone("bob")
    call = await alice.call_user("x")
    incoming = await steps.next_call(bob)
    await incoming.answer()
    await steps.reach(call, State.ESTABLISHED)
    for answer in (action("park"), action("continue", {"name": "say", "text": "Hi"})):
        with pytest.raises(AssertionError, match="passes through"):
            await change(town.local, call.id, answer)
    await change(town.local, call.id, action("hangup"))
    await steps.end_of(incoming)
