"""The broker over HTTP, as a PubNub client meets it."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from sinchphone.exchange.directory.identity import Network
from sinchphone.exchange.server import Exchange
from sinchphone.tasks import start_task


class Broker:
    """A PubNub client with nothing but HTTP."""

    def __init__(self, exchange: Exchange, session: aiohttp.ClientSession, network: Network) -> None:
        self.exchange, self.session, self.network, self.base = exchange, session, network, exchange.url

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.session.get(self.url(path), params=query) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            return answer.status, await answer.json()

    def url(self, path: str) -> URL:
        return URL(self.base + path.format(sub=self.network.subscribe_key, pub=self.network.publish_key), encoded=True)

    async def subscribe(self, channels: str, token: str) -> tuple[list[Any], str]:
        _, answer = await self.get(f"/v2/subscribe/{{sub}}/{channels}/0", tt=token, uuid="me")
        return [message["d"] for message in answer["m"]], answer["t"]["t"]

    async def publish(self, channel: str, message: Any) -> tuple[int, Any]:
        text = quote(json.dumps(message), safe="").replace("{", "{{").replace("}", "}}")
        return await self.get(f"/publish/{{pub}}/{{sub}}/0/{channel}/0/{text}", uuid="me")


@pytest.fixture
def broker(exchange: Exchange, http: aiohttp.ClientSession) -> Broker:
    application = exchange.directory.application("acme")
    assert application is not None
    return Broker(exchange, http, application.signal)


async def test_the_first_subscribe_is_answered_at_once_with_the_present_token(broker: Broker) -> None:
    await broker.publish("a", "before")
    status, answer = await broker.get("/v2/subscribe/{sub}/a/0", tt="0")
    assert status == 200
    assert answer["m"] == []
    assert abs(int(answer["t"]["t"]) / 1e7 - time.time()) < 5


async def test_a_waiting_subscribe_is_answered_when_a_message_comes(broker: Broker) -> None:
    _, token = await broker.subscribe("a", "0")
    waiting = start_task(broker.get("/v2/subscribe/{sub}/a/0", tt=token, uuid="me"), name="get")
    while not broker.exchange.broker.listeners(broker.network.subscribe_key, "a"):
        await asyncio.sleep(0.005)
    _, published = await broker.publish("a", {"hello": ["wörld"]})
    _, answer = await asyncio.wait_for(waiting, 5)
    assert published[:2] == [1, "Sent"]
    assert answer["t"] == {"t": published[2], "r": 1}
    (message,) = answer["m"]
    expected = {"i": "me", "p": {"t": published[2], "r": 1}, "k": broker.network.subscribe_key, "c": "a", "d": {"hello": ["wörld"]}}
    assert expected.items() <= message.items()


async def test_a_client_that_was_away_gets_what_it_missed(broker: Broker) -> None:
    _, token = await broker.subscribe("a,b", "0")
    for number, channel in enumerate("abab"):
        await broker.publish(channel, number)
    messages, token = await broker.subscribe("a%2Cb", token)
    assert messages == [0, 1, 2, 3]
    await broker.publish("b", 4)
    assert (await broker.subscribe("a,b", token))[0] == [4]


async def test_a_poll_without_messages_ends_with_the_same_token(start_exchange: Callable[..., Any], http: aiohttp.ClientSession) -> None:
    exchange = await start_exchange(poll_seconds=0.05)
    broker = Broker(exchange, http, exchange.directory.application("acme").signal)
    _, token = await broker.subscribe("a", "0")
    assert await broker.subscribe("a", token) == ([], token)


async def test_the_older_subscribe_names_the_channel_of_each_message(broker: Broker) -> None:
    _, (messages, token, channels) = await broker.get("/subscribe/{sub}/a%2Cb/0/0")
    assert (messages, channels) == ([], "")
    await broker.publish("b", "one")
    await broker.publish("a", "two")
    _, (messages, token, channels) = await broker.get(f"/subscribe/{{sub}}/a%2Cb/0/{token}")
    assert (messages, channels) == (["one", "two"], "b,a")
    assert isinstance(token, str)


@pytest.mark.parametrize(
    "message", ["a/b", "%2F", "?x=1#y", "line\nbreak", "+ &", "ünïcödé 🎧", "", None, 0, {"type": "offer", "sdp": "v=0\r\n/{}"}]
)
async def test_any_message_in_the_path_arrives_as_it_was(broker: Broker, message: Any) -> None:
    _, token = await broker.subscribe("a", "0")
    assert (await broker.publish("a", message))[0] == 200
    assert (await broker.subscribe("a", token))[0] == [message]


async def test_a_message_may_be_posted_in_the_body_packed_or_not(broker: Broker) -> None:
    _, token = await broker.subscribe("a", "0")
    url = broker.url("/publish/{pub}/{sub}/0/a/0")
    async with broker.session.post(url, data=b'"plain"') as answer:
        assert (await answer.json())[:2] == [1, "Sent"]
    async with broker.session.post(url, data=gzip.compress(b'"packed"'), headers={"Content-Encoding": "gzip"}) as answer:
        assert (await answer.json())[:2] == [1, "Sent"]
    assert (await broker.subscribe("a", token))[0] == ["plain", "packed"]


async def test_what_is_no_json_is_refused(broker: Broker) -> None:
    for text in ("hello", "NaN", "%7B", "[1", "%22%FF%22", "%22%5Cud800%22"):
        status, answer = await broker.get(f"/publish/{{pub}}/{{sub}}/0/a/0/{text}")
        assert (status, answer[0]) == (400, 0), text


async def test_unknown_keys_are_refused(broker: Broker) -> None:
    status, answer = await broker.get("/v2/subscribe/sub-c-guess/a/0", tt="0")
    assert (status, answer["message"]) == (400, "Invalid Subscribe Key")
    status, answer = await broker.get("/publish/pub-c-guess/{sub}/0/a/0/1")
    assert (status, answer[:2]) == (400, [0, "Invalid Key"])
    status, _ = await broker.get("/v2/presence/sub-key/sub-c-guess/channel/a/leave")
    assert status == 400


async def test_one_application_does_not_hear_the_channels_of_another(broker: Broker) -> None:
    other = broker.exchange.directory.application("globex")
    assert other is not None
    other_broker = Broker(broker.exchange, broker.session, other.signal)
    _, token = await other_broker.subscribe("a", "0")
    await broker.publish("a", "ours")
    await other_broker.publish("a", "theirs")
    assert (await other_broker.subscribe("a", token))[0] == ["theirs"]


@pytest.mark.parametrize("token", ["x", "-1", "1e5", "9" * 20, "%C2%B2"])
async def test_a_token_that_is_none_is_refused(broker: Broker, token: str) -> None:
    assert (await broker.get(f"/subscribe/{{sub}}/a/0/{token}"))[0] == 400


@pytest.mark.parametrize(
    "path", ["/publish/{pub}", "/v2/subscribe/{sub}", "/v2/subscribe/{sub}/a/b/c", "/publish/{pub}/{sub}/0/a/callback/1"]
)
async def test_a_path_that_is_none_is_refused(broker: Broker, path: str) -> None:
    assert (await broker.get(path))[0] == 400


async def test_presence_requests_are_accepted(broker: Broker) -> None:
    status, answer = await broker.get("/v2/presence/sub-key/{sub}/channel/a,b/leave", uuid="me")
    assert (status, answer["action"]) == (200, "leave")
    status, answer = await broker.get("/v2/presence/sub_key/{sub}/channel/a/heartbeat", uuid="me")
    assert (status, answer["message"]) == (200, "OK")


async def test_the_time_is_a_number_of_seventeen_digits(broker: Broker) -> None:
    _, (token,) = await broker.get("/time/0")
    assert len(str(token)) == 17


async def test_a_client_that_hangs_up_stops_waiting(broker: Broker) -> None:
    _, token = await broker.subscribe("a", "0")
    waiting = start_task(broker.subscribe("a", token), name="subscribe")
    key = broker.network.subscribe_key
    async with asyncio.timeout(5):
        while not broker.exchange.broker.listeners(key, "a"):
            await asyncio.sleep(0.005)
        waiting.cancel()
        while broker.exchange.broker.listeners(key, "a"):
            await asyncio.sleep(0.005)


async def test_waiting_polls_end_at_once_when_the_exchange_closes(broker: Broker) -> None:
    _, token = await broker.subscribe("a", "0")
    waiting = start_task(broker.subscribe("a", token), name="subscribe")
    async with asyncio.timeout(5):
        while not broker.exchange.broker.listeners(broker.network.subscribe_key, "a"):
            await asyncio.sleep(0.005)
    began = time.monotonic()
    await broker.exchange.close()
    assert await waiting == ([], token)
    assert time.monotonic() - began < 1
    with pytest.raises(aiohttp.ClientConnectorError):
        await broker.subscribe("a", token)
