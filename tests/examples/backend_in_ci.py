"""Tests of a backend of one's own, here routing_backend.py: an exchange asks it about real calls, and the tests see where they went.

No account, no network, no sound card::

    pytest backend_in_ci.py
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import routing_backend  # type: ignore[import-not-found]
from aiohttp import web

from sinchphone import ClientEvent, IncomingCall, Local, SinchClient

PATIENCE_S = 30.0


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """The backend that is tested; gives its URL."""
    application = web.Application()
    application.router.add_post("/voice", routing_backend.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/voice"
    await runner.cleanup()


async def rings_at(folder: Path, number: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ada calls that number: at whom it rings; they decline."""
    rang: list[str] = []

    async def decline(event: ClientEvent) -> None:
        if isinstance(event, IncomingCall):
            rang.append(event.call.local.user_id or "")
            await event.call.decline()

    async with asyncio.timeout(PATIENCE_S), served() as url, Local(folder, port=0, backend=url) as local:
        monkeypatch.setenv("SINCH_APPLICATION_KEY", local.application_key)
        monkeypatch.setenv("SINCH_APPLICATION_SECRET", local.secret)
        async with SinchClient("support", local) as support, SinchClient("ada", local) as ada:
            support.add_listener(decline)
            call = await ada.call_phone(number)
            await call.ended()
    return rang


def test_the_support_line_rings_at_support(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(rings_at(tmp_path, "+46850000000", monkeypatch)) == ["support"]


def test_numbers_that_are_not_called_from_here_ring_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(rings_at(tmp_path, "+46901234567", monkeypatch)) == []
