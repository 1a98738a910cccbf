"""An exchange on a free port, and phones that talk to it with nothing but HTTP."""

import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.auth import sign_registration_token, sign_request, sign_user_ticket
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encrypt, split
from sinchphone.signaling.ocra.names import OPERATIONS, OcraOperation
from sinchphone.signaling.wire import JSON_CONTENT_TYPE, write_time
from tests.exchange.both_stores import kept_fixture, lasting_fixture, pytest_generate_tests, redis_fixture  # noqa: F401 - fixtures

SECRETS = {"acme": base64.b64encode(b"a" * 16).decode(), "globex": base64.b64encode(b"g" * 16).decode()}


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Any


@dataclass(frozen=True)
class Phone:
    """A user's device, before and after it registered."""

    session: aiohttp.ClientSession
    url: str
    user: str
    application: str = "acme"
    device: str = "device-1"
    instance: str = ""
    secret: bytes = b""
    config: Any = None

    @property
    def secret_of_application(self) -> bytes:
        return base64.b64decode(SECRETS[self.application])

    def token(self, *, issued_at: float | None = None, user: str | None = None, secret: str | None = None) -> str:
        return sign_registration_token(
            self.application,
            base64.b64decode(secret or SECRETS[self.application]),
            user or self.user,
            issued_at=int(issued_at or time.time()),
            nonce=uuid.uuid4().hex,
        )

    async def send_registration(self, token: str, **members: Any) -> Answer:
        body = {"userId": self.user, "deviceId": self.device, "capabilities": ["p2p"], **members}
        return await self.send("POST", OPERATIONS[OcraOperation.CREATE_INSTANCE].path(), json.dumps(body).encode(), f"Bearer {token}")

    async def registered(self, **members: Any) -> "Phone":
        answer = await self.send_registration(self.token(), **members)
        assert answer.status in OPERATIONS[OcraOperation.CREATE_INSTANCE].statuses, answer.body
        instance = answer.body["instance"]
        secret = base64.b64decode(instance["secret"])
        return replace(self, instance=instance["id"], secret=secret, config=answer.body["config"])

    async def ask(
        self,
        operation: OcraOperation,
        body: Any = None,
        *,
        user: str | None = None,
        instance: str | None = None,
        signed_at: float | None = None,
        secret: bytes | None = None,
        sent: bytes | None = None,
    ) -> Answer:
        """A signed request; the keywords make it a forged one. ``sent`` is a body other than the signed one."""
        endpoint = OPERATIONS[operation]
        path = endpoint.path(user=user or self.user, instance=instance or self.instance)
        content = json.dumps(body).encode() if body is not None else b""
        stamp = write_time(signed_at or time.time())
        signature = sign_request(endpoint.verb, path, content, JSON_CONTENT_TYPE, stamp, secret or self.secret)
        authorization = f"Instance {self.instance}:{signature}"
        return await self.send(endpoint.verb, path, content if sent is None else sent, authorization, stamp)

    async def call(self, callee: str, *, call_id: str | None = None, domain: str = "mxp", **members: Any) -> Answer:
        kind = {"mxp": "userId", "pstn": "phonenumber"}.get(domain, domain)
        body = {
            "callId": call_id or uuid.uuid4().hex,
            "destination": {"domain": domain, "type": kind, "identity": callee},
            "sdp": {"type": "offer", "sdp": "v=0\r\n"},
            **members,
        }
        return await self.ask(OcraOperation.PLACE_CALL, body)

    async def send(self, verb: str, path: str, body: bytes = b"", authorization: str = "", stamp: str = "", **headers: str) -> Answer:
        sent = {"Content-Type": JSON_CONTENT_TYPE, "Authorization": authorization, "x-timestamp": stamp, **headers}
        async with self.session.request(verb, self.url + path, data=body or None, headers=sent) as answer:
            return Answer(answer.status, json.loads(await answer.read() or b"null"), answer.headers)

    @property
    def keys(self) -> Any:
        return self.config["rtcConfig"]["mxpPubSubConfig"]

    @property
    def profile(self) -> Any:
        return self.config["rtcProfile"]

    async def subscribe(self, network: str, token: str = "0") -> Any:
        """One poll on the broadcast or the signal network; the answer's JSON."""
        key, channel = self.keys[f"{network}SubscribeKey"], self.profile[f"{network}Channel"]
        async with self.session.get(f"{self.url}/v2/subscribe/{key}/{channel}/0", params={"tt": token, "uuid": self.instance}) as answer:
            return await answer.json()

    async def publish(self, channel: str, message: Any) -> Any:
        keys = self.keys
        path = f"/publish/{keys['signalPublishKey']}/{keys['signalSubscribeKey']}/0/{channel}/0"
        async with self.session.post(self.url + path, json=message, params={"uuid": self.instance}) as answer:
            return await answer.json()


def rows_on_redis(address: StoreAddress) -> dict[str, dict[str, str]]:
    """What is kept there, by table and key."""
    from redis import Redis

    with Redis.from_url(address, decode_responses=True) as client:
        return {str(key).rpartition(":")[2]: dict(client.hgetall(key)) for key in client.scan_iter("*:rows:*")}


StartExchange = Callable[..., Awaitable[Exchange]]
MakePhone = Callable[..., Phone]


@pytest.fixture
async def start_exchange(kept: StoreAddress | None) -> AsyncIterator[StartExchange]:
    """Starts an exchange on a free port with the given options; it is closed after the test."""
    started: list[Exchange] = []

    async def start(*, destinations: Any = None, **options: Any) -> Exchange:
        told = {"store": kept, **options}
        exchange = Exchange(ExchangeOptions(port=0, applications=SECRETS, **told), destinations=[destinations] if destinations else [])
        await exchange.start()
        started.append(exchange)
        return exchange

    yield start
    for exchange in started:
        await exchange.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def exchange(start_exchange: StartExchange) -> Exchange:
    return await start_exchange()


@pytest.fixture
def phone(exchange: Exchange, http: aiohttp.ClientSession) -> MakePhone:
    """Makes a phone of a user that hasn't registered yet."""

    def make(user: str, **members: Any) -> Phone:
        return Phone(http, members.pop("url", exchange.url), user, **members)

    return make


@dataclass(frozen=True)
class LegacyPhone:
    """A user's instance of the older dialect, before and after it started."""

    session: aiohttp.ClientSession
    url: str
    user: str
    application: str = "acme"
    instance: str = ""
    secret: bytes = b""
    config: Any = None

    def ticket(self, **changes: Any) -> str:
        fields: dict[str, Any] = {
            "created_at": time.time(),
            "secret": SECRETS[self.application],
            "application": self.application,
            **changes,
        }
        secret = base64.b64decode(fields["secret"])
        return sign_user_ticket(fields["application"], secret, self.user, created_at=fields["created_at"])

    async def started(self, *services: str) -> "LegacyPhone":
        body = {"version": {"os": "", "platform": "", "sdk": "js/1.4.12"}, "services": {"calling": services or ["online", "im", "p2p"]}}
        answer = await self.send("POST", "/v1/instance", json.dumps({**body, "expiresIn": 3600}).encode(), f"user {self.ticket()}")
        assert answer.status in (200, 201), answer.body
        phone = replace(self, instance=answer.body["id"], secret=base64.b64decode(answer.body["secret"]))
        config = await phone.ask("GET", "/v1/configuration/user")
        assert config.status == 200, config.body
        return replace(phone, config=config.body)

    async def ask(self, verb: str, path: str, body: Any = None, *, signed_at: float | None = None, secret: bytes | None = None) -> Answer:
        """A signed request; the query isn't signed."""
        content = json.dumps(body).encode() if body is not None else b""
        stamp = write_time(signed_at or time.time())
        signature = sign_request(verb, path.partition("?")[0], content, JSON_CONTENT_TYPE, stamp, secret or self.secret)
        return await self.send(verb, path, content, f"instance {self.instance}:{signature}", stamp)

    async def as_application(self, verb: str, path: str, body: Any = None) -> Answer:
        return await self.send(verb, path, json.dumps(body).encode() if body is not None else b"", f"application {self.application}")

    async def send(self, verb: str, path: str, body: bytes = b"", authorization: str = "", stamp: str = "") -> Answer:
        sent = {"Content-Type": JSON_CONTENT_TYPE, "Authorization": authorization, "X-Timestamp": stamp}
        async with self.session.request(verb, self.url + path, data=body or None, headers=sent) as answer:
            return Answer(answer.status, json.loads(await answer.read() or b"null"), answer.headers)

    async def call(self, callee: str, domain: str = "data", **members: Any) -> Answer:
        body = {
            "cli": "",
            "destination": {"type": "number" if domain == "pstn" else "username", "endpoint": callee},
            "callId": str(uuid.uuid4()),
            "mediaChannels": ["audio"],
            "subinstanceId": 650223357,
            "headers": {"p2p": "yes"},
            "sdp": {"type": "offer", "sdp": "v=0\r\n"},
            **members,
        }
        return await self.ask("POST", f"/v1/calls/{domain}", body)

    async def poll(self, token: str = "0", network: str = "broadcastNetwork") -> tuple[list[Any], str]:
        """One poll of the 3.x form: the messages and the next token."""
        profile = self.config["rtcProfile"]
        channels = [profile["signalChannel"]] if network == "signalNetwork" else [profile["broadcastChannel"], profile["transportChannel"]]
        key = self.config["rtcConfiguration"][network]["subscribeKey"]
        async with self.session.get(f"{self.url}/subscribe/{key}/{'%2C'.join(sorted(channels))}/0/{token}") as answer:
            body = await answer.json()
            return body[0], body[1]

    async def publish(self, channel: str, message: str) -> Answer:
        keys = self.config["rtcConfiguration"]["broadcastNetwork"]
        path = f"/publish/{keys['publishKey']}/{keys['subscribeKey']}/0/{channel}/0"
        async with self.session.post(self.url + path, json=message) as answer:
            return Answer(answer.status, await answer.json(), answer.headers)

    async def write_to(self, *users: str, text: str = "hello") -> str:
        """Send an instant message of one frame to the users; the frame."""
        transport = (await self.ask("POST", "/v1/transport", [{"identity": user} for user in users])).body
        sender = Client(self.user, f"{self.instance}:1", self.config["rtcProfile"]["transportChannel"])
        payload = encrypt(
            Message(Method.INVITE, sender, BodyType.TEXT, json.dumps({"t": text})), base64.b64decode(transport["key"]), b"i" * 16
        )
        (frame,) = split(payload, str(uuid.uuid4()), "1", transport["transportId"])
        for participant in transport["participants"]:
            assert (await self.publish(participant["channel"], frame)).status == 200
        return frame


MakeLegacyPhone = Callable[..., LegacyPhone]


@pytest.fixture
def legacy(exchange: Exchange, http: aiohttp.ClientSession) -> MakeLegacyPhone:
    """Makes a phone of the older dialect that hasn't started yet."""

    def make(user: str, **members: Any) -> LegacyPhone:
        return LegacyPhone(http, members.pop("url", exchange.url), user, **members)

    return make
