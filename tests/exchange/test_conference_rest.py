"""The REST API of conferences, over HTTP, as a developer's backend uses it."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from yarl import URL

from sinchphone.exchange.conference.rooms import Participant, Rooms
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.auth import sign_request
from sinchphone.signaling.wire import write_time

SECRETS = {"acme": base64.b64encode(b"a" * 16).decode(), "globex": base64.b64encode(b"g" * 16).decode()}
JSON = "application/json"


@dataclass
class Backend:
    """Somebody with an application's key and secret, and a room with two people."""

    url: str
    session: aiohttp.ClientSession
    rooms: Rooms
    key: str = "acme"
    kicked: list[str] = field(default_factory=list)

    def seat(self, name: str, room: str = "tea", application: str = "acme") -> Any:
        async def kick() -> None:
            self.kicked.append(name)

        return self.rooms.enter(application, room, Participant(f"call-{name}", name, f"+4670{name}"), kick)

    async def signed(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        secret: str | None = None,
        at: float | None = None,
        stamp: str | None = None,
        sent: bytes | None = None,
    ) -> tuple[int, Any]:
        content = json.dumps(body).encode() if body is not None else b""
        stamp = write_time(at or time.time()) if stamp is None else stamp
        signature = sign_request(verb, path, content, JSON, stamp, base64.b64decode(secret or SECRETS[self.key]))
        return await self.send(verb, path, content if sent is None else sent, f"Application {self.key}:{signature}", stamp)

    async def basic(self, verb: str, path: str, body: Any = None, *, secret: str | None = None) -> tuple[int, Any]:
        credentials = base64.b64encode(f"{self.key}:{secret or SECRETS[self.key]}".encode()).decode()
        return await self.send(verb, path, json.dumps(body).encode() if body is not None else b"", f"Basic {credentials}", "")

    async def send(self, verb: str, path: str, body: bytes, authorization: str, stamp: str) -> tuple[int, Any]:
        headers = {"Content-Type": JSON, "x-timestamp": stamp, "Authorization": authorization}
        async with self.session.request(verb, URL(self.url + path, encoded=True), data=body or None, headers=headers) as answer:
            return answer.status, json.loads(await answer.read())


TEA = "/calling/v1/conferences/id/tea"
Send = Callable[..., Any]


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    options = ExchangeOptions(port=0, applications=SECRETS)
    with MediaThread() as media:
        async with Exchange(options, media=media) as exchange, aiohttp.ClientSession() as session:
            assert exchange.rooms is not None
            made = Backend(exchange.url, session, exchange.rooms)
            made.seat("alice")
            made.seat("bob")
            yield made


@pytest.fixture(params=["signed", "basic"])
def send(backend: Backend, request: pytest.FixtureRequest) -> Send:
    chosen: Send = getattr(backend, request.param)
    return chosen


async def test_who_is_in_a_room(send: Send) -> None:
    status, body = await send("GET", TEA)
    assert status == 200
    assert body == {
        "participants": [
            {"cli": "+4670alice", "id": "call-alice", "duration": 0, "muted": False, "onhold": False},
            {"cli": "+4670bob", "id": "call-bob", "duration": 0, "muted": False, "onhold": False},
        ]
    }


@pytest.mark.parametrize(("does", "undoes", "shown"), [("mute", "unmute", "muted"), ("onhold", "resume", "onhold")])
async def test_commands_change_one_participant(send: Send, does: str, undoes: str, shown: str) -> None:
    assert await send("PATCH", f"{TEA}/call-bob", {"command": does}) == (200, {})
    assert [one[shown] for one in (await send("GET", TEA))[1]["participants"]] == [False, True]
    assert await send("PATCH", f"{TEA}/call-bob", {"command": undoes}) == (200, {})
    assert [one[shown] for one in (await send("GET", TEA))[1]["participants"]] == [False, False]


@pytest.mark.parametrize("music", ["ring", "music1", "music2", "music3"])
async def test_on_hold_one_may_hear_a_ringing_tone_or_music(send: Send, music: str) -> None:
    assert (await send("PATCH", f"{TEA}/call-bob", {"command": "onhold", "moh": music}))[0] == 200


async def test_one_is_kicked_or_all(backend: Backend, send: Send) -> None:
    assert await send("DELETE", f"{TEA}/call-bob") == (200, {})
    assert backend.kicked == ["bob"]
    assert await send("DELETE", TEA) == (200, {})
    assert backend.kicked == ["bob", "alice", "bob"]


async def test_a_room_of_any_name_is_found(backend: Backend) -> None:
    backend.seat("carol", "Küche 3/4 & more")
    path = "/calling/v1/conferences/id/K%C3%BCche%203%2F4%20%26%20more"
    status, body = await backend.signed("GET", path)
    assert (status, len(body["participants"])) == (200, 1)


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "code", "words"),
    [
        ("GET", "/calling/v1/conferences/id/coffee", None, 404, 40400, "no such conference"),
        ("DELETE", "/calling/v1/conferences/id/coffee", None, 404, 40400, "no such conference"),
        ("DELETE", f"{TEA}/call-zoe", None, 404, 40400, "nobody of that call id"),
        ("PATCH", f"{TEA}/call-zoe", {"command": "mute"}, 404, 40400, "nobody of that call id"),
        ("PATCH", f"{TEA}/call-bob", {"command": "sing"}, 400, 40001, "mute, unmute, onhold or resume"),
        ("PATCH", f"{TEA}/call-bob", {}, 400, 40001, "command"),
        ("PATCH", f"{TEA}/call-bob", [], 400, 40001, "object"),
        ("PATCH", f"{TEA}/call-bob", {"command": "onhold", "moh": "polka"}, 400, 40001, "moh"),
        ("POST", "/calling/v1/callouts", {"method": "ttsCallout"}, 501, 50100, "nothing of the calling API"),
        ("GET", "/calling/v1/calls/id/1", None, 501, 50100, "nothing of the calling API"),
        ("PATCH", "/calling/v1/calls/id/1", {"action": {"name": "hangup"}}, 501, 50100, "nothing of the calling API"),
        ("GET", "/calling/v1/services", None, 501, 50100, "nothing of the calling API"),
    ],
)
async def test_what_cannot_be_done_is_said_with_the_platforms_numbers(
    send: Send, verb: str, path: str, body: Any, status: int, code: int, words: str
) -> None:
    got, answer = await send(verb, path, body)
    assert (got, answer["errorCode"]) == (status, code)
    assert words in answer["message"]
    assert answer["reference"]


async def test_attack_another_applications_backend_sees_no_room_of_ours(backend: Backend) -> None:
    backend.key = "globex"
    assert (await backend.signed("GET", TEA))[0] == 404
    assert (await backend.basic("DELETE", TEA))[0] == 404
    assert backend.kicked == []


async def test_attack_without_proof_nothing_is_told_and_nobody_is_kicked(backend: Backend) -> None:
    wrong = base64.b64encode(b"x" * 16).decode()
    tried = [
        await backend.send("DELETE", TEA, b"", "", ""),
        await backend.send("DELETE", TEA, b"", "Bearer abc", ""),
        await backend.send("DELETE", TEA, b"", "Basic not-base64!", ""),
        await backend.send("DELETE", TEA, b"", "Basic /w==", ""),
        await backend.send("DELETE", TEA, b"", "Application nobody:abc", write_time(time.time())),
        await backend.signed("DELETE", TEA, secret=wrong),
        await backend.basic("DELETE", TEA, secret=wrong),
        await backend.signed("DELETE", TEA, at=time.time() - 3600),
        await backend.signed("DELETE", TEA, stamp=""),
        await backend.signed("DELETE", TEA, stamp="yesterday"),
        await backend.signed("PATCH", f"{TEA}/call-bob", {"command": "unmute"}, sent=b'{"command":"mute"}'),
    ]
    assert [(status, body["errorCode"]) for status, body in tried] == [
        (401, 40100),
        (403, 40301),
        (401, 40100),
        (401, 40100),
        (401, 40108),
        (401, 40102),
        (401, 40108),
        (401, 40107),
        (401, 40101),
        (401, 40101),
        (401, 40102),
    ]
    assert backend.kicked == []


async def test_attack_a_signed_request_that_was_overheard_is_not_served_again(backend: Backend) -> None:
    now = time.time()
    assert (await backend.signed("DELETE", f"{TEA}/call-bob", at=now))[0] == 200
    assert (await backend.signed("DELETE", f"{TEA}/call-bob", at=now))[0] == 409
    assert backend.kicked == ["bob"]
    assert (await backend.signed("GET", TEA, at=now))[0] == (await backend.signed("GET", TEA, at=now))[0] == 200


async def test_attack_too_many_requests_are_refused(backend: Backend) -> None:
    answers = [(await backend.basic("GET", TEA))[0] for _ in range(230)]
    assert answers.count(200) >= 200
    assert 429 in answers
