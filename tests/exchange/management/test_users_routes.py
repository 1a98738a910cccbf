"""Users over HTTP: made by whoever has the secret, found by all their names, forgotten."""

import base64
import json
import time
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.server import Exchange

SECRET = base64.b64encode(b"a" * 16).decode()
USERS = "/__sinchphone/users"
ADA = {"userId": "ada", "email": "ada@example.org", "number": "+46700000001", "password": "correct horse"}


async def ask(http: aiohttp.ClientSession, exchange: Exchange, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
    basic = "Basic " + base64.b64encode(f"acme:{SECRET}".encode()).decode()
    sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    async with http.request(verb, exchange.url + path, data=sent, headers={"Authorization": basic}) as answer:
        return answer.status, await answer.json()


async def log_in(legacy: Any, kind: str, endpoint: str, password: str) -> int:
    body = {"password": password}
    return int((await legacy("nobody").as_application("POST", f"/v1/users/{kind}/{endpoint}/authentication", body)).status)


async def test_a_user_is_found_by_every_name_and_logs_in_with_each(exchange: Exchange, http: aiohttp.ClientSession, legacy: Any) -> None:
    status, made = await ask(http, exchange, "POST", USERS, ADA)
    assert (status, made["userId"], made["email"], made["number"], made["devices"]) == (201, *list(ADA.values())[:3], [])
    assert "password" not in made
    for kind, endpoint in (("username", "ada"), ("email", "ada@example.org"), ("number", "+46700000001")):
        assert await log_in(legacy, kind, endpoint, "correct horse") == 200, kind
        assert await log_in(legacy, kind, endpoint, "wrong") == 401, kind
    bob = await legacy("bob").started()
    for name in ({"identity": "ada@example.org", "type": "email"}, {"identity": "+46700000001", "type": "number"}):
        opened = await bob.ask("POST", "/v1/transport", [name])
        assert opened.status in (200, 201), opened.body
        assert opened.body["participants"], opened.body


async def test_a_user_without_a_password_comes_by_tokens_alone_and_keeps_the_names(
    exchange: Exchange, http: aiohttp.ClientSession, phone: Any, legacy: Any
) -> None:
    assert (await ask(http, exchange, "POST", USERS, {"userId": "ada", "number": "+46700000001"}))[0] == 201
    assert await log_in(legacy, "username", "ada", "") in (400, 401)
    await phone("ada").registered()
    _, listed = await ask(http, exchange, "GET", USERS)
    [ada] = listed["users"]
    assert (ada["number"], ada["account"], len(ada["devices"])) == ("+46700000001", True, 1)
    assert ada["devices"][0]["takesCalls"] is True and ada["devices"][0]["listening"] is False


async def test_somebody_who_came_by_a_token_gets_names_afterwards_but_nobody_elses(
    exchange: Exchange, http: aiohttp.ClientSession, phone: Any
) -> None:
    await phone("ada").registered()
    assert (await ask(http, exchange, "POST", USERS, ADA))[0] == 201
    assert (await ask(http, exchange, "POST", USERS, ADA))[0] == 409
    assert (await ask(http, exchange, "POST", USERS, {"userId": "eve", "number": ADA["number"]}))[0] == 409
    assert (await ask(http, exchange, "POST", USERS, {"userId": "eve", "email": ADA["email"]}))[0] == 409


async def test_a_user_who_is_removed_is_unknown_and_the_names_are_free(
    exchange: Exchange, http: aiohttp.ClientSession, phone: Any, legacy: Any
) -> None:
    await ask(http, exchange, "POST", USERS, ADA)
    await phone("ada").registered()
    assert (await ask(http, exchange, "DELETE", f"{USERS}/ada"))[0] == 200
    assert await log_in(legacy, "email", "ada@example.org", "correct horse") == 401
    assert (await ask(http, exchange, "DELETE", f"{USERS}/ada"))[0] == 404
    assert (await ask(http, exchange, "GET", USERS))[1] == {"users": []}
    assert (await ask(http, exchange, "POST", USERS, {**ADA, "userId": "eve"}))[0] == 201


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "userId"),
        ({"userId": 7}, "userId should be a text, but is a number"),
        ({"userId": "ada", "pasword": "correct horse"}, '"pasword" is unknown'),
        ({"userId": " ada"}, "user id"),
        ({"userId": "a\u0000b"}, "user id"),
        ({"userId": "ada", "email": "ada"}, "email"),
        ({"userId": "ada", "email": "a b@c"}, "email"),
        ({"userId": "ada", "number": "46700000001"}, "number"),
        ({"userId": "ada", "number": "+112"}, "number"),
        ({"userId": "ada", "password": "short"}, "password"),
        ({"userId": "ada", "password": "x" * 300}, "password"),
        ([], "the body"),
        (b"{", "JSON"),
    ],
)
async def test_what_is_no_user_is_refused_by_name_and_nobody_is_made(
    exchange: Exchange, http: aiohttp.ClientSession, body: Any, named: str
) -> None:
    status, answer = await ask(http, exchange, "POST", USERS, body)
    assert status == 400 and named in answer["message"]
    assert (await ask(http, exchange, "GET", USERS))[1] == {"users": []}


async def test_what_was_made_is_there_after_a_restart_and_no_token_voids_it(
    http: aiohttp.ClientSession, start_exchange: Any, tmp_path: Any, phone: Any
) -> None:
    first = await start_exchange(store=tmp_path / "exchange.sqlite3")
    await ask(http, first, "POST", USERS, ADA)
    await first.close()
    second = await start_exchange(store=tmp_path / "exchange.sqlite3")
    await phone("ada", url=second.url).registered()
    [ada] = (await ask(http, second, "GET", USERS))[1]["users"]
    assert (ada["email"], ada["account"]) == ("ada@example.org", True)
    body = json.dumps({"password": "correct horse", "at": time.time()}).encode()
    url = f"{second.url}/v1/users/email/ada@example.org/authentication"
    async with http.post(url, data=body, headers={"Authorization": "application acme"}) as answer:
        assert answer.status == 200
