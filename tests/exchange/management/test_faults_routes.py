"""Faults as a test of somebody's app orders them, over HTTP."""

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.server import Exchange

FAULTS = "/__sinchphone/faults"
TOKEN = {"Authorization": f"Bearer {management_token(b'a' * 16)}"}


async def ask(http: aiohttp.ClientSession, exchange: Exchange, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    async with http.request(verb, exchange.url + path, data=sent, headers=TOKEN) as answer:
        return answer.status, json.loads(await answer.read() or b"null")


async def test_a_status_is_answered_as_the_platform_words_it_and_browsers_may_read_it(
    exchange: Exchange, http: aiohttp.ClientSession
) -> None:
    status, rule = await ask(http, exchange, "POST", FAULTS, {"path": "/v1/timestamp/", "status": 503, "times": 1})
    assert (status, rule["times"], rule["id"]) == (201, 1, "1")
    async with http.get(f"{exchange.url}/v1/timestamp/", headers={"Origin": "http://app.example"}) as answer:
        assert answer.status == 503 and (await answer.json())["errorCode"] == 50000
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    async with http.get(f"{exchange.url}/v1/timestamp/") as answer:
        assert answer.status == 200


async def test_a_dropped_connection_gives_no_answer_and_a_delay_comes_first(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    await ask(http, exchange, "POST", FAULTS, {"path": "/v1/*", "drop": True, "times": 2})
    with pytest.raises(aiohttp.ClientConnectionError):
        async with http.get(f"{exchange.url}/v1/timestamp/"):
            pass
    await ask(http, exchange, "POST", FAULTS, {"path": "/v1/*", "delayMs": 300, "times": 1})
    began = asyncio.get_running_loop().time()
    async with http.get(f"{exchange.url}/v1/timestamp/") as answer:
        assert answer.status == 200 and asyncio.get_running_loop().time() - began >= 0.3


async def test_a_published_frame_can_be_lost_although_it_is_said_to_be_sent(
    exchange: Exchange, http: aiohttp.ClientSession, legacy: Any
) -> None:
    ada, bob = [await legacy(name).started() for name in ("ada", "bob")]
    _, token = await bob.poll()
    lost = {"path": "/publish/*", "status": 200, "body": [1, "Sent", "17000000000000000"], "times": 1}
    assert (await ask(http, exchange, "POST", FAULTS, lost))[0] == 201
    await ada.write_to("bob", text="lost")
    kept = await ada.write_to("bob", text="kept")
    assert (await bob.poll(token))[0] == [kept]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "path"),
        ({"path": "v1"}, "path"),
        ({"path": "/v1"}, "status"),
        ({"path": "/v1", "status": 99}, "status"),
        ({"path": "/v1", "status": 599}, "status"),
        ({"path": "/v1", "status": "503"}, "status should be a number from 200 to 599, but is a text"),
        ({"path": "/v1", "status": 503, "delayMS": 200}, '"delayMS" is unknown, but path, method, '),
        ({"path": "/v1", "delayMs": -1}, "delayMs"),
        ({"path": "/v1", "delayMs": 60_001}, "delayMs"),
        ({"path": "/v1", "drop": "yes"}, "drop"),
        ({"path": "/v1", "drop": True, "status": 500}, "drop"),
        ({"path": "/v1", "drop": True, "times": 0}, "times should be a number from 1 to 1000000, but is another number"),
        ({"path": "/v1", "drop": True, "times": 1e12}, "times"),
        ({"path": "/v1", "drop": True, "method": "BREW"}, "method"),
        ({"path": "/v1", "drop": True, "body": []}, "body"),
        ({"path": "/v1", "status": 200, "body": "x"}, "body"),
        ({"path": "/v1", "status": 204, "body": {}}, "body"),
        ({"path": "/v1", "status": 304, "body": []}, "body"),
        ({"path": "/v1", "status": 200, "body": ["\ud800"]}, "body"),
        (b"[", "JSON"),
    ],
)
async def test_what_is_no_fault_is_refused_by_name(exchange: Exchange, http: aiohttp.ClientSession, body: Any, named: str) -> None:
    status, answer = await ask(http, exchange, "POST", FAULTS, body)
    assert status == 400 and named in answer["message"]
    assert (await ask(http, exchange, "GET", FAULTS))[1] == {"faults": []}


async def test_faults_are_listed_and_end_one_by_one_or_all_together(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    for path in ("/a", "/b", "/c"):
        await ask(http, exchange, "POST", FAULTS, {"path": path, "status": 500})
    assert (await ask(http, exchange, "DELETE", f"{FAULTS}/2"))[0] == 200
    assert (await ask(http, exchange, "DELETE", f"{FAULTS}/2"))[0] == 404
    assert [one["path"] for one in (await ask(http, exchange, "GET", FAULTS))[1]["faults"]] == ["/a", "/c"]
    assert (await ask(http, exchange, "DELETE", FAULTS))[1] == {"removed": 2}


async def test_nobody_orders_faults_without_the_secret(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(b"acme:wrong").decode()}
    for headers in ({}, basic):
        async with http.post(exchange.url + FAULTS, json={"path": "*", "drop": True}, headers=headers) as answer:
            assert answer.status == 401
