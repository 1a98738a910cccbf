"""A PubNub-like broker and an Ocra platform on loopback, which can be told to misbehave."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
from aiohttp import web

from sinchphone.errors import AuthenticationError
from sinchphone.protocol.auth import sign_registration_token, verify_registration_token, verify_request
from sinchphone.signaling.dialect import Instance, OfferedIceServer, Placement, Profile, PubSubConfig, RemoteInstance
from sinchphone.signaling.ocra import calls as wire_calls
from sinchphone.signaling.ocra import registration as wire_registration
from sinchphone.signaling.ocra.dialect import OcraDialect
from sinchphone.signaling.ocra.names import OPERATIONS, BearerToken, InstanceSignature, OcraOperation, read_authorization
from sinchphone.signaling.ocra.registration import InstanceConfiguration
from sinchphone.signaling.rest import refusals
from sinchphone.signaling.rest.instances import MemoryInstanceStore
from sinchphone.signaling.wire import Auth, ErrorCode, read_time

APPLICATION = "app-1"
SECRET = b"application secret"
DAY = 86_400.0
PLACEMENT = Placement("c-1", b"k" * 16, "s-2", (RemoteInstance("i-7", ("push",)), RemoteInstance("i-8")))
BASE = 17_000_000_000_000_000
MAX_MESSAGE = 32 * 1024


class BrokerDouble:
    """Keeps everything that was published, over restarts too. ``faults`` are used up one by one by the next subscribes."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.faults: deque[str | bytes] = deque()
        self.publish_faults: deque[str] = deque()
        self.seen: list[tuple[str, str]] = []  # kind and raw path with query
        self.polls_held = 0
        self.held = asyncio.Event()
        self.stall_heartbeats = False
        self.origin = ""
        self._news = asyncio.Condition()
        self._transports: set[asyncio.Transport] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        app = web.Application(client_max_size=4 * MAX_MESSAGE)
        app.router.add_route("*", "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.origin = f"127.0.0.1:{self._port}"

    async def stop(self) -> None:
        if self._runner is not None:
            self.cut_polls()
            await self._runner.cleanup()
        self._runner = None

    def cut_polls(self) -> None:
        for transport in list(self._transports):
            transport.abort()

    async def post(self, channel: str, payload: Any) -> str:
        token = str(BASE + len(self.history))
        self.history.append({"c": channel, "d": payload, "p": {"t": token, "r": 1}, "f": 0, "k": "sub"})
        async with self._news:
            self._news.notify_all()
        return token

    def count(self, kind: str) -> int:
        return sum(1 for seen, _ in self.seen if seen == kind)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        parts = [unquote(part) for part in request.raw_path.split("?")[0].lstrip("/").split("/")]
        kind = "heartbeat" if parts[-1] == "heartbeat" else "leave" if parts[-1] == "leave" else parts[1] if parts[0] == "v2" else parts[0]
        self.seen.append((f"{kind} {request.method}" if kind == "publish" else kind, request.raw_path))
        match kind:
            case "time":
                return web.json_response([BASE])
            case "publish":
                return await self._publish(request, parts)
            case "subscribe":
                return await self._subscribe(request, parts[3].split(","))
            case "heartbeat" if self.stall_heartbeats:
                return self._cut(request)
            case _:
                return web.json_response({"status": 200})

    def _cut(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _publish(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        fault = self.publish_faults.popleft() if self.publish_faults else ""
        if fault == "cut":
            return self._cut(request)
        if fault:
            return web.json_response({"message": "later"}, status=int(fault))
        text = await request.text() if request.method == "POST" else parts[6]
        if len(text) > MAX_MESSAGE:
            return web.json_response([0, "Message Too Large", str(BASE)], status=400)
        return web.json_response([1, "Sent", await self.post(parts[4], json.loads(text))])

    async def _subscribe(self, request: web.Request, channels: list[str]) -> web.StreamResponse:
        after = int(request.query["tt"])
        fault = self.faults.popleft() if self.faults and (after or self.faults[0] in ("500", "403")) else ""
        if isinstance(fault, bytes):
            return web.Response(body=fault, content_type="application/json")
        match fault:
            case "cut":
                return self._cut(request)
            case "500" | "403":
                return web.json_response({"message": "Forbidden" if fault == "403" else "broken"}, status=int(fault))
            case "hollow":
                return self._answer([], after)
        if not after:
            return self._answer([], BASE + len(self.history) - 1)
        news = await self._wait(request, channels, after)
        return self._answer(news * 2 if fault == "double" else news, int(news[-1]["p"]["t"]))

    async def _wait(self, request: web.Request, channels: list[str], after: int) -> list[dict[str, Any]]:
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)

        def fresh() -> list[dict[str, Any]]:
            return [message for message in self.history if message["c"] in channels and int(message["p"]["t"]) > after]

        self._transports.add(transport)
        self.polls_held += 1
        self.held.set()
        try:
            async with self._news:
                await self._news.wait_for(fresh)
            return fresh()
        finally:
            self._transports.discard(transport)

    def _answer(self, messages: list[dict[str, Any]], token: int) -> web.Response:
        return web.json_response({"t": {"t": str(token), "r": 1}, "m": messages})


@pytest.fixture
async def broker() -> AsyncIterator[BrokerDouble]:
    double = BrokerDouble()
    await double.start()
    yield double
    await double.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Any]:
    """Wait until a condition holds; the test fails after 10 s."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    return wait


class PlatformDouble:
    """An Ocra platform that checks every token and signature. ``answers`` replaces the next answer to an operation."""

    def __init__(self) -> None:
        self.instances: dict[Any, Any] = {}
        self.requests: list[Any] = []
        self.answers: dict[Any, Any] = {}
        self.clock_ahead_s = 0.0
        self.lifetime_s = None
        self.window_s = 180 * 86_400.0
        self.base_url = ""

    async def start(self) -> None:
        app = web.Application()
        for operation, endpoint in OPERATIONS.items():
            app.router.add_route(endpoint.verb, endpoint.route, self._route(operation))
        self._runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    def refuse(self, operation: Any, status: Any, code: Any, message: Any) -> None:
        """Refuse the next request of that operation."""
        self.answers[operation] = _refusal(status, code, message)

    @property
    def now(self) -> Any:
        return time.time() + self.clock_ahead_s

    @property
    def operations(self) -> Any:
        return [operation for operation, _ in self.requests]

    def body(self, operation: Any) -> Any:
        return next(body for seen, body in reversed(self.requests) if seen is operation)

    def _route(self, operation: Any) -> Any:
        async def answer(request: Any) -> Any:
            return await self._serve(operation, request)

        return answer

    async def _serve(self, operation: Any, request: Any) -> Any:
        body = await request.read()
        self.requests.append((operation, body))
        answer = self.answers.pop(operation, None) or self._verify(operation, request, body)
        if answer is None:
            answer = web.Response(body=self._answer(operation, request, body), status=OPERATIONS[operation].status)
        answer.headers["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self.now))
        return answer

    def _verify(self, operation: Any, request: Any, body: Any) -> Any:
        credentials = read_authorization(request.headers.get("Authorization"))
        if OPERATIONS[operation].auth is Auth.TOKEN:
            assert isinstance(credentials, BearerToken)
            try:
                verify_registration_token(credentials.token, application_key=APPLICATION, secret=SECRET, now=self.now)
            except AuthenticationError as error:
                return _refusal(401, ErrorCode.INVALID_CREDENTIALS, str(error))
            return None
        assert isinstance(credentials, InstanceSignature)
        instance = self.instances.get(credentials.instance_id)
        if instance is None:
            return _refusal(401, ErrorCode.UNKNOWN_INSTANCE, "unknown instance")
        timestamp, content_type = request.headers["x-timestamp"], request.headers["Content-Type"]
        path = request.raw_path.split("?")[0]
        if not verify_request(request.method, path, body or None, content_type, timestamp, instance.secret, credentials.signature):
            return _refusal(401, ErrorCode.INVALID_CREDENTIALS, "wrong signature")
        if abs(read_time(timestamp) - self.now) > 60:
            return _refusal(401, ErrorCode.CLOCK_DIFFERENCE, "the timestamp is too far off")
        return None

    def _answer(self, operation: Any, request: Any, body: Any) -> Any:
        configuration = InstanceConfiguration(
            PubSubConfig("ps.example", True, "b", "s", "p"), Profile("b-1", "s-1", b"k" * 16), prolong_window_s=self.window_s
        )
        match operation:
            case OcraOperation.CREATE_INSTANCE:
                asked = wire_registration.read_instance_request(body)
                number = len(self.instances) + 1
                expire_at = asked.expire_at or (round(self.now + self.lifetime_s) if self.lifetime_s else None)
                instance = Instance(f"i-{number}", b"instance secret %d" % number, asked.user_id, asked.device_id, expire_at)
                self.instances[instance.id] = instance
                return wire_registration.write_created(instance, configuration, asked.capabilities, asked.software)
            case OcraOperation.GET_CONFIG:
                return wire_registration.write_configuration(configuration)
            case OcraOperation.PROLONG_INSTANCE:
                asked_for = wire_registration.read_prolong_request(body)
                return wire_registration.write_prolonged(request.match_info["instance"], asked_for or round(self.now + self.lifetime_s))
            case OcraOperation.PLACE_CALL:
                return wire_calls.write_placement(PLACEMENT, self.now)
            case OcraOperation.GET_ICE_SERVERS:
                return wire_calls.write_ice_servers((OfferedIceServer(("stun:a",)),))
        return b""


def _refusal(status: Any, code: Any, message: Any) -> Any:
    return web.Response(body=refusals.write_error(code, message), status=status)


@pytest.fixture
async def platform() -> Any:
    double = PlatformDouble()
    await double.start()
    yield double
    await double.stop()


@pytest.fixture
def store() -> Any:
    return MemoryInstanceStore()


@pytest.fixture
def dialect_for(platform: Any, session: aiohttp.ClientSession, store: Any) -> Any:
    opened = []

    def make(
        user_id: str = "alice",
        *,
        secret: Any = SECRET,
        clock: Any = time.time,
        limit: Any = None,
        token: Any = None,
        base_url: Any = None,
        **options: Any,
    ) -> Any:
        async def sign() -> Any:
            if isinstance(token, Exception):
                raise token
            issued_at = int(clock())
            return token or sign_registration_token(
                APPLICATION, secret, user_id, issued_at=issued_at, nonce="n", instance_expires_at=limit and issued_at + limit
            )

        where = base_url or platform.base_url
        opened.append(OcraDialect(session, where, APPLICATION, user_id, token=sign, store=store, clock=clock, **options))
        return opened[-1]

    return make


@pytest.fixture
async def dialect(dialect_for: Any, platform: Any) -> Any:
    registered = dialect_for()
    await registered.register()
    platform.requests.clear()
    return registered
