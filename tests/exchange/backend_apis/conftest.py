"""An exchange as a developer's backend sees it: the REST API with its keys, and an HTTP server that is told of its calls' events."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from sinchphone.exchange.destinations import dialplan
from sinchphone.exchange.destinations.dialplan import Plan, Verdict
from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.server import Exchange
from sinchphone.gateway.options import GatewayOptions
from sinchphone.local.configured_gateway import ConfiguredGateway
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.auth import sign_request
from sinchphone.signaling.wire import write_time

SECRETS = {"acme": base64.b64encode(b"a" * 16).decode(), "globex": base64.b64encode(b"g" * 16).decode()}
JSON = "application/json"
LIMIT_S = 20.0


@dataclass
class Backend:
    """Answers events as the test says, and keeps them."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[Any, bytes]] = field(default_factory=list)
    delay_s: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = json.loads(body)
        self.requests.append((request, body))
        self.events.append(event)
        self.changed.set()
        await asyncio.sleep(self.delay_s)
        answer = self.answers.get(event["event"], {})
        return web.Response(status=answer) if isinstance(answer, int) else web.json_response(answer)

    async def heard(self, kind: str, *, times: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_S):
            while len(found := [event for event in self.events if event["event"] == kind]) < times:
                self.changed.clear()
                await self.changed.wait()
        return found[-1]

    def kinds(self, call: str) -> list[str]:
        return [event["event"] for event in self.events if event.get("callid") == call]


@dataclass
class Developer:
    """Somebody with the keys and secrets of two applications, and a backend."""

    exchange: Exchange
    session: aiohttp.ClientSession
    backend: Backend

    async def ask(
        self, verb: str, path: str, body: Any = None, *, key: str = "acme", headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """A signed request."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        stamp = write_time(time.time())
        signature = sign_request(verb, path, content, JSON, stamp, base64.b64decode(SECRETS[key]))
        sent = {"Content-Type": JSON, "x-timestamp": stamp, "Authorization": f"Application {key}:{signature}", **(headers or {})}
        async with self.session.request(verb, URL(self.exchange.url + path, encoded=True), data=content or None, headers=sent) as answer:
            return answer.status, json.loads(await answer.read() or b"{}")

    async def basic(self, verb: str, path: str, body: Any = None, *, key: str = "acme") -> tuple[int, Any]:
        """A request with key and secret."""
        credentials = base64.b64encode(f"{key}:{SECRETS[key]}".encode()).decode()
        content = None if body is None else json.dumps(body)
        sent = {"Content-Type": JSON, "Authorization": f"Basic {credentials}"}
        async with self.session.request(verb, URL(self.exchange.url + path, encoded=True), data=content, headers=sent) as answer:
            return answer.status, json.loads(await answer.read() or b"{}")

    async def call_out(self, method: str, **members: Any) -> str:
        status, said = await self.ask("POST", "/calling/v1/callouts", {"method": method, method: members})
        assert status == 200, said
        return str(said["callId"])

    async def call(self, call: str) -> Any:
        status, said = await self.ask("GET", f"/calling/v1/calls/id/{call}")
        assert status == 200, said
        return said

    async def over(self, call: str) -> Any:
        """What is said of a call that is over."""
        async with asyncio.timeout(LIMIT_S):
            while (said := await self.call(call))["status"] != "FINAL":
                await asyncio.sleep(0.02)
        return said

    async def answered(self, call: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            while (await self.call(call))["result"] != "ANSWERED":
                await asyncio.sleep(0.02)

    async def use_backend(self) -> Backend:
        """From now on events go there."""
        said = await self.ask("POST", "/v1/configuration/callbacks/applications/acme", {"url": {"primary": self.backend.url}})
        assert said == (200, {})
        return self.backend


@pytest.fixture
def media() -> Iterator[MediaThread]:
    with MediaThread() as thread:
        yield thread


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated subscribers that are quick: 20 answers and stays, 21 answers and hangs up at once, 22 is busy, 23 rings."""
    plans = {"20": Plan(), "21": Plan(talk_s=0.1), "22": Plan(Verdict.BUSY), "23": Plan(Verdict.RING)}
    monkeypatch.setattr(dialplan, "_SUBSCRIBERS", {**dialplan._SUBSCRIBERS, **plans})


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    found = Backend()
    application = web.Application()
    application.router.add_post("/sinch", found.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/sinch"
    yield found
    await runner.cleanup()


@pytest.fixture
async def developer(media: MediaThread, backend: Backend, quick: None, kept: StoreAddress | None) -> AsyncIterator[Developer]:
    options = ExchangeOptions(applications=SECRETS, port=0, store=kept)
    async with Exchange(options, media=media, gateway=ConfiguredGateway(GatewayOptions())) as exchange, AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Developer(exchange, session, backend)


Action = Callable[..., dict[str, Any]]


@pytest.fixture
def action() -> Action:
    def make(name: str, *instructions: dict[str, Any], **members: Any) -> dict[str, Any]:
        return {"instructions": list(instructions), "action": {"name": name, **members}}

    return make
