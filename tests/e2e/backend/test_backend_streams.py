"""A backend connects calls to a WebSocket server of its own, with raw sound both ways."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from sinchphone.gateway.svaml import stream
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from tests.e2e.backend.backend_lab import action, exchange_of, hears, serving

LIMIT_S = 20.0
RATE = 16_000
ANSWER = json.dumps({"command": "answer"})


@dataclass
class Server:
    """A developer's WebSocket server: does with a stream what the test says."""

    url: str = ""
    first: dict[str, Any] = field(default_factory=dict)
    heard_bytes: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    act: Callable[["Server", web.WebSocketResponse], Awaitable[None]] | None = None
    refuses: bool = False

    async def take(self, request: web.Request) -> web.StreamResponse:
        if self.refuses:
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.first = json.loads(await socket.receive_str())
        assert self.act is not None
        try:
            await self.act(self, socket)
        finally:
            self.over.set()
        return socket


async def echo(server: Server, socket: web.WebSocketResponse) -> None:
    await socket.send_str(ANSWER)
    async for message in socket:
        server.heard_bytes += len(message.data)
        await socket.send_bytes(message.data)


def tone(hz: float, seconds: float) -> bytes:
    at = np.arange(round(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server(act=echo)
    application = web.Application()
    application.router.add_get("/sound", found.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/sound"
    yield found
    await runner.cleanup()


@pytest.fixture
async def town(tmp_path_factory: Any, media: MediaThread, lines: Any, server: Server) -> AsyncIterator[Any]:
    async with serving() as backend, exchange_of(tmp_path_factory, media, backend.url) as local:
        headers = [{"key": "foo", "value": "bar"}]
        destination = {"type": "Websocket", "endpoint": server.url}
        options = {"version": 1, "sampleRate": RATE}
        backend.answers["ice"] = action("connectStream", destination=destination, streamingOptions=options, callHeaders=headers)
        opened = type(lines)(local, media, lines.stack)
        opened.backend = backend
        yield opened
        await lines.stack.aclose()


async def test_the_caller_talks_with_the_server_and_its_first_message_says_who_calls(town: Any, steps: Any, server: Server) -> None:
    alice = await town.phone("alice")
    ear, sound = town.ear(440.0)
    call = await alice.call_user("bot", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await hears(ear, 440.0)
    await call.hang_up()
    await steps.end_of(call)
    async with asyncio.timeout(LIMIT_S):
        await server.over.wait()
    assert server.first == {
        "command": "connect",
        "version": 1,
        "callId": call.id,
        "applicationKey": town.local.application_key,
        "codec": "PCM",
        "sampleRate": RATE,
        "callHeaders": {"foo": "bar"},
    }
    dice = await town.backend.heard("dice")
    assert (dice["reason"], dice["result"], dice["callHeaders"]) == ("CALLERHANGUP", "ANSWERED", [{"key": "foo", "value": "bar"}])
    assert [event["event"] for event in town.backend.events] == ["ice", "dice"]


async def test_what_a_server_says_last_is_heard_to_its_end(town: Any, steps: Any, server: Server) -> None:
    async def play(server: Server, socket: web.WebSocketResponse) -> None:
        await socket.send_str(ANSWER)
        await socket.receive_bytes()
        sound = tone(700.0, 1.013)
        await socket.send_bytes(sound[:4001])  # half a sample
        await socket.send_bytes(sound[4001:])
        await socket.close()

    server.act = play
    alice = await town.phone("alice")
    ear, sound = town.ear()
    call = await alice.call_user("bot", sound=sound)
    assert (await steps.end_of(call)).cause is Cause.HUNG_UP
    loud = [frame for frame in ear.heard if np.abs(frame.astype(np.int32)).max() > 2000]
    assert len(loud) * 0.02 > 0.9, "nearly all of it, whatever the line has lost"
    assert (await town.backend.heard("dice"))["reason"] == "CALLEEHANGUP"


async def refuse(server: Server, socket: web.WebSocketResponse, command: str) -> None:
    await socket.send_str(json.dumps({"command": command}))
    await socket.receive()


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("busy", 486, "BUSY"),
        ("reject", 603, "CALLEEHANGUP"),
        ("403", 503, "CONGESTION"),
        ("never answers", 480, "NOANSWER"),
        ("closes", 503, "CONGESTION"),
    ],
)
async def test_a_server_that_does_not_take_a_call_ends_it_with_the_reason(
    town: Any, steps: Any, server: Server, monkeypatch: pytest.MonkeyPatch, how: str, status: int, reason: str
) -> None:
    async def act(server: Server, socket: web.WebSocketResponse) -> None:
        if how in ("busy", "reject"):
            await refuse(server, socket, how)
        elif how == "closes":
            await socket.close()
        else:
            await socket.receive()

    monkeypatch.setattr(stream, "ANSWER_SECONDS", 0.3 if how == "never answers" else 20.0)
    server.act, server.refuses = act, how == "403"
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("bot"))
    dice = await town.backend.heard("dice")
    assert dice["reason"] == reason and "duration" not in dice
    assert details.failure is None or details.failure.code == status
    assert [event["event"] for event in town.backend.events] == ["ice", "dice"]


async def test_a_server_that_breaks_off_in_mid_call_ends_it_as_a_failure(town: Any, steps: Any, server: Server) -> None:
    async def vanish(server: Server, socket: web.WebSocketResponse) -> None:
        await socket.send_str(ANSWER)
        await socket.receive_bytes()
        assert socket._req is not None and socket._req.transport is not None
        socket._req.transport.abort()

    server.act = vanish
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("bot"))
    assert details.failure is not None and "broken off" in details.failure.message
    assert (await town.backend.heard("dice"))["reason"] == "GENERALERROR"


async def test_a_server_that_says_nothing_and_shows_no_sign_of_life_is_given_up(
    town: Any, steps: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(server: Server, socket: web.WebSocketResponse) -> None:
        await socket.send_str(ANSWER)
        async for _ in socket:
            pass

    monkeypatch.setattr(stream, "SILENT_SECONDS", 0.3)
    server.act = sleep
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("bot"))
    assert details.failure is not None and "heartbeat" in details.failure.message
