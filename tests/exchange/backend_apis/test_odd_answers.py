"""Answers of backends that lead nowhere, come round, or can't be carried out: the call ends, and DiCE says why."""

import asyncio
import json
import logging
from typing import Any

import pytest

from sinchphone.gateway.bridging import b2bua

PHONES = "/__sinchphone/calls"
TO, FROM = "+46700000001", "+46700000002"
STAYS = "+14155550120"
AT_ONCE = {"id": "main", "maxDigits": 1, "timeoutMills": 1}


async def dial(developer: Any, **members: Any) -> Any:
    status, said = await developer.ask("POST", PHONES, {"to": TO, "from": FROM, **members})
    assert status == 201, said
    return said


@pytest.mark.parametrize("instructions", [[], [{"name": "answer"}]])
async def test_a_caller_who_leaves_while_the_message_is_said_is_not_why_the_call_failed(
    developer: Any, action: Any, instructions: Any
) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("runMenu", *instructions, menus=[AT_ONCE]), "pie": {}}
    phone = await dial(developer)
    await backend.heard("notify")
    assert await developer.ask("DELETE", f"{PHONES}/{phone['id']}") == (200, {})
    dice = await backend.heard("dice")
    assert (dice["reason"], dice["result"]) == ("CALLBACKERROR", "ANSWERED" if instructions else "FAILED")


async def test_answers_in_advance_that_lead_in_a_circle_end_the_call(
    developer: Any, action: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(b2bua, "MAX_CONNECTIONS", 5)
    ace, pie = json.dumps(action("runMenu", menus=[AT_ONCE])), json.dumps(action("connectPstn", number=STAYS, cli=FROM))
    with caplog.at_level(logging.ERROR):
        call = await developer.call_out("customCallout", destination={"endpoint": STAYS}, cli=FROM, ace=ace, pie=pie)
        said = await developer.over(call)
    assert (said["reason"], said["result"]) == ("INVALIDSVAMLACTION", "ANSWERED")
    assert not caplog.records, "that is no fault of the program"


@pytest.mark.parametrize(
    "members",
    [
        {"name": "runMenu", "menus": [AT_ONCE]},
        {"name": "park"},
        {"name": "connectConf", "conferenceId": "lobby"},
        {"name": "connectStream", "destination": {"endpoint": "ws://127.0.0.1:1/"}},
    ],
)
async def test_a_callout_begins_with_a_call_to_somebody(developer: Any, members: Any) -> None:
    backend = await developer.use_backend()
    said = await developer.over(await developer.call_out("customCallout", ice=json.dumps({"action": members})))
    assert said["reason"] == "INVALIDSVAMLACTION"
    await backend.heard("dice")
    assert [event["event"] for event in backend.events] == ["dice"], "there was nobody who could hear a menu"


@pytest.mark.parametrize(
    ("action", "to"),
    [
        ({"name": "connectMxp", "destination": {"endpoint": "echo"}}, {"type": "username", "endpoint": "echo"}),
        ({"name": "connectSip", "destination": {"endpoint": "x@127.0.0.1:1"}}, {"type": "sip", "endpoint": "x@127.0.0.1:1"}),
        ({"name": "connectPstn", "number": STAYS, "cli": FROM}, {"type": "number", "endpoint": STAYS}),
    ],
)
async def test_a_callout_is_told_of_as_one_to_whom_the_answer_names(developer: Any, action: Any, to: Any) -> None:
    call = await developer.call_out("customCallout", ice=json.dumps({"action": action}))
    async with asyncio.timeout(20):
        while (said := await developer.call(call))["to"] != to:
            assert said["status"] != "FINAL"
            await asyncio.sleep(0.02)


async def test_what_is_wrong_with_menus_is_said_first(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers["ice"] = action("runMenu", menus=[{"id": "a"}])
    await dial(developer)
    assert (await backend.heard("notify"))["errorMsg"].startswith('action.menus is a list of "a", but should be a list of menus, one with')
