"""What a publisher says about a message (PubNub's meta) reaches who subscribes."""

import json
from typing import Any

import pytest

from sinchphone.exchange.server import Exchange


async def publish(http: Any, exchange: Exchange, message: str, **query: str) -> tuple[int, Any]:
    application = exchange.directory.application("acme")
    assert application is not None
    url = f"{exchange.url}/publish/{application.signal.publish_key}/{application.signal.subscribe_key}/0/room/0/{message}"
    async with http.get(url, params=query) as answer:
        return answer.status, await answer.json()


async def poll(http: Any, exchange: Exchange, token: str) -> tuple[list[Any], str]:
    application = exchange.directory.application("acme")
    assert application is not None
    async with http.get(f"{exchange.url}/v2/subscribe/{application.signal.subscribe_key}/room/0", params={"tt": token}) as answer:
        body = await answer.json()
        return body["m"], body["t"]["t"]


@pytest.mark.parametrize("meta", [{"priority": 7, "to": "Jörg"}, "text", 0, [1, None], False])
async def test_meta_comes_with_the_message(http: Any, exchange: Exchange, meta: Any) -> None:
    _, token = await poll(http, exchange, "0")
    assert (await publish(http, exchange, "1", meta=json.dumps(meta)))[0] == 200
    (message,), _ = await poll(http, exchange, token)
    assert (message["d"], message["u"]) == (1, meta)


async def test_a_message_without_meta_has_none(http: Any, exchange: Exchange) -> None:
    _, token = await poll(http, exchange, "0")
    await publish(http, exchange, "1")
    (message,), _ = await poll(http, exchange, token)
    assert "u" not in message


@pytest.mark.parametrize("meta", ["{", "nothing", "NaN", '"\\ud800"', json.dumps("x" * 40_000)])
async def test_meta_that_is_none_or_too_long_is_refused(http: Any, exchange: Exchange, meta: str) -> None:
    assert (await publish(http, exchange, "1", meta=meta))[0] == 400
