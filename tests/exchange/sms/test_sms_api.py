"""The SMS API of the local exchange, as our own client and as somebody else's uses it."""

import base64
import json
import time
from typing import Any

import aiohttp
import pytest

from sinchphone.errors import AuthenticationError, NotFoundError
from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.sms import routes
from sinchphone.exchange.sms.inbox import MAX_MESSAGES, MAX_TEXT_CHARACTERS
from sinchphone.local.management import ExchangeManagement
from sinchphone.local.signed_requests import SignedRequests
from sinchphone.signaling.services.sms import Delivery, SmsApi

SECRETS = {"acme": base64.b64encode(b"a" * 16).decode(), "globex": base64.b64encode(b"g" * 16).decode()}
ON_BOTH_STORES = (
    "test_our_own_client_sends_a_text_that_is_delivered_and_kept",
    "test_numbers_come_in_all_forms_of_the_api_and_go_back_without_a_plus",
)
ADA, BOB = "+46700000001", "+46700000002"


async def ask(
    session: aiohttp.ClientSession, exchange: Exchange, verb: str, path: str, body: Any = None, *, token: str = SECRETS["acme"]
) -> tuple[int, Any]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with session.request(verb, f"{exchange.url}/xms/v1{path}", data=sent, headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("token", [SECRETS["acme"], management_token(b"a" * 16)], ids=["secret", "management token"])
async def test_our_own_client_sends_a_text_that_is_delivered_and_kept(exchange: Exchange, token: str) -> None:
    async with SmsApi.open(exchange.url, "acme", token) as api:
        batch = await api.send((ADA, BOB), "grüße", sender="Acme")
        assert [(await api.report(batch, number)).delivery for number in (ADA, BOB)] == [Delivery.DELIVERED] * 2
    assert [(one.sender, one.number, one.text) for one in exchange.sms.messages("acme")] == [("Acme", ADA, "grüße"), ("Acme", BOB, "grüße")]


@pytest.mark.parametrize("token", ["", "wrong", SECRETS["globex"], management_token(b"g" * 16)])
async def test_somebody_elses_token_sends_nothing(exchange: Exchange, token: str) -> None:
    async with SmsApi.open(exchange.url, "acme", token or "x") as api:
        with pytest.raises(AuthenticationError):
            await api.send((ADA,), "hi", sender=None)
    assert exchange.sms.messages("acme") == []


async def test_an_unknown_plan_is_not_told_from_a_wrong_token(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    assert (await ask(http, exchange, "POST", "/nobody/batches", {}, token=base64.b64encode(b"").decode()))[0] == 401


async def test_numbers_come_in_all_forms_of_the_api_and_go_back_without_a_plus(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    numbers = ["46700000001", "0046 70-000 00 02", "+46 (70) 0000003", "46700000001"]
    status, batch = await ask(http, exchange, "POST", "/acme/batches", {"to": numbers, "body": "hi", "client_reference": "r1"})
    assert (status, batch["to"], batch["client_reference"]) == (201, ["46700000001", "46700000002", "46700000003"], "r1")
    assert batch["type"] == "mt_text" and batch["canceled"] is False and batch["created_at"] == batch["modified_at"]
    status, again = await ask(http, exchange, "GET", f"/acme/batches/{batch['id']}")
    assert (status, again["to"], again["body"]) == (200, batch["to"], "hi")
    status, report = await ask(http, exchange, "GET", f"/acme/batches/{batch['id']}/delivery_report")
    assert (status, report["total_message_count"], report["statuses"][0]["status"]) == (200, 3, "Delivered")
    status, report = await ask(http, exchange, "GET", f"/acme/batches/{batch['id']}/delivery_report/46700000002")
    assert (status, report["recipient"], report["status"]) == (200, "46700000002", "Delivered")


@pytest.mark.parametrize(
    ("asked", "told"), [({}, "none"), ({"delivery_report": "full"}, "full"), ({"delivery_report": "summary"}, "summary")]
)
async def test_a_batch_is_answered_with_the_delivery_report_that_was_asked_for(
    exchange: Exchange, http: aiohttp.ClientSession, asked: dict[str, str], told: str
) -> None:
    status, batch = await ask(http, exchange, "POST", "/acme/batches", {"to": [ADA], "body": "hi", "flash_message": True, **asked})
    assert (status, batch["delivery_report"], batch["flash_message"]) == (201, told, True)
    again = (await ask(http, exchange, "GET", f"/acme/batches/{batch['id']}"))[1]
    assert "delivery_report" not in again, "it isn't kept, so that nothing is said of it"


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"delivery_report": "per_recipient"}, "delivery_report"),
        ({"delivery_report": "per_recipient_final"}, "delivery_report"),
        ({"delivery_report": "always"}, "delivery_report"),
        ({"delivery_report": "full", "callback_url": "https://acme.example/reports"}, "callback_url"),
    ],
)
async def test_a_report_that_only_a_callback_could_bring_is_refused(
    exchange: Exchange, http: aiohttp.ClientSession, asked: dict[str, str], named: str
) -> None:
    status, said = await ask(http, exchange, "POST", "/acme/batches", {"to": [ADA], "body": "hi", **asked})
    assert (status, named in said["text"]) == (400, True), said
    assert exchange.sms.messages("acme") == []


async def test_each_number_gets_its_own_parameters(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    body = {
        "to": [ADA, BOB],
        "body": "${name}, your code is ${code}${nothing}; ${nobody}",
        "parameters": {"name": {"46700000001": "Ada", "default": "You"}, "code": {"default": "0042"}, "nothing": {"default": ""}},
    }
    assert (await ask(http, exchange, "POST", "/acme/batches", body))[0] == 201
    texts = [one.text for one in exchange.sms.messages("acme")]
    assert texts == ["Ada, your code is 0042; ${nobody}", "You, your code is 0042; ${nobody}"]


async def test_a_text_of_which_its_parameters_leave_nothing_is_read_as_any(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    body = {"to": [ADA], "body": "${name}", "parameters": {"name": {"default": ""}}}
    assert (await ask(http, exchange, "POST", "/acme/batches", body))[0] == 201
    management = ExchangeManagement(SignedRequests(exchange.url, ApplicationCredentials("acme", SECRETS["acme"])))
    assert [one.text for one in await management.texts()] == [""]


@pytest.mark.parametrize("letter", ["🙂", "\x01"])
async def test_as_many_texts_as_the_inbox_keeps_are_read_however_long_they_are(exchange: Exchange, letter: str) -> None:
    text = letter * MAX_TEXT_CHARACTERS
    for _ in range(MAX_MESSAGES):
        exchange.sms.deliver("acme", sender="\x01" * 100, number=ADA, text=text, now=time.time())
    management = ExchangeManagement(SignedRequests(exchange.url, ApplicationCredentials("acme", SECRETS["acme"])))
    assert {one.text for one in await management.texts()} == {text}


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (b"{", "syntax_invalid_json", "JSON"),
        ([], "syntax_invalid_parameter_format", "the body"),
        ({"body": "hi"}, "syntax_constraint_violation", "to"),
        ({"to": [], "body": "hi"}, "syntax_constraint_violation", "to"),
        ({"to": "46700000001", "body": "hi"}, "syntax_constraint_violation", "to"),
        ({"to": [f"4670000{n:04d}" for n in range(1001)], "body": "hi"}, "syntax_constraint_violation", "to"),
        ({"to": ["46700000001", 7], "body": "hi"}, "syntax_invalid_parameter_format", "to[1]"),
        ({"to": ["my-group"], "body": "hi"}, "syntax_invalid_parameter_format", "to[0]"),
        ({"to": [ADA]}, "syntax_invalid_parameter_format", "body"),
        ({"to": [ADA], "body": "x" * 2001}, "syntax_invalid_parameter_format", "body"),
        ({"to": [ADA], "body": "\ud800"}, "syntax_invalid_parameter_format", "body"),
        ({"to": [ADA], "body": "hi", "type": "mt_binary"}, "syntax_invalid_parameter_format", "type"),
        ({"to": [ADA], "body": "hi", "from": 7}, "syntax_invalid_parameter_format", "from"),
        ({"to": [ADA], "body": "hi", "send_at": "2030-01-01T00:00:00Z"}, "syntax_constraint_violation", "send_at"),
        ({"to": [ADA], "body": "hi", "parameters": 7}, "syntax_invalid_parameter_format", "parameters"),
        ({"to": [ADA], "body": "hi", "parameters": {"a": 7}}, "syntax_invalid_parameter_format", "parameters.a"),
    ],
)
async def test_what_is_no_batch_is_refused_in_the_words_of_the_api_and_nothing_is_kept(
    exchange: Exchange, http: aiohttp.ClientSession, body: Any, code: str, named: str
) -> None:
    status, answer = await ask(http, exchange, "POST", "/acme/batches", body)
    assert (status, answer["code"]) == (400, code)
    assert named in answer["text"]
    assert exchange.sms.messages("acme") == []


async def test_what_isnt_there_says_so(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    for verb, path in (("GET", "/acme/inbounds"), ("DELETE", "/acme/batches/x"), ("GET", "/acme/groups"), ("GET", "/acme/batches")):
        assert (await ask(http, exchange, verb, path))[0] in (405, 501), path
    assert (await ask(http, exchange, "GET", "/acme/batches/nothing"))[0] == 404
    async with SmsApi.open(exchange.url, "nobody", SECRETS["acme"]) as api:
        with pytest.raises((NotFoundError, AuthenticationError)):
            await api.send((ADA,), "hi", sender=None)


async def test_a_body_that_is_too_long_is_refused(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, exchange, "POST", "/acme/batches", {"to": [ADA], "body": "x" * 300_000})
    assert (status, answer["code"]) == (413, "syntax_constraint_violation")


async def test_a_flood_of_batches_is_held_back(start_exchange: Any, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_A_SECOND", 0.01)
    monkeypatch.setattr(routes, "_AT_ONCE", 5)
    exchange = await start_exchange()
    statuses = [(await ask(http, exchange, "POST", "/acme/batches", {"to": [ADA], "body": "hi"}))[0] for _ in range(7)]
    assert statuses == [201] * 5 + [429] * 2
