"""Sinch's server SDKs against the exchange: callouts, calls, conferences, applications, verification, and their checks of webhooks."""

import asyncio
import base64
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sinchphone.exchange.destinations import dialplan
from sinchphone.exchange.destinations.dialplan import Plan
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.tls import Issued
from sinchphone.gateway.options import GatewayOptions
from sinchphone.local import ConfiguredGateway
from sinchphone.media.thread import MediaThread
from tests.interop.conftest import SDK, installed
from tests.suite import guests

KEY, SECRET = "acme", base64.b64encode(b"a" * 16).decode()
STAYS, FROM, OURS = "+14155550120", "+46700000002", "+46700000001"
LIMIT_S = 20.0


@dataclass
class Backend:
    """Answers events, and keeps them as they came."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    came: list[tuple[dict[str, str], str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        self.came.append((dict(request.headers), body))
        return web.json_response(self.answers.get(json.loads(body)["event"], {}))

    async def heard(self, event: str) -> tuple[dict[str, str], str]:
        async with asyncio.timeout(LIMIT_S):
            while not (found := [one for one in self.came if json.loads(one[1])["event"] == event]):
                await asyncio.sleep(0.02)
        return found[-1]


@dataclass
class ServerSdk:
    """One of the SDKs, in a process of its own."""

    process: asyncio.subprocess.Process

    async def ask(self, call: str, *arguments: Any) -> Any:
        """What a method returns, or how it fails."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"call": call, "arguments": arguments}).encode() + b"\n")
        async with asyncio.timeout(LIMIT_S):
            return json.loads(await self.process.stdout.readline())

    async def does(self, call: str, *arguments: Any) -> Any:
        answer = await self.ask(call, *arguments)
        assert "error" not in answer, answer
        return answer["result"]


@dataclass
class Place:
    """An exchange with TLS and a backend."""

    exchange: Exchange
    backend: Backend
    issued: Issued
    stack: AsyncExitStack

    async def start(self, *command: str) -> ServerSdk:
        bundle = str(self.issued.authority)
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": bundle, "REQUESTS_CA_BUNDLE": bundle}
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment
        )

        async def end() -> None:
            if process.returncode is None:
                process.kill()
            await process.wait()

        self.stack.push_async_callback(end)
        return ServerSdk(process)

    async def node(self) -> ServerSdk:
        options = json.dumps({"url": self.exchange.tls_url, "key": KEY, "secret": SECRET})
        modules = await asyncio.to_thread(installed, guests.SINCH_NODE)
        return await self.start("node", str(SDK / "server_sdk_driver.js"), str(modules), options)

    async def python(self) -> ServerSdk:
        options = json.dumps({"origin": (self.exchange.tls_url or "").removeprefix("https://"), "key": KEY, "secret": SECRET})
        folder = await asyncio.to_thread(installed, guests.SINCH_PYTHON)
        return await self.start(str(folder / "bin" / "python"), str(SDK / "server_sdk_driver.py"), options)

    def code(self) -> str:
        found = re.search(r"(\+1\d{10}|\d{4})$", self.exchange.sms.messages(KEY)[-1].text)
        assert found
        return found[1]


@pytest.fixture
async def place(media: MediaThread, issued: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(dialplan, "_SUBSCRIBERS", {**dialplan._SUBSCRIBERS, "20": Plan()})
    backend, application = Backend(), web.Application()
    application.router.add_post("/sinch", backend.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}/sinch"
    options = ExchangeOptions(port=0, tls_port=0, certificate=issued.certificate, applications={KEY: SECRET})
    async with Exchange(options, media=media, gateway=ConfiguredGateway(GatewayOptions())) as exchange, AsyncExitStack() as stack:
        yield Place(exchange, backend, issued, stack)
    await runner.cleanup()


def action(name: str, **members: Any) -> dict[str, Any]:
    return {"instructions": [], "action": {"name": name, **members}}


async def test_the_sdk_for_node_calls_out_and_steers_calls(place: Place) -> None:
    sdk, backend = await place.node(), place.backend
    urls = {"applicationkey": KEY, "updateCallbacksRequestBody": {"url": {"primary": backend.url}}}
    await sdk.does("voice.applications.updateCallbackURLs", urls)
    urls = await sdk.does("voice.applications.getCallbackURLs", {"applicationkey": KEY})
    assert urls["url"]["primary"] == backend.url
    backend.answers |= {"ice": action("connectPstn", number=STAYS, cli=FROM), "ace": action("continue")}
    to = {"type": "number", "endpoint": STAYS}
    body = {"method": "customCallout", "customCallout": {"cli": FROM, "destination": to, "custom": "mine"}}
    call = (await sdk.does("voice.callouts.custom", {"customCalloutRequestBody": body}))["callId"]
    await backend.heard("ace")
    told = await sdk.does("voice.calls.get", {"callId": call})
    assert (told["callId"], told["status"], told["to"], told["custom"]) == (call, "ONGOING", to, "mine")
    said = {"instructions": [{"name": "say", "text": "Hi", "locale": "en-US"}], "action": {"name": "continue"}}
    await sdk.does("voice.calls.manageWithCallLeg", {"callId": call, "callLeg": "callee", "manageWithCallLegRequestBody": said})
    await sdk.does("voice.calls.update", {"callId": call, "updateCallRequestBody": action("park", holdPrompt="#tts[Please wait]")})
    await sdk.does("voice.calls.update", {"callId": call, "updateCallRequestBody": action("hangup")})
    headers, dice = await backend.heard("dice")
    assert json.loads(dice)["reason"] == "MANAGERHANGUP"
    assert (await sdk.does("voice.calls.get", {"callId": call}))["status"] == "FINAL"
    assert (await sdk.ask("voice.calls.get", {"callId": "nobody"}))["status"] == 404
    for headers, event in backend.came:
        assert await sdk.does("webhooks.voice.validateAuthenticationHeader", headers, event, "/sinch", "POST") is True
        assert await sdk.does("webhooks.voice.validateAuthenticationHeader", headers, f"{event} ", "/sinch", "POST") is False
        assert (await sdk.does("webhooks.voice.parseEvent", json.loads(event)))["callid"] == call


async def test_the_sdk_for_node_has_numbers_conferences_and_texts_spoken(place: Place) -> None:
    sdk = await place.node()
    await sdk.does(
        "voice.applications.assignNumbers", {"assignNumbersRequestBody": {"numbers": [OURS], "applicationkey": KEY, "capability": "voice"}}
    )
    assert (await sdk.does("voice.applications.listNumbers", {}))["numbers"][0]["number"] == OURS
    await sdk.does("voice.applications.unassignNumber", {"unassignNumbersRequestBody": {"number": OURS}})
    found = await sdk.does("voice.applications.queryNumber", {"number": OURS})
    assert (found["number"]["countryId"], found["number"]["numberType"]) == ("SE", "Mobile")
    to = {"type": "number", "endpoint": STAYS}
    body = {"method": "conferenceCallout", "conferenceCallout": {"cli": FROM, "destination": to, "conferenceId": "tea"}}
    call = (await sdk.does("voice.callouts.conference", {"conferenceCalloutRequestBody": body}))["callId"]
    async with asyncio.timeout(LIMIT_S):
        while "error" in (room := await sdk.ask("voice.conferences.get", {"conferenceId": "tea"})):
            await asyncio.sleep(0.05)
    assert room["result"]["participants"][0]["id"] == call
    seat = {"conferenceId": "tea", "callId": call}
    await sdk.does("voice.conferences.manageParticipant", {**seat, "manageParticipantRequestBody": {"command": "mute"}})
    await sdk.does("voice.conferences.kickParticipant", seat)
    spoken = {"method": "ttsCallout", "ttsCallout": {"cli": FROM, "destination": to, "text": "Hi", "locale": "en-US"}}
    assert (await sdk.does("voice.callouts.tts", {"ttsCalloutRequestBody": spoken}))["callId"]


async def test_the_sdk_for_node_verifies_numbers(place: Place) -> None:
    sdk, backend = await place.node(), place.backend
    urls = {"applicationkey": KEY, "updateCallbacksRequestBody": {"url": {"primary": backend.url}}}
    await sdk.does("voice.applications.updateCallbackURLs", urls)
    who = {"type": "number", "endpoint": OURS}
    api = "verification.verifications"
    sms = await sdk.does(f"{api}.startSms", {"startVerificationWithSmsRequestBody": {"identity": who, "reference": "r"}})
    wrong = {"id": sms["id"], "reportSmsVerificationByIdRequestBody": {"sms": {"code": "none"}}}
    assert (await sdk.ask(f"{api}.reportSmsById", wrong))["status"] == 400
    right = {"id": sms["id"], "reportSmsVerificationByIdRequestBody": {"sms": {"code": place.code()}}}
    assert (await sdk.does(f"{api}.reportSmsById", right))["status"] == "SUCCESSFUL"
    flash = await sdk.does(f"{api}.startFlashCall", {"startVerificationWithFlashCallRequestBody": {"identity": who}})
    assert re.match(flash["flashCall"]["cliFilter"], place.code())
    told = {"endpoint": OURS, "reportFlashCallVerificationByIdentityRequestBody": {"flashCall": {"cli": place.code()}}}
    assert (await sdk.does(f"{api}.reportFlashCallByIdentity", told))["status"] == "SUCCESSFUL"
    await sdk.does(f"{api}.startPhoneCall", {"startVerificationWithPhoneCallRequestBody": {"identity": who}})
    told = {"endpoint": OURS, "reportPhoneCallVerificationByIdentityRequestBody": {"phoneCall": {"code": place.code()}}}
    assert (await sdk.does(f"{api}.reportPhoneCallByIdentity", told))["status"] == "SUCCESSFUL"
    status = "verification.verificationStatus"
    assert (await sdk.does(f"{status}.getById", {"id": sms["id"]}))["method"] == "sms"
    assert (await sdk.does(f"{status}.getByReference", {"reference": "r"}))["id"] == sms["id"]
    assert (await sdk.does(f"{status}.getByIdentity", {"endpoint": OURS, "method": "flashcall"}))["status"] == "SUCCESSFUL"
    assert (await sdk.ask(f"{api}.startWhatsApp", {"startVerificationWithWhatsAppRequestBody": {"identity": who}}))["status"] == 501
    for headers, event in backend.came:
        assert await sdk.does("webhooks.verification.validateAuthenticationHeader", headers, event, "/sinch", "POST") is True
        assert (await sdk.does("webhooks.verification.parseEvent", json.loads(event)))["identity"] == who


async def test_the_sdk_for_python_calls_out_steers_calls_and_has_numbers(place: Place) -> None:
    sdk, backend = await place.python(), place.backend
    await sdk.does("voice.applications.update_callback_urls", {"application_key": KEY, "primary": backend.url})
    assert (await sdk.does("voice.applications.get_callback_urls", {"application_key": KEY}))["primary"] == backend.url
    backend.answers |= {"ice": action("connectPstn", number=STAYS, cli=FROM), "ace": action("continue")}
    to = {"type": "number", "endpoint": STAYS}
    call = (await sdk.does("voice.callouts.custom", {"cli": FROM, "destination": to, "custom": "mine"}))["call_id"]
    await backend.heard("ace")
    told = await sdk.does("voice.calls.get", {"call_id": call})
    assert (told["call_id"], told["status"], told["to"], told["custom"]) == (call, "ONGOING", to, "mine")
    said = {"instructions": [{"name": "say", "text": "Hi"}], "action": {"name": "continue"}}
    await sdk.does("voice.calls.manage_with_call_leg", {"call_id": call, "call_leg": "callee", **said})
    await sdk.does("voice.calls.update", {"call_id": call, "instructions": [], "action": {"name": "park", "locale": "en-US"}})
    await sdk.does("voice.calls.update", {"call_id": call, "instructions": [], "action": {"name": "hangup"}})
    await backend.heard("dice")
    assert (await sdk.does("voice.calls.get", {"call_id": call}))["reason"] == "MANAGERHANGUP"
    assert (await sdk.ask("voice.calls.get", {"call_id": "nobody"}))["error"].startswith("VoiceException")
    assert (await sdk.does("voice.callouts.text_to_speech", {"cli": FROM, "destination": to, "text": "Hi"}))["call_id"]
    assert (await sdk.does("voice.callouts.conference", {"cli": FROM, "destination": to, "conference_id": "tea"}))["call_id"]
    await sdk.does("voice.applications.assign_numbers", {"numbers": [OURS], "application_key": KEY, "capability": "voice"})
    assert (await sdk.does("voice.applications.get_numbers", {}))["numbers"][0]["number"] == OURS
    await sdk.does("voice.applications.unassign_number", {"number": OURS})
    assert (await sdk.does("voice.applications.query_number", {"number": OURS}))["country_id"] == "SE"


async def test_the_sdk_for_python_verifies_numbers(place: Place) -> None:
    sdk = await place.python()
    who, api = {"type": "number", "endpoint": OURS}, "verification.verifications"
    sms = await sdk.does(f"{api}.start_sms", {"identity": who, "reference": "r", "code_type": "Numeric"})
    assert (await sdk.ask(f"{api}.report_sms_by_id", {"id": sms["id"], "code": "none"}))["error"].startswith("VerificationException")
    assert (await sdk.does(f"{api}.report_sms_by_id", {"id": sms["id"], "code": place.code()}))["status"] == "SUCCESSFUL"
    await sdk.does(f"{api}.start_flash_call", {"identity": who, "dial_timeout": 10})
    assert (await sdk.does(f"{api}.report_flash_call_by_identity", {"endpoint": OURS, "cli": place.code()}))["status"] == "SUCCESSFUL"
    call = await sdk.does(f"{api}.start_phone_call", {"identity": who})
    assert (await sdk.does(f"{api}.report_phone_call_by_id", {"id": call["id"], "code": place.code()}))["status"] == "SUCCESSFUL"
    status = "verification.verification_status"
    assert (await sdk.does(f"{status}.get_by_reference", {"reference": "r"}))["id"] == sms["id"]
    for method in ("sms", "flashCall", "callout"):
        assert (await sdk.does(f"{status}.get_by_identity", {"endpoint": OURS, "method": method}))["status"] == "SUCCESSFUL"
    assert "seamless" in (await sdk.ask(f"{api}.start_data", {"identity": who}))["error"]
