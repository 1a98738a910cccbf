"""Menus, parks and recordings of a developer's backend on real calls, with their sound."""

import stat
import wave
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from sinchphone.audio.frame import RATE
from sinchphone.audio.tones import goertzel
from sinchphone.gateway.options import BackendOptions
from sinchphone.gateway.sip import calls as sip
from sinchphone.protocol.call.states import Cause, State
from tests.e2e.backend.backend_lab import Backend, action, authorization, change, hears

ECHO_NUMBER = "+14155550101"


def option(digits: str, leads_to: str) -> dict[str, str]:
    return {"dtmf": digits, "action": leads_to}


async def test_three_menus_inside_each_other_take_digits_as_fast_as_they_come(
    town: Any, steps: Any, backend: Backend, tmp_path: Path
) -> None:
    menus = [
        {"id": "main", "mainPrompt": backend.tone(tmp_path, 500.0, 8.0), "options": [option("1", "menu(two)")]},
        {"id": "two", "mainPrompt": backend.tone(tmp_path, 700.0), "options": [option("2", "menu(three)")]},
        {"id": "three", "mainPrompt": backend.tone(tmp_path, 900.0), "options": [option("3", "return(deep)")]},
    ]
    backend.answers["ice"] = action("runMenu", {"name": "answer"}, menus=menus)
    backend.answers["pie"] = action("hangup", {"name": "playFiles", "ids": [backend.tone(tmp_path, 1100.0)]})
    alice = await town.phone("alice")
    ear, sound = town.ear(440.0)
    call = await alice.call_user("x", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await hears(ear, 500.0)
    await call.dtmf("123")
    pie = await backend.heard("pie")
    assert pie["menuResult"] == {"menuId": "three", "type": "return", "value": "deep", "inputMethod": "dtmf"}
    await hears(ear, 1100.0)
    assert (await steps.end_of(call)).cause is Cause.HUNG_UP, "it was answered: nothing has failed"
    await backend.heard("dice")
    assert [event["event"] for event in backend.events] == ["ice", "pie", "dice"]


async def test_a_phones_digits_are_collected_and_silence_is_told_as_a_timeout(sip_exchange: Any, backend: Backend, tmp_path: Path) -> None:
    results: list[dict[str, Any]] = []

    def next_menu(event: dict[str, Any]) -> dict[str, Any]:
        results.append(event["menuResult"])
        return action("hangup") if len(results) > 1 else action("runMenu", menus=[{"id": "main", "timeoutMills": 300, "maxDigits": 1}])

    collect = {"id": "main", "mainPrompt": backend.tone(tmp_path, 500.0), "maxDigits": 4}
    backend.answers |= {"ice": action("runMenu", {"name": "answer"}, menus=[collect]), "pie": next_menu}
    town = await sip_exchange("desk", backend=BackendOptions(backend.url))
    desk = await town.lines.sip_phone()
    call = await desk.dial(f"sip:menu@{town.at}", "sip:desk@127.0.0.1", "desk")
    await call.until(sip.SipAnswered)
    ear = await desk.listen(call, None)
    await hears(ear, 500.0)
    await call.port.dtmf("47#")
    await call.over()
    assert results == [
        {"menuId": "main", "type": "sequence", "value": "47", "inputMethod": "dtmf"},
        {"menuId": "main", "type": "timeout", "value": ""},
    ]
    assert (await backend.heard("dice"))["reason"] == "MANAGERHANGUP"


async def test_a_caller_who_leaves_in_a_menu_is_told_before_the_end(town: Any, steps: Any, backend: Backend, tmp_path: Path) -> None:
    menu = {"id": "main", "mainPrompt": backend.tone(tmp_path, 500.0), "maxDigits": 4}
    backend.answers["ice"] = action("runMenu", menus=[menu])
    alice = await town.phone("alice")
    ear, sound = town.ear()
    call = await alice.call_user("x", sound=sound)
    await hears(ear, 500.0)
    assert call.state is State.RINGING, "a menu alone answers nothing"
    await call.hang_up()
    await steps.end_of(call)
    await backend.heard("dice")
    assert [event["event"] for event in backend.events] == ["ice", "pie", "dice"]
    assert backend.events[1]["menuResult"] == {"menuId": "main", "type": "hangup", "value": ""}


async def test_a_parked_call_hears_its_prompts_until_the_backend_takes_it(town: Any, steps: Any, backend: Backend, tmp_path: Path) -> None:
    park = {"introPrompt": backend.tone(tmp_path, 500.0), "holdPrompt": backend.tone(tmp_path, 700.0)}
    backend.answers["ice"] = action("park", {"name": "answer"}, **park)
    alice = await town.phone("alice")
    ear, sound = town.ear(440.0)
    call = await alice.call_user("queue", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await hears(ear, 500.0)
    await hears(ear, 700.0)
    taken = action("connectConf", conferenceId="desk")
    bob = await town.phone("bob")
    backend.answers["ice"] = taken
    other, there = town.ear(620.0)
    agent = await bob.call_user("desk", sound=there)
    await steps.reach(agent, State.ESTABLISHED)
    await change(town.local, call.id, taken)
    await hears(ear, 620.0)
    await hears(other, 440.0)
    await call.hang_up()
    await agent.hang_up()


async def test_a_park_that_nobody_ends_is_over_in_time(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action("park", {"name": "answer"}, maxDuration=1)
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("queue"))
    assert details.failure is not None and "parked" in details.failure.message
    assert (await backend.heard("dice"))["reason"] == "TIMEOUT"


async def test_a_call_is_recorded_from_its_answer_with_both_sides_in_step(town: Any, steps: Any, backend: Backend) -> None:
    record = {"name": "startRecording", "options": {"format": "wav", "destinationUrl": "s3://b", "credentials": "a:b:c"}}
    backend.answers |= {"ice": action("connectPstn", record, number=ECHO_NUMBER, cli="+14155550100"), "ace": action("continue")}
    alice = await town.phone("alice")
    ear, sound = town.ear(440.0)
    call = await alice.call_user("x", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await hears(ear, 440.0)
    await call.hang_up()
    await steps.end_of(call)
    available = await backend.heard("notify", "recording_available")
    kinds = [event["type"] for event in backend.events if event["event"] == "notify"]
    assert kinds == ["recording_started", "recording_finished", "recording_available"]
    assert available["destination"].startswith(town.local.url), "it is fetched here and nowhere else"
    content, status = await fetch(available["destination"], town.local)
    assert status == 200
    file = next(town.local._folder.rglob("recordings/*.wav"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.read_bytes() == content
    with wave.open(str(file)) as read:
        sound_of = np.frombuffer(read.readframes(read.getnframes()), "<i2").reshape(-1, 2)
    said, heard = (clearest(side) for side in sound_of.T)
    assert said > 0.9, "what the caller said"
    assert heard > 0.9, "the echo"
    assert (await fetch(available["destination"], None))[1] == 401


def clearest(side: Any) -> float:
    """The tone's share in the tenth of a second that has most of it: as long as the call must hear it for."""
    return max(goertzel.share(side[at : at + RATE // 10], 440.0) for at in range(0, len(side) - RATE // 10, RATE // 50))


async def fetch(url: str, local: Any) -> tuple[bytes, int]:
    async with aiohttp.ClientSession(headers=authorization(local) if local is not None else {}) as session, session.get(url) as answer:
        return await answer.read(), answer.status


async def test_calls_to_users_are_not_recorded(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action("connectMxp", {"name": "startRecording"}, destination={"endpoint": "bob"})
    alice, bob = await town.phone("alice"), await town.phone("bob")
    call = await alice.call_user("x")
    incoming = await steps.next_call(bob)
    await incoming.answer()
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up()
    await steps.end_of(call)
    await backend.heard("dice")
    assert [event["event"] for event in backend.events] == ["ice", "dice"]
