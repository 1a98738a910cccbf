"""Calls that are parked while they go on (PATCH calls), from wherever they are, and what follows."""

import asyncio
from typing import Any

import pytest

PHONES = "/__sinchphone/calls"
TO, FROM = "+46700000001", "+46700000002"
STAYS, LEAVES, RINGS = "+14155550120", "+14155550121", "+14155550123"
MENU = {"id": "main", "maxDigits": 4, "timeoutMills": 60_000}
SLOW = {"name": "say", "text": "A very long text that nobody wants to hear to its end. " * 10}


async def answered(developer: Any) -> Any:
    """A phone called, and the exchange answered."""
    status, said = await developer.ask("POST", PHONES, {"to": TO, "from": FROM, "tone": 440})
    assert status == 201, said
    await until(developer, said, "answered")
    return said


async def until(developer: Any, phone: Any, state: str) -> Any:
    async with asyncio.timeout(20):
        while (said := (await developer.ask("GET", f"{PHONES}/{phone['id']}"))[1])["state"] != state:
            await asyncio.sleep(0.02)
    return said


async def change(developer: Any, phone: Any, answer: Any) -> tuple[int, Any]:
    said: tuple[int, Any] = await developer.ask("PATCH", f"/calling/v1/calls/id/{phone['id']}", answer)
    return said


WHEREVER = {
    "at a number": lambda action: {"ice": action("connectPstn", number=STAYS), "ace": action("continue")},
    "in a room": lambda action: {"ice": action("connectConf", conferenceId="lobby")},
    "in a menu": lambda action: {"ice": action("runMenu", {"name": "answer"}, menus=[MENU])},
    "in a menu after the answer": lambda action: {
        "ice": action("connectPstn", {"name": "answer"}, number=STAYS),
        "ace": action("runMenu", menus=[MENU]),
    },
    "being told something": lambda action: {"ice": action("hangup", {"name": "answer"}, SLOW)},
    "while another one rings": lambda action: {"ice": action("connectPstn", {"name": "answer"}, number=RINGS, dialTimeout=2)},
}


@pytest.mark.parametrize("where", WHEREVER)
async def test_a_caller_is_parked_wherever_they_are_and_goes_where_the_backend_says(developer: Any, action: Any, where: str) -> None:
    backend = await developer.use_backend()
    backend.answers |= WHEREVER[where](action)
    phone = await answered(developer)
    assert await change(developer, phone, action("park")) == (200, {})
    backend.answers["ace"] = action("continue")
    assert await change(developer, phone, action("connectPstn", number=LEAVES)) == (200, {}), "it may be taken at once"
    assert "failure" not in await until(developer, phone, "ended")
    assert (await backend.heard("dice"))["reason"] == "CALLEEHANGUP"
    kinds = backend.kinds(phone["id"])
    assert kinds.count("dice") == 1
    assert "pie" not in kinds, "nobody left the menu"


async def test_nobody_is_in_the_room_from_which_a_caller_was_parked(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers["ice"] = action("connectConf", conferenceId="lobby")
    phone = await answered(developer)
    room = "/calling/v1/conferences/id/lobby"
    assert len((await developer.ask("GET", room))[1]["participants"]) == 1
    assert await change(developer, phone, action("park", maxDuration=60)) == (200, {})
    async with asyncio.timeout(20):
        while (await developer.ask("GET", room))[1].get("participants"):
            await asyncio.sleep(0.02)
    assert await change(developer, phone, action("connectConf", conferenceId="lobby")) == (200, {})
    async with asyncio.timeout(20):
        while not (await developer.ask("GET", room))[1].get("participants"):
            await asyncio.sleep(0.02)


async def test_a_park_of_a_call_that_goes_on_is_over_in_time_too(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS), "ace": action("continue")}
    phone = await answered(developer)
    assert await change(developer, phone, action("park", maxDuration=1)) == (200, {})
    await until(developer, phone, "ended")
    assert (await backend.heard("dice"))["reason"] == "TIMEOUT"


async def test_a_parked_call_is_hung_up_or_parked_again(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS), "ace": action("continue")}
    phone = await answered(developer)
    for answer in (action("park"), action("park"), action("hangup")):
        assert await change(developer, phone, answer) == (200, {})
    await until(developer, phone, "ended")
    assert (await backend.heard("dice"))["reason"] == "MANAGERHANGUP"


async def test_a_call_that_is_not_answered_is_not_parked(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers["ice"] = action("connectPstn", number=RINGS)
    status, phone = await developer.ask("POST", PHONES, {"to": TO, "from": FROM})
    await until(developer, phone, "ringing")
    status, said = await change(developer, phone, action("park"))
    assert (status, said["errorCode"]) == (409, 40003)
    assert await change(developer, phone, action("hangup")) == (200, {})


async def test_a_callout_is_parked_and_goes_on_in_silence_or_to_somebody(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn"), "ace": action("continue")}
    call = await developer.call_out("customCallout", destination={"endpoint": STAYS}, cli=FROM)
    await developer.answered(call)
    for answer in (action("park"), action("continue"), action("park")):
        assert await change(developer, {"id": call}, answer) == (200, {})
        await asyncio.sleep(0.05)
        assert (await developer.call(call))["status"] == "ONGOING"
    assert await change(developer, {"id": call}, action("connectPstn", number=LEAVES)) == (200, {})
    assert (await developer.over(call))["result"] == "ANSWERED"


async def test_a_calls_longest_time_counts_from_when_both_talk_though_it_was_answered_before(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", {"name": "answer"}, number=STAYS, maxDuration=1), "ace": action("continue")}
    phone = await answered(developer)
    assert (await until(developer, phone, "ended"))["seconds"] < 10
    assert (await backend.heard("dice"))["reason"] == "TIMEOUT"


async def test_a_calls_longest_time_is_no_longer_that_of_a_talk_that_is_over(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS, maxDuration=1), "ace": action("continue")}
    phone = await answered(developer)
    assert await change(developer, phone, action("park")) == (200, {})
    await asyncio.sleep(1.2)
    assert (await until(developer, phone, "answered"))["state"] == "answered"
