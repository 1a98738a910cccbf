"""Pushes between sinchphone and Web Push of others: pywebpush and npm's web-push as senders to our user agent and push service; npm's
web-push-testing and http-ece as receivers of what our exchange sends."""

import asyncio
import base64
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.call.states import State
from sinchphone.protocol.webpush.encryption import encrypt_push
from sinchphone.protocol.webpush.keys import KeyPair, read_base64, write_base64
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.push.notification import read_content
from sinchphone.signaling.push.user_agent import Pushed, Subscribed, UserAgent
from tests.interop.conftest import APPLICATION, SECRET, OurExchange, Steps, installed
from tests.suite import guests

DRIVER = Path(__file__).with_name("sdk") / "web_push_driver.js"
PATIENCE_S = 20.0
TEXT = "Grüße, 🐟"
PYTHON_SENDER = """
import json, sys, time
from pywebpush import webpush
asked = json.loads(sys.argv[1])
answer = webpush(asked["subscription"], asked["text"], vapid_private_key=asked["key"], vapid_claims={"sub": "mailto:a@example.org"}, ttl=60)
print(answer.status_code)
"""
PYTHON_RECEIVER = """
import base64, json, sys
import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
asked = {name: base64.urlsafe_b64decode(value + "==") for name, value in json.loads(sys.argv[1]).items()}
key = ec.derive_private_key(int.from_bytes(asked["private"], "big"), ec.SECP256R1())
print(http_ece.decrypt(asked["body"], private_key=key, auth_secret=asked["auth"], version="aes128gcm").decode())
"""


@pytest.fixture(scope="module")
def python() -> str:
    return str(installed(guests.PYWEBPUSH) / "bin" / "python")


@pytest.fixture(scope="module")
def node() -> list[str]:
    return ["node", str(DRIVER), str(installed(guests.WEB_PUSH))]


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Exchange]:
    applications = {APPLICATION: base64.b64encode(SECRET).decode()}
    async with Exchange(ExchangeOptions(port=0, applications=applications, store=tmp_path / "exchange.sqlite3")) as running:
        yield running


async def run(*command: str) -> str:
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Agent:
    """Our user agent at our push service, for pushes of one sender."""

    def __init__(self, session: aiohttp.ClientSession, exchange: Exchange, key: bytes) -> None:
        self._events = UserAgent(session, f"ws{exchange.url.removeprefix('http')}/push", key).events()

    async def __aenter__(self) -> "Agent":
        subscribed = await asyncio.wait_for(anext(self._events), PATIENCE_S)
        assert isinstance(subscribed, Subscribed)
        self.subscription = subscribed.subscription
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._events.aclose()

    @property
    def json(self) -> dict[str, Any]:
        keys = {"p256dh": write_base64(self.subscription.p256dh), "auth": write_base64(self.subscription.auth)}
        return {"endpoint": self.subscription.endpoint, "keys": keys}

    async def pushed(self) -> str:
        event = await asyncio.wait_for(anext(self._events), PATIENCE_S)
        assert isinstance(event, Pushed)
        return event.content.decode()


async def test_pywebpush_pushes_to_our_user_agent(exchange: Exchange, python: str) -> None:
    sender = KeyPair.from_random(b"7" * 48)
    async with aiohttp.ClientSession() as session, Agent(session, exchange, sender.public_bytes) as agent:
        asked = {"subscription": agent.json, "text": TEXT, "key": write_base64(sender.private_bytes)}
        assert await run(python, "-c", PYTHON_SENDER, json.dumps(asked)) == "201"
        assert await agent.pushed() == TEXT


async def test_npms_web_push_pushes_to_our_user_agent(exchange: Exchange, node: list[str]) -> None:
    keys = json.loads(await run(*node, "keys"))
    async with aiohttp.ClientSession() as session, Agent(session, exchange, read_base64(keys["publicKey"], "key")) as agent:
        asked = {"subscription": agent.json, "keys": keys, "text": TEXT, "ttl": 60}
        assert await run(*node, "send", json.dumps(asked)) == "201"
        assert await agent.pushed() == TEXT
        other = json.loads(await run(*node, "keys"))
        assert await run(*node, "send", json.dumps({**asked, "keys": other})) == "401"


async def test_http_ece_reads_what_we_encrypt(python: str) -> None:
    receiver, sender = KeyPair.from_random(b"1" * 48), KeyPair.from_random(b"2" * 48)
    subscription = PushSubscription("https://push.example/a", receiver.public_bytes, b"a" * 16)
    body = encrypt_push(TEXT.encode(), subscription, sender=sender, salt=b"s" * 16)
    asked = {"body": write_base64(body), "private": write_base64(receiver.private_bytes), "auth": write_base64(subscription.auth)}
    assert await run(python, "-c", PYTHON_RECEIVER, json.dumps(asked)) == TEXT


@contextmanager
def far_service(node: list[str]) -> Iterator[str]:
    """web-push-testing's URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*node, "receive", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert b"running" in process.stdout.readline()
        yield f"http://localhost:{port}"
    finally:
        process.kill()
        process.wait()


async def test_web_push_testing_gets_the_exchanges_push_about_a_call(exchange: Exchange, node: list[str], steps: type[Steps]) -> None:
    """It checks the sender's token and key, and decrypts; the payload then takes the call."""
    there = OurExchange(exchange, "ocra")
    with far_service(node) as url:
        async with aiohttp.ClientSession() as session, SinchClient("bob", there) as bob, SinchClient("alice", there) as alice:
            asked = {"userVisibleOnly": "true", "applicationServerKey": bob.application_server_key}
            async with session.post(f"{url}/subscribe", json=asked) as answer:
                made = (await answer.json())["data"]
            keys = made["keys"]
            subscription = PushSubscription(made["endpoint"], read_base64(keys["p256dh"], "p256dh"), read_base64(keys["auth"], "auth"))
            await bob.set_support_managed_push(subscription, sleep_after=0.1)
            async with asyncio.timeout(PATIENCE_S):
                while not bob._link.is_asleep:
                    await asyncio.sleep(0.02)
                await bob._link.ready.wait()
            call = await alice.call_user("bob")
            (message,) = await messages_of(session, url, made["clientHash"])
            told = read_content(message.encode())
            assert (told.call_id, told.remote_user_id, told.has_timed_out(time.time())) == (call.id, "alice", False)
            await bob.relay_push_notification(message.encode())
            await steps.reach(call, State.RINGING)
            async with session.post(f"{url}/expire-subscription/{made['clientHash']}") as answer:
                assert answer.status == 200


async def messages_of(session: aiohttp.ClientSession, url: str, client: str) -> list[str]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with session.post(f"{url}/get-notifications", json={"clientHash": client}) as answer:
                if found := (await answer.json())["data"]["messages"]:
                    return [str(one) for one in found]
            await asyncio.sleep(0.1)
