"""Whether an exchange is ready, to anybody who asks: not while something that it needs isn't reached."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sinchphone.exchange.management import health
from sinchphone.exchange.management.health import HealthRoutes

Client = TestClient[web.Request, web.Application]


class Exchange:
    def __init__(self) -> None:
        self.is_ready = self.lives = True
        self.trouble: dict[str, str] = {}
        self.asked = 0
        self.hangs = False

    async def troubles(self) -> Mapping[str, str]:
        self.asked += 1
        await asyncio.sleep(60 if self.hangs else 0)
        return self.trouble


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
async def client(exchange: Exchange) -> AsyncIterator[Client]:
    application = web.Application()
    HealthRoutes(lambda: exchange.lives, lambda: exchange.is_ready, exchange.troubles).add_to(application.router)
    async with TestClient(TestServer(application)) as client:
        yield client


async def asked(client: Client, path: str) -> tuple[int, str]:
    async with client.get(path) as answer:
        return answer.status, await answer.text()


async def test_what_it_needs_and_does_not_reach_makes_it_not_ready_and_is_told_nobody(
    exchange: Exchange, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_FRESH_SECONDS", 0.0)
    assert (await asked(client, "/ready"))[0] == 200
    exchange.trouble = {"relay": "rtpengine at 192.0.2.1:2223 does not answer"}
    status, body = await asked(client, "/ready")
    assert (status, "192.0.2.1" in body) == (503, False)
    assert (await asked(client, "/health"))[0] == 200
    exchange.trouble = {}
    assert (await asked(client, "/ready"))[0] == 200
    monkeypatch.setattr(health, "READY_SECONDS", 0.02)
    exchange.hangs = True
    assert (await asked(client, "/ready"))[0] == 503


async def test_many_who_ask_have_what_it_needs_asked_once_and_see_at_once_that_it_drains(exchange: Exchange, client: Client) -> None:
    answers = await asyncio.gather(*(asked(client, "/ready") for _ in range(20)))
    assert ({status for status, _ in answers}, exchange.asked) == ({200}, 1)
    exchange.is_ready = False
    assert ((await asked(client, "/ready"))[0], exchange.asked) == (503, 1)
