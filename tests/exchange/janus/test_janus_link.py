"""The connection to a Janus that doesn't do what it's asked at once."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from sinchphone.errors import MediaError
from sinchphone.exchange.conference.janus import link as module
from sinchphone.exchange.conference.janus.link import JanusLink


class StubbornJanus:
    """Refuses sessions, or says nothing to who wants one; then it's as others are."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any] | None] = []
        self.sessions = 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=["janus-protocol"])
        await socket.prepare(request)
        async for message in socket:
            said = message.json()
            answer: dict[str, Any] | None = {"janus": "success", "data": {"id": 7}}
            if said["janus"] == "create":
                self.sessions += 1
                answer = self.answers.pop(0) if self.answers else answer
            elif said.get("session_id") != 7:
                answer = {"janus": "error", "error": {"code": 458, "reason": "No such session"}}
            if answer is not None:
                await socket.send_json({**answer, "transaction": said["transaction"]})
        return socket


@pytest.mark.parametrize("answer", [None, {"janus": "error", "error": {"code": 403, "reason": "too many"}}])
async def test_a_session_that_was_not_given_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | None) -> None:
    monkeypatch.setattr(module, "JANUS_ANSWER_SECONDS", 0.2)
    janus = StubbornJanus()
    janus.answers = [answer]
    application = web.Application()
    application.router.add_get("/", janus.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    link = JanusLink(f"ws://127.0.0.1:{runner.addresses[0][1]}")
    try:
        with pytest.raises(MediaError):
            await link.attach(lambda said: None)
        async with asyncio.timeout(5):
            await link.attach(lambda said: None)
        assert janus.sessions == 2
    finally:
        await link.close()
        await runner.cleanup()
