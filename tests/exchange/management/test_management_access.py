"""Who may ask under /__sinchphone: the application's secret or token; never a page, whatever it sends."""

import base64
import json
import time
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.auth import sign_request
from sinchphone.signaling.wire import write_time

SECRETS = {"acme": base64.b64encode(b"a" * 16).decode(), "globex": base64.b64encode(b"g" * 16).decode()}
PATH = "/__sinchphone/sms"
TOKEN = f"Bearer {management_token(b'a' * 16)}"
BASIC = "Basic " + base64.b64encode(f"acme:{SECRETS['acme']}".encode()).decode()


def signed(verb: str, path: str, *, at: float | None = None, secret: bytes = b"a" * 16) -> dict[str, str]:
    stamp = write_time(at or time.time())
    return {"x-timestamp": stamp, "Authorization": f"Application acme:{sign_request(verb, path, b'', '', stamp, secret)}"}


async def ask(http: aiohttp.ClientSession, exchange: Exchange, verb: str = "GET", path: str = PATH, **headers: str) -> tuple[int, Any, Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.request(verb, exchange.url + path, headers=sent, skip_auto_headers=["Content-Type"]) as answer:
        return answer.status, json.loads(await answer.read() or b"null"), answer.headers


async def test_the_secret_and_the_token_open_it(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    exchange.sms.deliver("acme", sender="Acme", number="+46700000001", text="hi", now=1_800_000_000.0)
    exchange.sms.deliver("globex", sender=None, number="+46700000001", text="another's", now=1_800_000_000.0)
    for headers in ({"Authorization": TOKEN}, {"Authorization": BASIC}, signed("GET", PATH)):
        status, body, _ = await ask(http, exchange, **headers)
        assert (status, [one["text"] for one in body["messages"]]) == (200, ["hi"])
        assert body["messages"][0]["to"] == "+46700000001" and body["messages"][0]["at"] == "2027-01-15T08:00:00.000Z"
    assert (await ask(http, exchange, path=f"{PATH}?number=%2B46700000002", Authorization=TOKEN))[1] == {"messages": []}
    for number in ("%2B46700000001", "+46700000001", "46700000001"):
        _, body, _ = await ask(http, exchange, path=f"{PATH}?number={number}", Authorization=TOKEN)
        assert [one["text"] for one in body["messages"]] == ["hi"], number
    status, body, _ = await ask(http, exchange, path=f"{PATH}?number=ada", Authorization=TOKEN)
    assert status == 400 and body["message"].startswith("number: ")
    assert (await ask(http, exchange, "DELETE", Authorization=TOKEN))[1] == {"cleared": 1}
    assert len(exchange.sms.messages("globex")) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {SECRETS['acme']}"},
        {"Authorization": "Bearer ü"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Application acme:x"},
        signed("GET", PATH, secret=b"b" * 16),
        signed("GET", PATH, at=1_700_000_000.0),
        signed("GET", "/__sinchphone/users"),
    ],
)
async def test_nobody_else_gets_in(exchange: Exchange, http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    status, body, _ = await ask(http, exchange, **headers)
    assert status == 401 and "messages" not in body


@pytest.mark.parametrize(
    "page",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
async def test_no_page_from_elsewhere_gets_in_even_with_the_token_or_the_secret(
    exchange: Exchange, http: aiohttp.ClientSession, page: dict[str, str]
) -> None:
    for authorization in (TOKEN, BASIC):
        status, _, headers = await ask(http, exchange, Authorization=authorization, **page)
        assert status == 403
        assert "Access-Control-Allow-Origin" not in headers


async def test_the_exchanges_own_page_gets_in(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    own = {"Origin": exchange.url, "Sec_Fetch_Site": "same-origin"}
    assert (await ask(http, exchange, Authorization=TOKEN, **own))[0] == 200


async def test_a_browser_is_never_told_that_it_may_ask_or_read(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    status, _, headers = await ask(http, exchange, "OPTIONS", Origin="http://evil.test", Access_Control_Request_Method="GET")
    assert status >= 400 and not any(name.startswith("Access-Control") for name in headers)


async def test_a_name_pointed_here_is_refused_before_the_token_counts_even_where_all_addresses_are_listened_on(
    http: aiohttp.ClientSession, start_exchange: Any
) -> None:
    for host in ("127.0.0.1", "0.0.0.0"):
        exchange = await start_exchange(host=host)
        evil = {"Host": f"evil.test:{exchange.port}", "Origin": f"http://evil.test:{exchange.port}"}
        async with http.get(f"http://127.0.0.1:{exchange.port}{PATH}", headers={**evil, "Authorization": TOKEN}) as answer:
            assert answer.status == 403


async def test_a_signed_order_is_carried_out_once(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    headers = signed("DELETE", PATH)
    assert [(await ask(http, exchange, "DELETE", **headers))[0] for _ in range(2)] == [200, 409]
