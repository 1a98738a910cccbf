import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.exchange.destinations.gateway import CallbackUrls
from sinchphone.gateway.callbacks.backend import MAX_ANSWER_BYTES, Backend, CallbackError
from sinchphone.gateway.callbacks.backends import Backends
from sinchphone.gateway.options import BackendOptions
from sinchphone.protocol.auth import verify_request
from sinchphone.protocol.callbacks.events import (
    CallDomain,
    CallFacts,
    CallResult,
    DisconnectedCallEvent,
    Identity,
    IdentityType,
    IncomingCallEvent,
    Notification,
    NotificationType,
    Reason,
)
from sinchphone.protocol.callbacks.menu import MenuResult, MenuResultType
from sinchphone.protocol.callbacks.svaml import ConnectMxp, Continue, Hangup, SetCookie, Svaml

SECRET = b"s" * 16
FACTS = CallFacts(call_id="call-1", application_key="acme")
INCOMING = IncomingCallEvent(
    to=Identity(IdentityType.DID, "+12017777777"), domain=CallDomain.PSTN, origin=CallDomain.PSTN, caller_id="+12015555555"
)
OVER = DisconnectedCallEvent(
    to=Identity(IdentityType.DID, "+12017777777"), caller="+12015555555", reason=Reason.CANCEL, result=CallResult.NO_ANSWER
)
TO_ADA = {"action": {"name": "connectMxp", "destination": {"type": "username", "endpoint": "ada"}}}


@dataclass
class Developer:
    """A developer's backend: what it was told, and what it answers."""

    url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    goodbyes: list[Any] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        scheme, _, credentials = request.headers["Authorization"].partition(" ")
        key, _, signature = credentials.partition(":")
        right = verify_request(
            "POST", request.path, body, request.headers["Content-Type"], request.headers["x-timestamp"], SECRET, signature
        )
        self.signed.append((scheme, key, right) == ("application", "acme", True))
        self.told.append(json.loads(body))
        self.headers.append(dict(request.headers))
        self.asked.set()
        ending = self.told[-1]["event"] == "dice"
        waiting = self.goodbyes if ending else self.answers
        answer = waiting.pop(0) if waiting else web.Response() if ending else TO_ADA
        if callable(answer):
            answer = await answer()
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)


@pytest.fixture
async def developer() -> AsyncIterator[Callable[[], Awaitable[Developer]]]:
    """Starts a backend on a free port."""
    runners = []

    async def start() -> Developer:
        served = Developer()
        application = web.Application()
        application.router.add_post("/voice/calls", served.serve)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/voice/calls?x=1"
        return served

    yield start
    for runner in runners:
        await runner.cleanup()


def backend_at(url: str, fallback: str | None = None, **more: Any) -> Backend:
    return Backend(BackendOptions(url, fallback), "acme", SECRET, AddressPolicy(listens_on="127.0.0.1"), **more)


NOBODY = "http://127.0.0.1:9/voice/calls"  # discard: nothing listens there


async def test_an_incoming_call_is_told_signed_and_the_answer_is_read(developer: Any) -> None:
    served = await developer()
    async with backend_at(served.url) as backend:
        answer = await backend.session(FACTS, {"X-CB-Tenant": "7"}).incoming(INCOMING)
    assert answer == Svaml(ConnectMxp("ada"))
    assert (served.told[0]["event"], served.told[0]["cli"], served.signed) == ("ice", "+12015555555", [True])
    assert served.headers[0]["X-CB-Tenant"] == "7"


async def test_a_backend_that_the_operator_names_is_asked_wherever_the_exchange_listens(developer: Any) -> None:
    served = await developer()
    options = BackendOptions(served.url.replace("127.0.0.1", "localhost"), served.url)
    async with Backend(options, "acme", SECRET, AddressPolicy(listens_on="0.0.0.0")) as backend:
        assert (await backend.session(FACTS).incoming(INCOMING)).action == ConnectMxp("ada")


async def test_attack_a_url_that_is_set_later_leads_no_further_inside_than_the_exchange_lets(developer: Any) -> None:
    served = await developer()
    secrets = {"acme": base64.b64encode(SECRET).decode()}
    for listens_on, asked in (("0.0.0.0", False), ("127.0.0.1", True)):
        backends = Backends(None, secrets, AddressPolicy(listens_on=listens_on))
        backends.connect()
        backends.set_urls("acme", CallbackUrls(served.url.replace("127.0.0.1", "localhost"), served.url))
        backend = backends.of("acme")
        assert backend is not None
        with nullcontext() if asked else pytest.raises(CallbackError, match="private network"):
            await backend.session(FACTS).incoming(INCOMING)
        assert bool(served.told) is asked
        await backends.close()


async def test_attack_a_backend_at_a_metadata_address_is_not_asked() -> None:
    options = BackendOptions("http://169.254.169.254/latest/api/token", "http://[fd00:ec2::254]/")
    async with Backend(options, "acme", SECRET, AddressPolicy(listens_on="127.0.0.1")) as backend:
        with pytest.raises(CallbackError, match=r"169\.254\.169\.254 is a link-local or metadata address.*fd00:ec2::254 is"):
            await backend.session(FACTS).incoming(INCOMING)


async def test_the_fallback_is_asked_where_the_primary_can_not_be_reached_or_refuses(developer: Any) -> None:
    primary, fallback = await developer(), await developer()
    async with backend_at(NOBODY, fallback.url) as backend:
        assert (await backend.session(FACTS).incoming(INCOMING)).action == ConnectMxp("ada")
    primary.answers = [web.Response(status=500)]
    async with backend_at(primary.url, fallback.url) as backend:
        assert (await backend.session(FACTS).incoming(INCOMING)).action == ConnectMxp("ada")
    assert (len(primary.told), len(fallback.told), fallback.signed) == (1, 2, [True, True])


async def test_the_fallback_is_asked_where_the_primary_takes_too_long(developer: Any) -> None:
    primary, fallback = await developer(), await developer()
    primary.answers = [asyncio.Event().wait]
    async with backend_at(primary.url, fallback.url, answer_seconds=0.3) as backend:
        assert (await backend.session(FACTS).incoming(INCOMING)).action == ConnectMxp("ada")


async def test_the_fallback_is_not_asked_where_the_answer_can_not_be_carried_out(developer: Any) -> None:
    primary, fallback = await developer(), await developer()
    primary.answers = [{"action": {"name": "connectPstn", "number": "0700"}}]
    async with backend_at(primary.url, fallback.url) as backend:
        with pytest.raises(CallbackError, match=r"^action\.number is .*, but should be a phone number.*answer to ICE"):
            await backend.session(FACTS).incoming(INCOMING)
    assert fallback.told == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (web.Response, "the body is empty, but should be a JSON object with an action"),
        (lambda: web.Response(status=404), "HTTP 404"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}), "redirects"),
        (lambda: web.Response(body=b"x" * (MAX_ANSWER_BYTES + 1)), "64 KiB"),
        (lambda: web.Response(body=b"not JSON"), "JSON"),
        (lambda: web.json_response({"action": {"name": "connectAgent"}}), "not on this exchange"),
    ],
)
async def test_what_is_no_answer_to_ice_is_an_error_that_says_why(developer: Any, answer: Callable[[], web.Response], says: str) -> None:
    served = await developer()
    served.answers = [answer()]
    async with backend_at(served.url) as backend:
        with pytest.raises(CallbackError, match=says):
            await backend.session(FACTS).incoming(INCOMING)


async def test_a_backend_that_nobody_runs_is_an_error_with_a_hint() -> None:
    async with backend_at(NOBODY, NOBODY) as backend:
        with pytest.raises(CallbackError, match="the backend can't be reached: connection refused; its fallback can't be") as refused:
            await backend.session(FACTS).incoming(INCOMING)
    assert "[backend]" in refused.value.hint


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        (b"", "the connection was closed without an answer"),
        (b"220 mail.example.org ESMTP\r\n", "what it answers isn't HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "the connection was cut in the answer"),
    ],
)
async def test_a_server_that_is_no_backend_is_told_in_words(answered: bytes, says: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answered)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, backend_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/voice") as backend:
        with pytest.raises(CallbackError, match=f"the backend can't be reached: {says}"):
            await backend.session(FACTS).incoming(INCOMING)


async def test_a_backend_whose_name_nobody_knows_is_told_in_words() -> None:
    async with backend_at("http://backend.invalid/voice") as backend:
        with pytest.raises(CallbackError, match="the backend can't be reached: its name leads to no address"):
            await backend.session(FACTS).incoming(INCOMING)


async def test_a_call_goes_on_where_the_backend_gives_no_answer_to_ace(developer: Any) -> None:
    served = await developer()
    served.answers = [{"action": {"name": "hangup"}}, web.Response(status=500), {"action": {"name": "connectPstn"}}]
    async with backend_at(served.url) as backend:
        session = backend.session(FACTS)
        assert [(await session.answered()).action for _ in range(3)] == [Hangup(), Continue(), Continue()]
    assert [event["event"] for event in served.told if event["event"] != "notify"] == ["ace"] * 3


async def test_an_answer_that_can_not_be_carried_out_is_told_as_a_calling_error(developer: Any) -> None:
    served = await developer()
    served.answers = [{"action": {"name": "connectPstn"}}, web.Response()]
    async with backend_at(served.url) as backend:
        await backend.session(FACTS).answered()
    told = served.told[-1]
    assert (told["event"], told["type"], told["errorCode"], told["callid"]) == ("notify", "callingerror", 40001, "call-1")
    assert told["errorMsg"].startswith('action.name is "connectPstn"')


async def test_a_menus_result_is_told_and_its_answer_read(developer: Any) -> None:
    served = await developer()
    async with backend_at(served.url) as backend:
        served.answers = [{"action": {"name": "hangup"}}]
        answer = await backend.session(FACTS).prompted(MenuResult("main", MenuResultType.RETURN, "sales", True))
    assert answer == Svaml(Hangup())
    assert served.told[0]["menuResult"] == {"menuId": "main", "type": "return", "value": "sales", "inputMethod": "dtmf"}


async def test_events_that_nobody_waits_for_arrive_in_their_order_and_dice_last(developer: Any) -> None:
    served = await developer()

    async def slowly() -> web.Response:
        await asyncio.sleep(0.1)
        return web.Response()

    served.answers = [slowly, web.Response()]
    async with backend_at(served.url) as backend:
        session = backend.session(FACTS)
        session.notify(Notification(type=NotificationType.RECORDING_AVAILABLE, destination="http://127.0.0.1/x.mp3"))
        session.left(MenuResult("main", MenuResultType.HANGUP))
        session.disconnected(OVER)
    assert [event["event"] for event in served.told] == ["notify", "pie", "dice"]
    assert served.told[0]["destination"] == "http://127.0.0.1/x.mp3"
    assert served.told[1]["menuResult"] == {"menuId": "main", "type": "hangup", "value": ""}


async def test_what_a_backend_reports_of_a_call_goes_into_the_log(developer: Any, caplog: pytest.LogCaptureFixture) -> None:
    served = await developer()
    status = {"name": "reportCallStatus", "value": "failure", "details": "no\x1b stock"}
    served.goodbyes = [{"instructions": [status], "action": {"name": "hangup"}}]
    with caplog.at_level("INFO"):
        async with backend_at(served.url) as backend:
            backend.session(FACTS).disconnected(OVER)
    assert "call call-1: the backend reports failure" in caplog.text
    assert "stock" in caplog.text and "\x1b" not in caplog.text


async def test_cookies_come_back_in_the_later_events_of_their_call_alone(developer: Any) -> None:
    served = await developer()
    cookie = {"name": "setCookie", "key": "step", "value": "1"}
    served.answers = [
        {**TO_ADA, "instructions": [cookie]},
        {"action": {"name": "continue"}, "instructions": [{**cookie, "value": "2"}]},
    ]
    async with backend_at(served.url) as backend:
        session = backend.session(FACTS)
        assert (await session.incoming(INCOMING)).instructions == (SetCookie("step", "1"),)
        await session.answered()
        session.disconnected(OVER)
        await backend.session(FACTS).incoming(INCOMING)
    told = [event.get("cookies") for event in sorted(served.told, key=lambda event: ("ice", "ace", "dice").index(event["event"]))]
    assert told == [None, None, [{"key": "step", "value": "1"}], [{"key": "step", "value": "2"}]]


async def test_a_calls_cookies_are_limited_over_all_its_events(developer: Any) -> None:
    served = await developer()
    served.answers = [{**TO_ADA, "instructions": [{"name": "setCookie", "key": key, "value": "v" * 600}]} for key in "ab"]
    async with backend_at(served.url) as backend:
        session = backend.session(FACTS)
        await session.incoming(INCOMING)
        with pytest.raises(CallbackError, match="1202 bytes"):
            await session.incoming(INCOMING)


async def test_a_disconnected_call_is_told_once_and_nobody_waits(developer: Any) -> None:
    served = await developer()
    async with backend_at(served.url) as backend:
        session = backend.session(FACTS)
        session.disconnected(OVER)
        session.disconnected(OVER)
        assert served.told == []
        async with asyncio.timeout(10):
            await served.asked.wait()
    assert [(event["event"], event["reason"]) for event in served.told] == [("dice", "CANCEL")]


async def test_closing_waits_for_the_last_goodbyes_and_only_for_a_moment(developer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await developer()
    async with backend_at(served.url) as backend:
        backend.session(FACTS).disconnected(OVER)
    assert len(served.told) == 1
    monkeypatch.setattr("sinchphone.gateway.callbacks.backend.GOODBYE_SECONDS", 0.2)
    served.goodbyes = [asyncio.Event().wait]
    async with asyncio.timeout(4):
        async with backend_at(served.url) as backend:
            backend.session(FACTS).disconnected(OVER)
    assert len(served.told) == 2
    backend.session(FACTS).disconnected(OVER)
    assert not backend._last_events


async def test_a_backend_that_is_closed_is_not_asked(developer: Any) -> None:
    served = await developer()
    backend = backend_at(served.url)
    with pytest.raises(CallbackError, match="closing"):
        await backend.session(FACTS).incoming(INCOMING)
    await backend.close()


def test_the_secret_is_that_of_the_application() -> None:
    assert base64.b64encode(SECRET).decode() not in repr(backend_at(NOBODY))
