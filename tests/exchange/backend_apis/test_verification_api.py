"""The Verification API over HTTP: codes go to the inbox, reports and queries by id, number and reference, events to the backend."""

import asyncio
import base64
import re
from typing import Any

import pytest

from sinchphone.protocol.auth import verify_request

ON_BOTH_STORES = (
    "test_a_device_names_its_application_and_verifies_itself",
    "test_wrong_codes_are_refused_then_the_right_one_once",
    "test_a_code_that_is_asked_for_again_replaces_the_first_only_when_it_goes_out",
    "test_a_report_that_can_not_be_read_is_no_guess",
    "test_of_another_application_and_of_nobody_nothing_is_found",
)
ALL = "/verification/v1/verifications"
NUMBER = "+46700000001"
WHO = {"type": "number", "endpoint": NUMBER}


async def start(developer: Any, method: str = "sms", **more: Any) -> Any:
    status, said = await developer.ask("POST", ALL, {"identity": WHO, "method": method, **more})
    assert status == 200, said
    return said


async def inbox(developer: Any) -> Any:
    status, said = await developer.basic("GET", "/__sinchphone/sms")
    assert status == 200, said
    return said["messages"]


async def code(developer: Any) -> str:
    """The last code that came."""
    text = (await inbox(developer))[-1]["text"]
    found = re.search(r"(\+1\d{10}|[0-9A-Z]{4})$", text)
    assert found, text
    return found[1]


def report(method: str, told: str) -> Any:
    return {"method": method, ("flashCall" if method == "flashCall" else method): {"cli" if "lash" in method else "code": told}}


@pytest.mark.parametrize("method", ["sms", "flashCall", "callout"])
async def test_a_code_that_is_reported_by_id_is_successful(developer: Any, method: str) -> None:
    said = await start(developer, method, reference=f"ref-{method}", custom="of mine")
    assert said["method"] == method.lower()
    by_id = f"{ALL}/id/{said['id']}"
    assert (await developer.ask("GET", by_id))[1]["status"] == "PENDING"
    status, done = await developer.ask("PUT", by_id, report(method, await code(developer)))
    assert (status, done["status"], done["id"], done["identity"]) == (200, "SUCCESSFUL", said["id"], WHO)
    for path in (by_id, f"{ALL}/reference/ref-{method}", f"{ALL}/{method}/number/{NUMBER}"):
        assert (await developer.ask("GET", path))[1]["status"] == "SUCCESSFUL"


@pytest.mark.parametrize("written", [NUMBER, "%2B46700000001", "46700000001", "+46%2070%20000%2000%2001"])
async def test_a_number_in_a_path_is_one_however_it_is_written(developer: Any, written: str) -> None:
    await start(developer)
    assert (await developer.ask("GET", f"{ALL}/sms/number/{written}"))[0] == 200
    assert (await developer.ask("PUT", f"{ALL}/number/{written}", report("sms", await code(developer))))[0] == 200


async def test_a_device_names_its_application_and_verifies_itself(developer: Any) -> None:
    async def device(verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with developer.session.request(
            verb, developer.exchange.url + path, json=body, headers={"Authorization": "application acme"}
        ) as answer:
            return answer.status, await answer.json()

    assert (await device("POST", ALL, {"identity": WHO, "method": "sms"}))[0] == 200
    status, said = await device("PUT", f"{ALL}/number/{NUMBER}", report("sms", await code(developer)))
    assert (status, said["status"]) == (200, "SUCCESSFUL")


async def test_wrong_codes_are_refused_then_the_right_one_once(developer: Any) -> None:
    path = f"{ALL}/id/{(await start(developer))['id']}"
    right = await code(developer)
    wrong = "0000" if right != "0000" else "1111"
    assert [(await developer.ask("PUT", path, report("sms", wrong)))[0] for _ in range(4)] == [400] * 4
    answers = await asyncio.gather(*(developer.ask("PUT", path, report("sms", right)) for _ in range(5)))
    assert sorted(status for status, _ in answers) == [200, 400, 400, 400, 400]
    assert (await developer.ask("GET", path))[1]["status"] == "SUCCESSFUL"


async def test_a_code_that_is_asked_for_again_replaces_the_first_only_when_it_goes_out(developer: Any) -> None:
    first = await start(developer)
    old = await code(developer)
    for _ in range(4):
        second = await start(developer)
    status, said = await developer.ask("POST", ALL, {"identity": WHO, "method": "sms"})
    assert (status, said["errorCode"]) == (429, 42900)
    assert (await developer.ask("PUT", f"{ALL}/id/{first['id']}", report("sms", old)))[0] == 400
    assert (await developer.ask("PUT", f"{ALL}/id/{second['id']}", report("sms", await code(developer))))[0] == 200


async def test_the_backend_is_asked_with_a_signature_and_told_the_result(developer: Any) -> None:
    backend = await developer.use_backend()
    backend.answers["VerificationRequestEvent"] = {"action": "allow", "sms": {"code": "0042"}}
    said = await start(developer, reference="r", custom="ñ and 📱")
    assert (await developer.ask("PUT", f"{ALL}/id/{said['id']}", report("sms", "0042")))[0] == 200
    asked, told = await backend.heard("VerificationRequestEvent"), await backend.heard("VerificationResultEvent")
    assert (asked["id"], asked["method"], asked["identity"], asked["custom"]) == (said["id"], "sms", WHO, "ñ and 📱")
    assert (told["status"], told["reference"], told["source"]) == ("SUCCESSFUL", "r", "manual")
    for request, body in backend.requests:
        key, _, signature = request.headers["Authorization"].removeprefix("application ").partition(":")
        signed = ("POST", "/sinch", body, request.headers["Content-Type"], request.headers["x-timestamp"])
        assert key == "acme"
        assert verify_request(*signed, base64.b64decode(base64.b64encode(b"a" * 16)), signature)


@pytest.mark.parametrize(
    ("answer", "reason"), [({"action": "deny"}, "Denied by callback"), (500, "Invalid callback"), ({"action": 5}, "Invalid callback")]
)
async def test_a_backend_that_denies_or_fails_lets_no_code_out(developer: Any, answer: Any, reason: str) -> None:
    backend = await developer.use_backend()
    backend.answers["VerificationRequestEvent"] = answer
    status, said = await developer.ask("POST", ALL, {"identity": WHO, "method": "sms", "reference": "denied"})
    assert (status, said["errorCode"]) == (403, 40301)
    assert await inbox(developer) == []
    assert (await developer.ask("GET", f"{ALL}/reference/denied"))[1]["reason"] == reason
    assert (await backend.heard("VerificationResultEvent"))["status"] == "DENIED"


@pytest.mark.parametrize("method", ["seamless", "whatsapp", "WhatsApp"])
async def test_methods_that_are_not_here_are_refused_by_name(developer: Any, method: str) -> None:
    status, said = await developer.ask("POST", ALL, {"identity": WHO, "method": method})
    assert (status, said["errorCode"]) == (501, 50100)
    assert method.lower() in said["message"].lower()


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        b"{",
        {"method": "sms"},
        {"method": "pigeon", "identity": WHO},
        {"method": 5, "identity": WHO},
        {"method": "sms", "identity": NUMBER},
        {"method": "sms", "identity": {"type": "email", "endpoint": "a@b.example"}},
        {"method": "sms", "identity": {"type": "number", "endpoint": "12"}},
        {"method": "sms", "identity": {"type": "number", "endpoint": 46700000001}},
        {"method": "sms", "identity": WHO, "reference": {}},
        {"method": "sms", "identity": WHO, "reference": "x" * 1000},
        {"method": "sms", "identity": WHO, "smsOptions": {"codeType": "Runes"}},
        {"method": "sms", "identity": WHO, "smsOptions": {"template": "no code"}},
        {"method": "sms", "identity": WHO, "smsOptions": {"expiry": "soon"}},
        {"method": "flashCall", "identity": WHO, "flashCallOptions": {"dialTimeout": -1}},
        {"method": "callout", "identity": WHO, "calloutOptions": {"speech": "en"}},
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_goes_out(developer: Any, body: Any) -> None:
    status, said = await developer.ask("POST", ALL, body)
    assert (status, said["errorCode"]) == (400, 40001)
    assert said["message"]
    assert said["reference"]
    assert await inbox(developer) == []


@pytest.mark.parametrize(
    "body", [{}, {"method": "sms"}, {"method": "sms", "sms": "1234"}, {"method": "sms", "sms": {"code": 1234}}, b"\xff"]
)
async def test_a_report_that_can_not_be_read_is_no_guess(developer: Any, body: Any) -> None:
    path = f"{ALL}/id/{(await start(developer))['id']}"
    for _ in range(6):
        assert (await developer.ask("PUT", path, body))[0] == 400
    assert (await developer.ask("PUT", path, report("sms", await code(developer))))[0] == 200


async def test_of_another_application_and_of_nobody_nothing_is_found(developer: Any) -> None:
    said = await start(developer, reference="mine")
    for path in (f"{ALL}/id/{said['id']}", f"{ALL}/reference/mine", f"{ALL}/sms/number/{NUMBER}"):
        status, found = await developer.ask("GET", path, key="globex")
        assert (status, found["errorCode"]) == (404, 40400)
    assert (await developer.ask("PUT", f"{ALL}/id/nobody", report("sms", "1")))[0] == 404
    assert (await developer.ask("PUT", f"{ALL}/number/+46700000009", report("sms", "1")))[0] == 404


async def test_codes_are_of_the_kind_and_in_the_words_that_were_asked_for(developer: Any) -> None:
    said = await start(developer, smsOptions={"codeType": "Alpha", "template": "Acme: {{CODE}}", "expiry": "00:01:30"})
    assert said["sms"] == {"template": "Acme: {{CODE}}", "interceptionTimeout": 90, "codeType": "Alpha"}
    assert re.fullmatch(r"Acme: [A-Z]{4}", (await inbox(developer))[-1]["text"])
