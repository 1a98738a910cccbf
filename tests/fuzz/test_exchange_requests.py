"""Whatever is asked over HTTP, the exchange answers below 500 and goes on: PubNub's paths and queries, bodies of both REST dialects.

From any text and any JSON, and from real requests with members replaced, taken out or doubled; signed as they must be, and not.
"""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.auth import sign_registration_token, sign_request, sign_user_ticket
from sinchphone.signaling.ocra.names import OPERATIONS as OCRA
from sinchphone.signaling.papi.names import OPERATIONS as PAPI
from sinchphone.signaling.wire import JSON_CONTENT_TYPE, write_time

SECRET = b"f" * 16
PLENTY = 10**9  # limits have tests of their own


@dataclass
class Target:
    """A running exchange, and a device that is known there."""

    loop: asyncio.AbstractEventLoop
    exchange: Exchange
    session: aiohttp.ClientSession
    instance: str = ""
    secret: bytes = b""
    keys: Any = None
    profile: Any = None

    def ask(self, verb: str, path: str, body: bytes | None = None, **headers: str) -> int:
        return self.loop.run_until_complete(self._ask(verb, path, body, headers))

    async def _ask(self, verb: str, path: str, body: bytes | None, headers: dict[str, str]) -> int:
        url = URL(self.exchange.url + path, encoded=True)
        try:
            async with asyncio.timeout(20), self.session.request(verb, url, data=body, headers=headers) as answer:
                await answer.read()
                return answer.status
        except aiohttp.ClientError:  # the server's parser refused it, or the client's
            return 400

    def ask_signed(self, verb: str, path: str, body: bytes, scheme: str = "Instance") -> int:
        stamp = write_time(time.time())
        signature = sign_request(verb, path, body, JSON_CONTENT_TYPE, stamp, self.secret)
        headers = {"Authorization": f"{scheme} {self.instance}:{signature}", "x-timestamp": stamp, "Content-Type": JSON_CONTENT_TYPE}
        return self.ask(verb, path, body or None, **headers)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    loop = asyncio.new_event_loop()

    async def start() -> Target:
        options = ExchangeOptions(
            port=0,
            applications={"acme": base64.b64encode(SECRET).decode()},
            poll_seconds=0.001,
            publishes_at_once=PLENTY,
            new_users_at_once=PLENTY,
        )
        exchange = Exchange(options)
        await exchange.start()
        return Target(loop, exchange, aiohttp.ClientSession())

    made = loop.run_until_complete(start())
    loop.run_until_complete(_register(made))
    yield made
    loop.run_until_complete(made.session.close())
    loop.run_until_complete(made.exchange.close())
    loop.close()


async def _register(target: Target) -> None:
    token = sign_registration_token("acme", SECRET, "ada", issued_at=int(time.time()), nonce="1")
    body = {"userId": "ada", "deviceId": "device", "capabilities": ["p2p"]}
    url = target.exchange.url + "/ocra/v1/instances"
    async with target.session.post(url, json=body, headers={"Authorization": f"Bearer {token}"}) as answer:
        created = await answer.json()
    target.instance, target.secret = created["instance"]["id"], base64.b64decode(created["instance"]["secret"])
    target.keys, target.profile = created["config"]["rtcConfig"]["mxpPubSubConfig"], created["config"]["rtcProfile"]


def still_serves(target: Target) -> None:
    assert target.ask("GET", "/time/0") == 200


anything = st.text(max_size=40)
numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 2**63, 10**30, 1e308, True])
json_values = st.recursive(
    st.none() | numbers | anything,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
surrogates = st.sampled_from(["\ud800", "a\udfffb", "\x00", "\u202e", "9" * 400, "[" * 300])

CALL = {
    "callId": "call",
    "destination": {"domain": "mxp", "type": "userId", "identity": "ada", "endpoint": "ada"},
    "sdp": {"type": "offer", "sdp": "v=0\r\n"},
    "cli": "+14155550100",
    "media": ["audio"],
    "headers": {"ph": "{}", "nomedia": "true"},
    "publicCallHeaders": {"a": "b"},
    "subinstanceId": 1,
}
KNOWN = {
    **CALL,
    "userId": "ada",
    "deviceId": "device",
    "capabilities": ["p2p"],
    "version": {"application": "x", "os": "y"},
    "expireAt": "2031-01-01T00:00:00Z",
    "identities": [{"type": "username", "endpoint": "carol"}],
    "password": "not-a-secret",
    "profile": {"name": "Carol"},
    "expiresIn": 3600,
    "services": {"calling": ["im"]},
    "messages": [{"to": [{"instance": "x"}], "params": {"sinch": "x"}}],
    "to": {"userId": "ada", "instanceIds": ["x"]},
    "sent": 1,
    "oldPassword": "not-a-secret",
}


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A body of every member there is, with some of them replaced or taken out; or just something."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind == 1:
        return json.dumps(draw(json_values)).encode()
    body = dict(KNOWN)
    for name in draw(st.lists(st.sampled_from(sorted(KNOWN)), max_size=4)):
        inner = body.get(name)
        if isinstance(inner, dict) and draw(st.booleans()):
            body[name] = {**inner, draw(st.sampled_from(sorted(inner) or ["x"])): draw(json_values | surrogates)}
        elif draw(st.integers(0, 4)) == 0:
            body.pop(name, None)
        else:
            body[name] = draw(json_values | surrogates)
    return json.dumps(body).encode()


segments = st.one_of(
    anything.map(lambda text: quote(text, safe="")),
    st.sampled_from(
        ["0", "%00", "%FF", "%2F", "..", "a,b", ",", "%ed%a0%80", "{sub}", "{pub}", "{signal}", "{broadcast}", "{transport}", "9" * 30]
    ),
)


@given(
    verb=st.sampled_from(["GET", "POST"]),
    start=st.sampled_from(
        [
            "/publish/{pub}/{sub}/0/room/0/",
            "/publish/{pub}/{sub}/0/{signal}/0/",
            "/publish/{pub}/{sub}/0/",
            "/publish/",
            "/v2/subscribe/{sub}/room/0?tt=",
            "/v2/subscribe/{sub}/",
            "/subscribe/{sub}/room/0/",
            "/subscribe/{sub}/",
            "/v2/presence/sub-key/{sub}/channel/",
            "/v2/presence/sub_key/",
            "/time/",
        ]
    ),
    parts=st.lists(segments, max_size=5),
    query=st.dictionaries(st.sampled_from(["tt", "uuid", "meta", "tr", "heartbeat", "store"]), anything, max_size=3),
    body=st.none() | st.binary(max_size=80) | json_values.map(lambda value: json.dumps(value).encode()),
    encoding=st.sampled_from(["", "gzip", "deflate", "br", "\x7f"]),
)
def test_any_request_to_the_broker(
    target: Target, verb: str, start: str, parts: list[str], query: dict[str, str], body: bytes | None, encoding: str
) -> None:
    path = start + "/".join(parts)
    names = {"signal": target.profile["signalChannel"], "broadcast": target.profile["broadcastChannel"]}
    names |= {
        "transport": target.profile["transportChannel"],
        "sub": target.keys["signalSubscribeKey"],
        "pub": target.keys["signalPublishKey"],
    }
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    joined = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    path += ("&" if "?" in path else "?") + joined if joined else ""
    headers = {"Content-Encoding": encoding} if encoding and encoding.isprintable() else {}
    assert target.ask(verb, path, body if verb == "POST" else None, **headers) < 500
    still_serves(target)


@given(operation=st.sampled_from(sorted(OCRA)), body=bodies())
def test_any_body_of_the_current_dialect(target: Target, operation: Any, body: bytes) -> None:
    endpoint = OCRA[operation]
    path = endpoint.path(user="ada", instance=target.instance)
    token = sign_registration_token("acme", SECRET, "ada", issued_at=int(time.time()), nonce=uuid.uuid4().hex)
    assert target.ask(endpoint.verb, path, body, Authorization=f"Bearer {token}") < 500
    assert target.ask_signed(endpoint.verb, path, body) < 500
    still_serves(target)


ANSWERS = {*range(200, 500), 501}  # 501: what the exchange says it hasn't


@settings(max_examples=80, deadline=None, derandomize=True, database=None)  # passwords are hashed slowly, on purpose
@given(operation=st.sampled_from(sorted(PAPI)), body=bodies(), part=segments)
def test_any_body_of_the_older_dialect(target: Target, operation: Any, body: bytes, part: str) -> None:
    endpoint = PAPI[operation]
    path = endpoint.route
    for name in ("domain", "call", "instance", "identity", "number"):
        path = path.replace(f"{{{name}}}", "data" if name == "domain" else part.replace("{", "").replace("}", "") or "x")
    ticket = sign_user_ticket("acme", SECRET, "bob", created_at=time.time())
    for authorization in ("application acme", f"user {ticket}"):
        assert target.ask(endpoint.verb, path, body, Authorization=authorization) in ANSWERS
    assert target.ask_signed(endpoint.verb, path, body, "instance") in ANSWERS
    still_serves(target)


@given(
    authorization=st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
        st.binary(max_size=40).map(lambda raw: "Basic " + base64.b64encode(raw).decode()),
        st.binary(max_size=40).map(lambda raw: "user " + base64.b64encode(raw).decode() + ":" + base64.b64encode(raw).decode()),
        json_values.map(lambda value: f"Bearer e30.{base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip('=')}.x"),
        json_values.map(lambda value: f"user {base64.b64encode(json.dumps(value).encode()).decode()}:AAAA"),
        anything.map(lambda text: f"instance {quote(text)}:AAAA"),
    ),
    stamp=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    host=st.sampled_from(["127.0.0.1", "localhost:99999", "[::1", "a b", "", "é", "x" * 300, "127.0.0.1:-1", "%00"]),
    path=st.sampled_from(
        ["/ocra/v1/instances", "/v1/instance", "/v1/configuration/user", "/v1/users", "/", "/v1/transport", "/calling/v1/x"]
    ),
)
def test_any_proof_of_who_asks(target: Target, authorization: str, stamp: str, host: str, path: str) -> None:
    headers = {"Authorization": authorization.strip(), "x-timestamp": stamp.strip(), "Host": host}
    for verb in ("GET", "POST"):
        status = target.ask(verb, path, b"{}" if verb == "POST" else None, **headers)
        assert status < 500 or status == 501, "what isn't there is refused by name"
    still_serves(target)
