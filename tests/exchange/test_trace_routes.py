"""The record over HTTP: one call's events, decrypted; whose it is; secrets planted everywhere and seen nowhere."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.auth import sign_request
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encrypt, split
from sinchphone.signaling.ocra.names import OcraOperation
from sinchphone.signaling.wire import write_time
from tests.exchange.conftest import SECRETS, Answer, MakePhone, Phone, StartExchange

FAKE = "FAKE-SECRET-FOR-TESTS"
TRACE = "/__sinchphone/trace"


def bearer(application: str = "acme") -> str:
    return f"Bearer {management_token(base64.b64decode(SECRETS[application]))}"


async def get(phone: Phone, path: str, **headers: str) -> Answer:
    return await phone.send("GET", f"{TRACE}{path}", b"", headers.pop("authorization", bearer()), "", **headers)


async def a_call(phone: MakePhone, **members: Any) -> tuple[Phone, str]:
    """Ada calls Bob, who listens."""
    ada, bob = await phone("ada").registered(), await phone("bob").registered()
    await bob.subscribe("broadcast")
    answer = await ada.call("bob", call_id="call-1", **members)
    assert answer.status in (200, 201), answer.body
    sender = Client("ada", ada.instance, ada.profile["signalChannel"])
    key = base64.b64decode(answer.body["mxpEncryptionKey"])
    message = Message(Method.CANCEL, sender, BodyType.NONE, "", {"to": bob.instance, "secret": FAKE})
    for frame in split(encrypt(message, key, b"i" * 16), "call-1", "7"):
        await ada.publish(answer.body["mxpSignalChannel"], frame)
    return ada, answer.body["mxpEncryptionKey"]


async def test_a_calls_events_are_told_in_order_with_its_messages_decrypted(phone: MakePhone) -> None:
    ada, _ = await a_call(phone)
    answer = await get(ada, "/calls/call-1")
    assert answer.status == 200
    said = [(one["kind"], one["source"], one["target"], one["summary"].split(" (")[0]) for one in answer.body["events"]]
    assert said[0][:3] == ("rest", "ada", "exchange")
    assert ("pubsub", "exchange", "bob", "INVITE offer") in said
    assert ("pubsub", "ada", "exchange", "CANCEL") in said
    assert [one["seq"] for one in answer.body["events"]] == sorted(one["seq"] for one in answer.body["events"])
    assert {one["call"] for one in answer.body["events"]} == {"call-1"}


@pytest.mark.parametrize("name", ["call-1", "call", "last"])
async def test_a_call_is_found_by_its_id_by_how_it_begins_and_as_the_last_one(phone: MakePhone, name: str) -> None:
    ada, _ = await a_call(phone)
    assert (await get(ada, f"/calls/{name}")).body["call"]["id"] == "call-1"


@pytest.mark.parametrize("name", ["nobodys", "x" * 300, "%00", "%F0%9F%93%9E", "'%22%3Cscript%3E"])
async def test_an_unknown_call_is_said_to_be_unknown(phone: MakePhone, name: str) -> None:
    ada, _ = await a_call(phone)
    answer = await get(ada, f"/calls/{name}")
    assert (answer.status, answer.body["message"].split(",")[0]) == (404, "there is no such call in the record")


async def test_before_the_first_call_there_is_no_last_one(phone: MakePhone) -> None:
    ada = await phone("ada").registered()
    answer = await get(ada, "/calls/last")
    assert (answer.status, answer.body["message"]) == (404, "no call is in the record yet")


async def test_planted_secrets_are_seen_nowhere(phone: MakePhone, exchange: Exchange) -> None:
    ada, session_key = await a_call(phone, headers={"password": FAKE, "x-note": f"token={FAKE}"})
    nested = {"credential": FAKE, "note": json.dumps({"secret": FAKE})}
    await ada.ask(OcraOperation.REPORT_CALL, {"callId": "call-1", "apiKey": FAKE, "nested": nested})
    body, more = b"password=" + FAKE.encode(), {"X-Api-Key": FAKE, "Cookie": FAKE}
    await ada.send("POST", f"/ocra/v1/nowhere?token={FAKE}&x=1", body, f"Basic {FAKE}", "", **more)
    await ada.publish(ada.profile["signalChannel"], {"password": FAKE, "url": f"https://u:{FAKE}@x"})
    shown = json.dumps([(await get(ada, path)).body for path in ("/calls/call-1", "/others", "/calls")])
    capture = await raw(ada, "/calls/call-1/capture")
    own = [ada.keys["signalPublishKey"], base64.b64encode(ada.secret).decode()]
    for secret in (FAKE, session_key, SECRETS["acme"], *own):
        assert secret not in shown
        assert secret.encode() not in capture
    assert "***" in shown


async def raw(phone: Phone, path: str) -> bytes:
    async with phone.session.get(f"{phone.url}{TRACE}{path}", headers={"Authorization": bearer()}) as answer:
        assert answer.status == 200
        return await answer.read()


async def test_a_capture_file_is_given(phone: MakePhone) -> None:
    ada, _ = await a_call(phone)
    assert (await raw(ada, "/calls/last/capture"))[:4] == b"\x0a\x0d\x0d\x0a"


async def test_another_application_sees_nothing_of_it(phone: MakePhone) -> None:
    ada, _ = await a_call(phone)
    theirs = bearer("globex")
    assert (await get(ada, "/calls/call-1", authorization=theirs)).status == 404
    assert (await get(ada, "/calls", authorization=theirs)).body == {"calls": []}
    assert (await get(ada, "/others", authorization=theirs)).body == {"events": []}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer wrong"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/calls", "/calls/last", "/calls/last/capture", "/others", "/live"])
async def test_a_page_from_elsewhere_and_who_has_no_token_are_refused(phone: MakePhone, path: str, headers: dict[str, str]) -> None:
    answer = await get(phone("ada"), path, **headers)
    assert answer.status in (401, 403)
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_signed_requests_are_let_in(phone: MakePhone) -> None:
    ada, _ = await a_call(phone)
    stamp, path = write_time(time.time()), f"{TRACE}/calls"
    signature = sign_request("GET", path, None, "", stamp, base64.b64decode(SECRETS["acme"]))
    headers = {"Authorization": f"Application acme:{signature}", "x-timestamp": stamp}
    async with aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session, session.get(ada.url + path, headers=headers) as answer:
        assert [call["id"] for call in (await answer.json())["calls"]] == ["call-1"]


@asynccontextmanager
async def live(phone: Phone) -> AsyncIterator[aiohttp.StreamReader]:
    async with phone.session.get(f"{phone.url}{TRACE}/live", headers={"Authorization": bearer()}) as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readline() == b": hello\n"
        yield answer.content


async def test_events_come_live_and_the_stream_ends_with_the_exchange(phone: MakePhone, exchange: Exchange) -> None:
    ada = await phone("ada").registered()
    async with live(ada) as stream, asyncio.timeout(20):
        await a_call(phone)
        while b"CANCEL" not in (line := await stream.readline()):
            assert line
        await exchange.close()
        assert await stream.read() is not None


async def test_a_flood_of_hostile_publications_leaves_the_call_to_be_read(start_exchange: StartExchange, phone: MakePhone) -> None:
    ada, _ = await a_call(phone)
    for junk in (
        "10 call-1 - 0 1 AAAA",
        "10 call-1 9 0 512 QUJD",
        "10 \x1b[2J - 0 1 AAAA",
        "x" * 20_000,
        ["<script>alert(1)</script>"],
    ):
        for _ in range(20):
            await ada.publish(ada.profile["signalChannel"], junk)
    answer = await get(ada, "/calls/call-1")
    assert answer.status == 200
    assert answer.body["events"][0]["kind"] == "rest"
