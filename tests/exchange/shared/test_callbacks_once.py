"""A process is killed among calls that a backend is asked about: it learns of each step of each call once, wherever it is tried again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sinchphone.tasks import start_task
from tests.exchange.conftest import Phone, rows_on_redis
from tests.exchange.shared.conftest import RedisServer, StartProcess

LONGEST = 60.0
USERS = 3  # at each process


@dataclass
class Developer:
    """A backend: how often it was told what of which call. It ends those to ``short``, and has all others wait for a while."""

    url: str = ""
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.Response:
        event: dict[str, Any] = await request.json()
        self.told[event["event"], event["callid"]] += 1
        if event["event"] == "ice" and event["to"]["endpoint"] != "short":
            await self.answers.wait()
        return web.json_response({"action": {"name": "hangup"}} if event["event"] == "ice" else {})

    def calls(self, event: str) -> set[str]:
        return {call_id for what, call_id in self.told if what == event}


@pytest.fixture
async def developer() -> AsyncIterator[Developer]:
    made = Developer()
    server = TestServer(web.Application())
    server.app.router.add_post("/", made.serve)
    await server.start_server()
    made.url = str(server.make_url("/"))
    yield made
    made.answers.set()
    await server.close()


async def place(phone: Phone, call_id: str, callee: str = "somebody") -> int:
    """The answer's status, when it's not that one should try again; 0 where the process didn't answer."""
    while True:
        try:
            status = (await phone.call(callee, call_id=call_id)).status
        except aiohttp.ClientError:
            return 0
        if status != 503:
            return status


async def place_all(phones: list[Phone], names: list[str], callee: str = "somebody") -> set[int]:
    return set(await asyncio.gather(*(place(phone, name, callee) for phone, name in zip(phones, names, strict=True))))


async def until_told(developer: Developer, event: str, calls: set[str]) -> None:
    async with asyncio.timeout(LONGEST):
        while not calls <= developer.calls(event):
            await asyncio.sleep(0.02)


async def test_of_each_call_a_backend_is_asked_and_told_once_when_one_of_two_processes_is_killed(
    redis: RedisServer, start_process: StartProcess, developer: Developer, http: aiohttp.ClientSession
) -> None:
    first, second = await asyncio.gather(*(start_process(redis.address, f'[backend]\nurl = "{developer.url}"\n') for _ in range(2)))
    dying, left = [
        [await Phone(http, one.url, f"user-{at}", device=one.url).registered() for at in range(USERS)] for one in (first, second)
    ]
    short, lost, kept, late = ([f"{kind}-{at}" for at in range(USERS)] for kind in ("short", "lost", "kept", "late"))
    assert await place_all(dying, short, "short") == {200}
    await until_told(developer, "dice", {*short})
    assert await place_all(dying, lost) | await place_all(left, kept) == {200}
    await until_told(developer, "ice", {*lost, *kept})

    placing = start_task(place_all(dying, late), name="late")
    await asyncio.sleep(0.01)  # some are in its hands then, some on the way
    first.kill()
    await placing
    there = [replace(phone, url=second.url) for phone in dying]
    assert await place_all(there, late) <= {200, 409}
    assert await place_all(there, lost) == {409}
    async with asyncio.timeout(LONGEST):  # until the other process has seen to what that one left behind
        while any(name in key for key in rows_on_redis(redis.address)["carried_calls"] for name in lost):
            await asyncio.sleep(0.02)
    assert await place_all(there, lost) == {409}
    developer.answers.set()
    await until_told(developer, "dice", {*kept})
    assert max(developer.told.values()) == 1
