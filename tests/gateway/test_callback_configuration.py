"""Where an application's events go is set over HTTP while the exchange runs (Sinch Voice REST, applications)."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.gateway.options import BackendOptions, GatewayOptions
from sinchphone.local.configured_gateway import ConfiguredGateway
from sinchphone.media.thread import MediaThread

SECRETS = {"acme": base64.b64encode(b"a" * 16).decode(), "globex": base64.b64encode(b"g" * 16).decode()}
HERE, THERE = "http://127.0.0.1:9/one", "http://127.0.0.1:9/two"


class Developer:
    """Somebody with the keys and secrets of two applications."""

    def __init__(self, exchange: Exchange, session: aiohttp.ClientSession) -> None:
        self.exchange = exchange
        self.session = session

    async def ask(
        self, verb: str, application: str, body: Any = None, *, key: str | None = None, secret: str | None = None
    ) -> tuple[int, Any]:
        key = key or application
        credentials = base64.b64encode(f"{key}:{secret or SECRETS[key]}".encode()).decode()
        url = f"{self.exchange.url}/v1/configuration/callbacks/applications/{application}"
        content = None if body is None else json.dumps(body)
        async with self.session.request(verb, url, data=content, headers={"Authorization": f"Basic {credentials}"}) as answer:
            return answer.status, json.loads(await answer.read())


def serve(media: MediaThread, gateway: GatewayOptions) -> Exchange:
    return Exchange(ExchangeOptions(applications=SECRETS, port=0), media=media, gateway=ConfiguredGateway(gateway))


@pytest.fixture
def media() -> Iterator[MediaThread]:
    with MediaThread() as thread:
        yield thread


@pytest.fixture
async def developer(media: MediaThread) -> AsyncIterator[Developer]:
    async with serve(media, GatewayOptions()) as exchange, aiohttp.ClientSession() as session:
        yield Developer(exchange, session)


async def test_an_application_has_no_callbacks_until_they_are_set_and_then_its_own(developer: Developer) -> None:
    assert await developer.ask("GET", "acme") == (200, {"url": {"primary": "", "fallback": ""}})
    assert await developer.ask("POST", "acme", {"url": {"primary": HERE, "fallback": THERE}}) == (200, {})
    assert await developer.ask("GET", "acme") == (200, {"url": {"primary": HERE, "fallback": THERE}})
    assert await developer.ask("GET", "globex") == (200, {"url": {"primary": "", "fallback": ""}})


async def test_setting_callbacks_makes_the_gateway_that_asks_there(developer: Developer) -> None:
    assert developer.exchange.gateway is None
    await developer.ask("POST", "acme", {"url": {"primary": HERE}})
    assert developer.exchange.gateway is not None


async def test_callbacks_can_be_taken_away_again(developer: Developer) -> None:
    await developer.ask("POST", "acme", {"url": {"primary": HERE, "fallback": THERE}})
    assert await developer.ask("POST", "acme", {"url": {}}) == (200, {})
    assert await developer.ask("GET", "acme") == (200, {"url": {"primary": "", "fallback": ""}})


async def test_configured_callbacks_are_what_it_begins_with(media: MediaThread) -> None:
    gateway = GatewayOptions(backend=BackendOptions(HERE, THERE))
    async with serve(media, gateway) as exchange, aiohttp.ClientSession() as session:
        assert await Developer(exchange, session).ask("GET", "acme") == (200, {"url": {"primary": HERE, "fallback": THERE}})


@pytest.mark.parametrize(
    "body",
    [
        {"url": {"primary": "nowhere"}},
        {"url": {"primary": "ftp://127.0.0.1/x"}},
        {"url": {"primary": "http://user:word@127.0.0.1/x"}},
        {"url": {"primary": 5}},
        {"url": {"primary": HERE, "fallback": "?"}},
        {"url": {"fallback": THERE}},
        {"url": HERE},
        {},
        [],
    ],
)
async def test_what_is_no_url_is_refused_and_changes_nothing(developer: Developer, body: Any) -> None:
    await developer.ask("POST", "acme", {"url": {"primary": HERE}})
    status, said = await developer.ask("POST", "acme", body)
    assert (status, said["errorCode"]) == (400, 40001)
    assert (await developer.ask("GET", "acme"))[1]["url"]["primary"] == HERE


async def test_only_the_application_itself_may(developer: Developer) -> None:
    body = {"url": {"primary": HERE}}
    assert (await developer.ask("POST", "acme", body, key="globex"))[0] == 403
    assert (await developer.ask("GET", "acme", key="globex"))[0] == 403
    assert (await developer.ask("POST", "acme", body, secret=SECRETS["globex"]))[0] == 401
    assert developer.exchange.gateway is None
