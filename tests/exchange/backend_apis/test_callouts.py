"""Callouts over HTTP (Sinch Voice REST): the exchange calls simulated numbers, and its backend says what they hear."""

import asyncio
import json
from typing import Any

import pytest

STAYS, LEAVES, BUSY, RINGS = (f"+141555501{number}" for number in (20, 21, 22, 23))
FROM = "+46700000001"


def number(endpoint: str) -> dict[str, str]:
    return {"type": "number", "endpoint": endpoint}


async def test_a_text_is_spoken_and_the_call_is_over(developer: Any) -> None:
    call = await developer.call_out("ttsCallout", destination=number(STAYS), cli=FROM, text="Hi", custom="of mine")
    said = await developer.over(call)
    assert (said["callId"], said["custom"], said["to"], said["domain"]) == (call, "of mine", number(STAYS), "pstn")
    assert (said["result"], said["reason"]) == ("ANSWERED", "MANAGERHANGUP")


async def test_an_exchange_is_in_use_while_a_callout_goes_on(developer: Any) -> None:
    call = await developer.call_out("ttsCallout", destination=number(RINGS), cli=FROM, text="Hi")
    assert (await developer.basic("GET", "/exchange"))[1]["calls"] == 1
    assert developer.exchange.idle_seconds() == 0.0
    assert (await developer.ask("PATCH", f"/calling/v1/calls/id/{call}", {"action": {"name": "hangup"}}))[0] == 200
    await developer.over(call)
    assert (await developer.basic("GET", "/exchange"))[1]["calls"] == 0


async def test_without_cli_the_call_never_arrives(developer: Any) -> None:
    said = await developer.over(await developer.call_out("ttsCallout", destination=number(STAYS), text="Hi"))
    assert (said["result"], said["reason"], said["duration"]) == ("FAILED", "BLOCKED", 0)


@pytest.mark.parametrize(("to", "result", "reason"), [(BUSY, "BUSY", "BUSY"), ("+14155550109", "FAILED", "USERNOTFOUND")])
async def test_what_becomes_of_a_call_is_told(developer: Any, to: str, result: str, reason: str) -> None:
    said = await developer.over(await developer.call_out("ttsCallout", destination=number(to), cli=FROM, text="Hi"))
    assert (said["result"], said["reason"]) == (result, reason)


async def test_text_and_conference_callouts_tell_the_backend_only_what_they_enable(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers["ace"] = action("continue")
    silent = await developer.call_out("ttsCallout", destination=number(STAYS), cli=FROM, text="Hi")
    told = await developer.call_out(
        "ttsCallout", destination=number(STAYS), cli=FROM, text="Hi", custom="x", enableAce=True, enableDice=True
    )
    assert (await backend.heard("dice"))["callid"] == told
    await developer.over(silent)
    assert backend.kinds(told) == ["ace", "dice"]
    assert backend.kinds(silent) == []
    assert backend.events[0]["custom"] == "x"


async def test_ace_of_a_text_callout_may_hang_up_before_the_text(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers["ace"] = action("hangup")
    call = await developer.call_out("ttsCallout", destination=number(STAYS), cli=FROM, text="A long text " * 20, enableAce=True)
    assert (await developer.over(call))["duration"] <= 2


async def test_a_custom_callout_asks_ice_ace_and_dice(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS, cli=FROM), "ace": action("hangup")}
    call = await developer.call_out("customCallout", destination=number(LEAVES), cli=FROM, custom="of mine")
    dice = await backend.heard("dice")
    assert backend.kinds(call) == ["ice", "ace", "dice"]
    assert {event["custom"] for event in backend.events} == {"of mine"}
    assert (backend.events[0]["to"], backend.events[0]["cli"]) == (number(LEAVES), FROM)
    assert (dice["to"], dice["from"], dice["reason"], dice["result"]) == (number(STAYS), FROM, "MANAGERHANGUP", "ANSWERED")


async def test_answers_may_be_given_in_advance(developer: Any, action: Any) -> None:
    inline = {"ice": json.dumps(action("connectPstn", number=STAYS, cli=FROM)), "ace": json.dumps(action("hangup"))}
    said = await developer.over(await developer.call_out("customCallout", **inline))
    assert (said["to"], said["result"], said["reason"]) == (number(STAYS), "ANSWERED", "MANAGERHANGUP")


async def test_an_event_of_one_callout_may_be_asked_for_at_a_url_of_its_own(developer: Any, backend: Any, action: Any) -> None:
    backend.answers["ace"] = action("hangup")
    call = await developer.call_out("customCallout", destination=number(STAYS), cli=FROM, ace=backend.url)
    assert (await developer.over(call))["reason"] == "MANAGERHANGUP"
    assert backend.kinds(call) == ["ace"]


async def test_who_is_called_hangs_up(developer: Any) -> None:
    call = await developer.call_out("customCallout", destination=number(LEAVES), cli=FROM)
    said = await developer.over(call)
    assert (said["result"], said["reason"]) == ("ANSWERED", "CALLEEHANGUP")


async def test_a_conference_callout_brings_somebody_into_a_room(developer: Any) -> None:
    call = await developer.call_out("conferenceCallout", destination=number(STAYS), cli=FROM, conferenceId="tea", greeting="Hi")
    async with asyncio.timeout(20):
        while not (there := (await developer.ask("GET", "/calling/v1/conferences/id/tea"))[1].get("participants")):
            await asyncio.sleep(0.05)
    assert [(one["id"], one["cli"]) for one in there] == [(call, STAYS)]
    assert (await developer.ask("DELETE", f"/calling/v1/conferences/id/tea/{call}"))[0] == 200
    assert (await developer.over(call))["reason"] == "MANAGERHANGUP"


async def test_a_callout_lasts_as_long_as_it_may(developer: Any) -> None:
    call = await developer.call_out("customCallout", destination=number(STAYS), cli=FROM, maxDuration=1)
    said = await developer.over(call)
    assert (said["reason"], said["duration"]) == ("TIMEOUT", 1)


async def test_headers_for_the_backend_come_along_up_to_five(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS), "ace": action("hangup")}
    headers = {f"X-CB-{index}": f"value {index}" for index in range(7)} | {"X-CB-" + "n" * 40: "too long a name"}
    body = {"method": "customCallout", "customCallout": {"destination": number(STAYS), "cli": FROM}}
    assert (await developer.ask("POST", "/calling/v1/callouts", body, headers=headers))[0] == 200
    await backend.heard("dice")
    for request, _ in backend.requests:
        assert {name: value for name, value in request.headers.items() if name.startswith("X-CB-")} == {
            f"X-CB-{index}": f"value {index}" for index in range(5)
        }


async def events_of(developer: Any, call: str) -> tuple[Any, list[Any]]:
    status, told = await developer.basic("GET", f"/__sinchphone/trace/calls/{call}")
    assert status == 200, told
    return told["call"], told["events"]


async def test_a_callout_stands_in_the_trace_with_its_rest_requests_and_callbacks(developer: Any, action: Any) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number=STAYS, cli=FROM), "ace": action("continue")}
    call = await developer.call_out("customCallout", cli=FROM, ice=developer.backend.url, ace=developer.backend.url)
    await developer.answered(call)
    assert (await developer.ask("PATCH", f"/calling/v1/calls/id/{call}", {"action": {"name": "park"}}))[0] != 404
    assert (await developer.ask("PATCH", f"/calling/v1/calls/id/{call}", {"action": {"name": "hangup"}}))[0] == 200
    await developer.over(call)
    kept, events = await events_of(developer, call)
    assert (kept["caller"], kept["callee"], kept["endedAt"] is None) == (FROM, STAYS, False)
    asked = {event["summary"].split(" ")[0] for event in events if event["kind"] == "rest" and event["target"] == "exchange"}
    assert asked == {"POST", "GET", "PATCH"}
    assert [event["summary"] for event in events if event["kind"] == "callback" and event["target"] == "backend"][:2] == ["ICE", "ACE"]
    assert [one["id"] for one in (await developer.basic("GET", "/__sinchphone/trace/calls"))[1]["calls"]] == [call]


async def test_what_another_application_asks_about_a_callout_is_not_in_its_trace(developer: Any) -> None:
    call = await developer.call_out("ttsCallout", destination=number(STAYS), cli=FROM, text="Hi")
    assert (await developer.ask("GET", f"/calling/v1/calls/id/{call}", key="globex"))[0] == 404
    _, events = await events_of(developer, call)
    assert [event["summary"].split(" ")[0] for event in events if event["kind"] == "rest" and event["target"] == "exchange"] == ["POST"]
