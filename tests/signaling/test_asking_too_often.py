"""A client that is told that it asks too often waits as it is told, and asks again; what time doesn't help is an error at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from sinchphone.errors import PlatformError
from sinchphone.signaling.rest.requests import MAX_WAITS, Ask, RestRequests
from sinchphone.signaling.wire import ErrorCode

ASK = Ask("place the call", "GET", "/x", (200,))


@asynccontextmanager
async def platform(answers: list[web.Response]) -> AsyncIterator[tuple[RestRequests, list[float]]]:
    """A platform that gives these answers, then 200; and when it was asked."""
    asked: list[float] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(time.monotonic())
        return answers.pop(0) if answers else web.Response(body=b"{}")

    application = web.Application()
    application.router.add_get("/x", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield RestRequests(session, f"http://127.0.0.1:{runner.addresses[0][1]}", clock=time.time), asked
    await runner.cleanup()


def too_often(retry_after: str | None = None, code: int | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return web.json_response({} if code is None else {"code": code, "message": "too much"}, status=429, headers=headers)


@pytest.mark.parametrize("retry_after", [None, "0", "1", "soon"])
async def test_a_request_is_repeated_after_a_while(retry_after: str | None) -> None:
    async with asyncio.timeout(30), platform([too_often(retry_after)]) as (requests, asked):
        assert await requests.send(ASK, "nobody", bytes) == b"{}"
    assert len(asked) == 2
    assert asked[1] - asked[0] >= float(retry_after if retry_after and retry_after.isdecimal() else 0)


@pytest.mark.parametrize("refusal", [lambda: too_often(code=ErrorCode.TOO_MANY), lambda: too_often("3600")])
async def test_what_a_moment_does_not_help_is_told_at_once(refusal: Callable[[], web.Response]) -> None:
    async with asyncio.timeout(30), platform([refusal()]) as (requests, asked):
        with pytest.raises(PlatformError):
            await requests.send(ASK, "nobody", bytes)
    assert len(asked) == 1


async def test_nobody_is_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(30), platform([too_often("0") for _ in range(20)]) as (requests, asked):
        with pytest.raises(PlatformError, match="429"):
            await requests.send(ASK, "nobody", bytes)
    assert len(asked) == MAX_WAITS + 1
