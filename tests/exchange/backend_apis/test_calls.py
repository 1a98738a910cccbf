"""What a backend is told of a call, and tells it, by id (Sinch Voice REST, calls)."""

import asyncio
from typing import Any

import pytest

STAYS, RINGS = "+14155550120", "+14155550123"
FROM = "+46700000001"
SAY = {"name": "say", "text": "Hi"}
LONG = "A very long text that nobody wants to hear to its end. " * 10


async def stays(developer: Any) -> str:
    """A call that was answered, and goes on."""
    call: str = await developer.call_out("customCallout", destination={"type": "number", "endpoint": STAYS}, cli=FROM)
    await developer.answered(call)
    return call


def path(call: str, leg: str = "") -> str:
    return f"/calling/v1/calls/id/{call}" + (f"/leg/{leg}" if leg else "")


async def test_a_call_that_goes_on_is_ongoing_and_counts_its_seconds(developer: Any) -> None:
    said = await developer.call(await stays(developer))
    assert (said["status"], said["result"], said["reason"]) == ("ONGOING", "ANSWERED", "N/A")
    assert said["userRate"] == said["debit"] == {"currencyId": "USD", "amount": 0}
    assert "from" not in said, "the SDK of PyPI can't read that"


async def test_a_call_that_rings_is_hung_up(developer: Any) -> None:
    call = await developer.call_out("customCallout", destination={"endpoint": RINGS}, cli=FROM)
    assert (await developer.call(call))["result"] == "N/A"
    assert await developer.ask("PATCH", path(call), {"action": {"name": "hangup"}}) == (200, {})
    said = await developer.over(call)
    assert (said["reason"], said["duration"]) == ("MANAGERHANGUP", 0)


async def test_a_call_is_hung_up_once_and_afterwards_it_is_over_for_whoever_asks(developer: Any) -> None:
    call = await stays(developer)
    asked = [developer.ask("PATCH", path(call), {"action": {"name": "hangup"}, "instructions": []}) for _ in range(3)]
    assert {status for status, _ in await asyncio.gather(*asked)} <= {200, 404}
    assert (await developer.over(call))["status"] == "FINAL"
    for request in (("PATCH", path(call)), ("PATCH", path(call, "caller"))):
        status, said = await developer.ask(*request, {"instructions": [SAY], "action": {"name": "continue"}})
        assert (status, said["errorCode"]) == (404, 40400)


async def test_new_instructions_take_the_place_of_those_that_are_being_carried_out(developer: Any) -> None:
    call = await developer.call_out("ttsCallout", destination={"type": "number", "endpoint": STAYS}, cli=FROM, text=LONG)
    await developer.answered(call)
    assert await developer.ask("PATCH", path(call), {"instructions": [SAY], "action": {"name": "hangup"}}) == (200, {})
    said = await developer.over(call)
    assert (said["reason"], said["duration"] < 5) == ("MANAGERHANGUP", True)


async def test_instructions_over_the_talk_then_on_as_before(developer: Any) -> None:
    call = await stays(developer)
    assert await developer.ask("PATCH", path(call), {"instructions": [SAY], "action": {"name": "continue"}}) == (200, {})
    await asyncio.sleep(0.5)
    assert (await developer.call(call))["status"] == "ONGOING"


@pytest.mark.parametrize("leg", ["caller", "callee", "both"])
async def test_something_is_said_to_a_leg(developer: Any, leg: str) -> None:
    call = await stays(developer)
    assert await developer.ask("PATCH", path(call, leg), {"instructions": [SAY], "action": {"name": "continue"}}) == (200, {})
    assert (await developer.call(call))["status"] == "ONGOING"


@pytest.mark.parametrize("call", ["nowhere", "..%2F..%2Fx", "%00", "x" * 500])
async def test_unknown_calls_are_not_found(developer: Any, call: str) -> None:
    for request in (("GET", path(call)), ("PATCH", path(call)), ("PATCH", path(call, "both"))):
        status, said = await developer.ask(*request, None if request[0] == "GET" else {"action": {"name": "hangup"}})
        assert (status, said["errorCode"]) == (404, 40400)
        assert said["message"]
        assert said["reference"]


async def test_another_applications_call_is_not_found(developer: Any) -> None:
    call = await stays(developer)
    assert (await developer.ask("GET", path(call), key="globex"))[0] == 404
    assert (await developer.ask("PATCH", path(call), {"action": {"name": "hangup"}}, key="globex"))[0] == 404
    assert (await developer.call(call))["status"] == "ONGOING"


@pytest.mark.parametrize(
    "body",
    [
        {"action": {"name": "connectPstn", "number": STAYS}},
        {"action": {"name": "dance"}},
        {"action": "hangup"},
        {"instructions": [{"name": "say"}], "action": {"name": "continue"}},
        {"instructions": {"name": "say"}},
        [],
        b"{",
        b"\xff\xfe",
        b"null",
        b"[" * 50_000,
    ],
)
async def test_what_is_no_svaml_for_a_call_is_refused_and_the_call_goes_on(developer: Any, body: Any) -> None:
    call = await stays(developer)
    status, said = await developer.ask("PATCH", path(call), body)
    assert (status, said["errorCode"]) == (400, 40001)
    assert (await developer.call(call))["status"] == "ONGOING"


@pytest.mark.parametrize(
    ("leg", "body"),
    [
        ("nobody", {"instructions": [SAY]}),
        ("caller", {"instructions": [{"name": "sendDtmf", "value": "1"}]}),
        ("caller", {"instructions": [SAY], "action": {"name": "hangup"}}),
        ("caller", {}),
    ],
)
async def test_a_leg_hears_words_and_nothing_else(developer: Any, leg: str, body: Any) -> None:
    status, said = await developer.ask("PATCH", path(await stays(developer), leg), body)
    assert (status, said["errorCode"] in (40001, 40002)) == (400, True)


@pytest.mark.parametrize("early_s", [0.0, 0.02, 0.05, 0.09])
async def test_hanging_up_while_the_other_side_does_is_no_fault_and_told_once(developer: Any, action: Any, early_s: float) -> None:
    backend = await developer.use_backend()
    backend.answers |= {"ice": action("connectPstn", number="+14155550121"), "ace": action("continue")}
    call = await developer.call_out("customCallout", destination={"endpoint": "+14155550121"}, cli=FROM)
    await backend.heard("ace")
    await asyncio.sleep(0.1 - early_s)  # it hangs up a tenth of a second after the answer
    asked = [developer.ask("PATCH", path(call), {"action": {"name": "hangup"}}) for _ in range(2)]
    assert {status for status, _ in await asyncio.gather(*asked)} <= {200, 404}
    assert (await developer.over(call))["result"] == "ANSWERED"
    await backend.heard("dice")
    await asyncio.sleep(0.1)
    assert backend.kinds(call).count("dice") == 1
