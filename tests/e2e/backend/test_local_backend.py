"""``Local(backend=…)``: one's own backend is asked, with events signed as its key and secret say."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from sinchphone.engine.client import SinchClient
from sinchphone.errors import LocalProtocolError
from sinchphone.gateway.options import BackendOptions
from sinchphone.local import Local
from sinchphone.protocol.call.states import Cause


@pytest.fixture
async def asked() -> AsyncIterator[tuple[str, list[tuple[web.Request, bytes]]]]:
    """A backend that hangs up on everybody: its URL, and what it was asked."""
    requests: list[tuple[web.Request, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        requests.append((request, await request.read()))
        return web.json_response({"action": {"name": "hangup"}})

    application = web.Application()
    application.router.add_post("/voice", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/voice", requests
    await runner.cleanup()


@pytest.mark.parametrize("as_options", [False, True])
async def test_the_backend_decides_and_can_check_who_asks(
    asked: tuple[str, list[tuple[web.Request, bytes]]], tmp_path: Path, steps: Any, *, as_options: bool
) -> None:
    url, requests = asked
    backend = BackendOptions(url=url) if as_options else url
    async with Local(tmp_path, port=0, backend=backend) as local, SinchClient("ada", local) as ada:
        call = await ada.call_phone("+46850000000")
        assert (await steps.end_of(call)).cause is not Cause.HUNG_UP
        request, body = requests[0]
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        text = "\n".join(["POST", digest, request.headers["Content-Type"], f"x-timestamp:{request.headers['x-timestamp']}", "/voice"])
        signature = base64.b64encode(hmac.digest(base64.b64decode(local.secret), text.encode(), "sha256")).decode()
        assert request.headers["Authorization"] == f"application {local.application_key}:{signature}"


async def test_its_url_is_that_of_the_rest_apis_once_it_is_open(tmp_path: Path) -> None:
    local = Local(tmp_path, port=0)
    with pytest.raises(LocalProtocolError, match="before it's open"):
        _ = local.url
    async with local, ClientSession() as session, asyncio.timeout(20):
        answer = await session.get(f"{local.url}/v1/time")
        assert answer.status < 500
