"""Reset: an application as new, another one untouched; and whether the exchange says that it is ready only when it is."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.server import Exchange
from sinchphone.gateway.options import BackendOptions, GatewayOptions
from sinchphone.local import ConfiguredGateway
from sinchphone.media.thread import MediaThread
from sinchphone.tasks import start_task
from tests.exchange.conftest import SECRETS

ON_BOTH_STORES = (
    "test_after_a_reset_nobody_is_known_nothing_waits_and_another_application_has_all_of_its_own",
    "test_a_reset_ends_faults_that_meet_every_request",
    "test_both_ends_of_a_call_that_rings_learn_of_a_reset",
)
TOKEN = {"Authorization": f"Bearer {management_token(b'a' * 16)}"}


async def reset(http: aiohttp.ClientSession, exchange: Exchange) -> int:
    async with http.post(f"{exchange.url}/__sinchphone/reset", headers=TOKEN) as answer:
        return answer.status


async def test_after_a_reset_nobody_is_known_nothing_waits_and_another_application_has_all_of_its_own(
    http: aiohttp.ClientSession, start_exchange: Any, lasting: Path | StoreAddress, legacy: Any, phone: Any
) -> None:
    exchange = await start_exchange(store=lasting)
    ada = await legacy("ada", url=exchange.url).started()
    await legacy("bob", url=exchange.url).started()
    other = await phone("zoe", url=exchange.url, application="globex").registered()
    await ada.write_to("bob")
    exchange.sms.deliver("acme", sender=None, number="+46700000001", text="hi", now=1e10)
    exchange.sms.deliver("globex", sender=None, number="+46700000001", text="hi", now=1e10)
    assert await reset(http, exchange) == 200
    assert (await ada.ask("GET", "/v1/configuration/user")).status == 401, "the instance is unknown"
    assert exchange.sms.messages("acme") == [] and len(exchange.sms.messages("globex")) == 1
    assert (await other.subscribe("signal"))["t"]["t"], "it still listens"
    fresh = await legacy("bob", url=exchange.url).started()
    assert (await fresh.poll())[0] == []
    await exchange.close()

    again = await start_exchange(store=lasting)
    assert set(again.directory.application("acme").users) == {"bob"}
    assert set(again.directory.application("globex").users) == {"zoe"}
    assert again.sms.messages("acme") == []


async def test_a_reset_ends_faults_that_meet_every_request(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{exchange.url}/__sinchphone/faults", json={"path": "*", "status": 500}, headers=TOKEN) as answer:
        assert answer.status == 201
    assert await reset(http, exchange) == 200
    async with http.get(f"{exchange.url}/v1/timestamp/") as answer:
        assert answer.status == 200


async def test_both_ends_of_a_call_that_rings_learn_of_a_reset(exchange: Exchange, http: aiohttp.ClientSession, phone: Any) -> None:
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    heard = {name: (await one.subscribe("signal"))["t"]["t"] for name, one in (("ada", ada), ("bob", bob))}
    assert (await ada.call("bob")).status in (200, 201)
    assert await reset(http, exchange) == 200
    for name, one in (("ada", ada), ("bob", bob)):
        network = exchange.directory.application("acme").signal.subscribe_key  # type: ignore[union-attr]
        assert exchange.broker.since(network, [one.profile["signalChannel"]], int(heard[name])), f"{name} was told"


async def test_nobody_resets_without_the_secret(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    for headers in ({}, {"Authorization": "Application acme:x"}, {**TOKEN, "Origin": "http://evil.test"}):
        async with http.post(f"{exchange.url}/__sinchphone/reset", headers=headers) as answer:
            assert answer.status in (401, 403)


# Health


async def test_it_is_ready_when_everything_listens_and_not_before(monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession) -> None:
    opening, go_on = asyncio.Event(), asyncio.Event()

    class SlowGateway:
        from_start = True

        async def open(self, parts: object) -> Any:
            opening.set()
            await go_on.wait()
            return self

        async def close(self) -> None:
            pass

        async def troubles(self) -> dict[str, str]:
            return {}

    with MediaThread() as media:
        exchange = Exchange(ExchangeOptions(port=0, applications=SECRETS), media=media, gateway=SlowGateway())  # type: ignore[arg-type]
        starting = start_task(exchange.start(), name="start")
        await asyncio.wait_for(opening.wait(), 20)
        for path in ("/health", "/ready"):
            async with http.get(exchange.url + path) as answer:
                assert (answer.status, json.loads(await answer.read())["status"]) == (503, "starting")
        go_on.set()
        await starting
        for path in ("/health", "/ready"):
            async with http.get(exchange.url + path) as answer:
                assert (answer.status, json.loads(await answer.read())["status"]) == (200, "ok")
        await exchange.close()


async def test_health_tells_no_page_of_another_name_anything(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{exchange.url}/health", headers={"Host": "evil.test"}) as answer:
        assert answer.status == 403


async def test_after_a_reset_callbacks_go_where_they_were_configured_to_go_and_recordings_are_gone(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    gateway = ConfiguredGateway(GatewayOptions(backend=BackendOptions(url="http://127.0.0.1:3000/voice")))
    options = ExchangeOptions(port=0, applications=SECRETS, store=tmp_path / "exchange.sqlite3")
    with MediaThread() as media:
        async with Exchange(options, media=media, gateway=gateway) as exchange:
            path = f"{exchange.url}/v1/configuration/callbacks/applications/acme"
            basic = aiohttp.BasicAuth("acme", SECRETS["acme"])
            for url in ("http://127.0.0.1:3001/other", "http://127.0.0.1:3002/third"):
                async with http.post(path, json={"url": {"primary": url}}, auth=basic) as answer:
                    assert answer.status == 200
            recordings = exchange._recordings
            recordings.new("acme", "call-1", "call").write_bytes(b"RIFF")
            recordings.new("globex", "call-2", "call").write_bytes(b"RIFF")
            assert await reset(http, exchange) == 200
            async with http.get(path, auth=basic) as answer:
                assert (await answer.json())["url"]["primary"] == "http://127.0.0.1:3000/voice"
            assert recordings.listed("acme") == [] and len(recordings.listed("globex")) == 1
