"""Answers of one's own exchange: whole, or refused where they're longer than was asked for."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from sinchphone.errors import PlatformError
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.local.management import ExchangeManagement
from sinchphone.local.signed_requests import MOST_BYTES, SignedRequests

LONG = bytes(MOST_BYTES + 1)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=LONG)

    async def say_something_else(request: web.Request) -> web.Response:
        return web.json_response(["nothing"])

    application = web.Application()
    application.router.add_get("/long", answer)
    application.router.add_route("*", "/{rest:.*}", say_something_else)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_answer_is_read_whole_or_not_at_all(url: str) -> None:
    requests = SignedRequests(url, ApplicationCredentials("key", "c2VjcmV0"))
    with pytest.raises(PlatformError, match="more than 8 MiB"):
        await requests.ask("GET", "/long")
    assert await requests.ask("GET", "/long", most_bytes=len(LONG)) == LONG


async def test_an_answer_that_makes_no_sense_is_the_platforms_fault(url: str) -> None:
    management = ExchangeManagement(SignedRequests(url, ApplicationCredentials("key", "c2VjcmV0")))
    asking = (
        management.texts(),
        management.clear_texts(),
        management.users(),
        management.add_user("ada"),
        management.add_fault("/x", status=503),
        management.clear_faults(),
    )
    for asked in asking:
        with pytest.raises(PlatformError, match="can't be read"):
            await asked
