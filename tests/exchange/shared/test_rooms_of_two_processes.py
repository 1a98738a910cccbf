"""Two processes are one exchange for conference rooms too: whoever opened a room has it, and what the other one is asked goes there."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.states import Cause, EndedBy, State
from tests.e2e.conftest import Ear, Steps
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import ExchangeProcess, RedisServer, StartProcess

LONGEST = 60.0


@dataclass
class Floor:
    """Two processes, and people with phones at either."""

    processes: tuple[ExchangeProcess, ExchangeProcess]
    media: MediaThread
    stack: AsyncExitStack

    async def enter(self, name: str, at: int, hz: float, room: str = "tea") -> "tuple[Call, Ear]":
        cloud = Cloud("acme", secret=SECRETS["acme"], host=self.processes[at].url)
        phone = await self.stack.enter_async_context(SinchClient(name, cloud, media=self.media))
        ear = Ear(hz)
        call = await phone.call_conference(room, sound=Ticker(ear, self.media))
        await Steps.reach(call, State.ESTABLISHED, LONGEST)
        return call, ear

    async def ask(self, at: int, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": aiohttp.encode_basic_auth("acme", SECRETS["acme"])}
        url = f"{self.processes[at].url}/calling/v1/conferences/id/{path}"
        async with aiohttp.ClientSession(headers=headers) as session, session.request(verb, url, json=body) as answer:
            return answer.status, json.loads(await answer.read())

    async def gone(self, at: int, room: str) -> None:
        async with asyncio.timeout(LONGEST):
            while (await self.ask(at, "GET", room))[0] != 404:
                await asyncio.sleep(0.05)


@pytest.fixture
async def floor(redis: RedisServer, start_process: StartProcess) -> AsyncIterator[Floor]:
    processes = await asyncio.gather(start_process(redis.address), start_process(redis.address))
    with MediaThread() as media:
        async with AsyncExitStack() as stack:
            yield Floor((processes[0], processes[1]), media, stack)


async def test_who_calls_the_other_process_is_in_the_same_room_until_the_one_that_has_it_dies(floor: Floor) -> None:
    ada, _ = await floor.enter("ada", 0, 400.0)
    bob, hears_ada = await floor.enter("bob", 1, 700.0)
    carol, _ = await floor.enter("carol", 1, 1000.0, "other")
    await hears_ada.hears(400.0, LONGEST)
    there = [[one["id"] for one in (await floor.ask(at, "GET", "tea"))[1]["participants"]] for at in (0, 1)]
    assert there == [[ada.id, bob.id]] * 2
    assert (await floor.ask(1, "PATCH", f"tea/{ada.id}", {"command": "mute"}))[0] == 200
    assert [one["muted"] for one in (await floor.ask(0, "GET", "tea"))[1]["participants"]] == [True, False]
    assert (await floor.ask(0, "PATCH", f"other/{carol.id}", {"command": "shout"}))[0] == 400
    assert (await floor.ask(0, "DELETE", f"other/{carol.id}")) == (200, {})
    assert (await Steps.end_of(carol)).cause is not Cause.FAILURE
    await floor.gone(0, "other")

    floor.processes[0].kill()
    died_at = time.monotonic()
    ended = await Steps.end_of(bob, 12)
    assert (ended.cause, ended.ended_by) == (Cause.FAILURE, EndedBy.PLATFORM)
    assert "the process of the exchange that carried this call is gone" in str(ended)
    assert time.monotonic() - died_at < 10
    await floor.gone(1, "tea")
    await floor.enter("dave", 1, 500.0)


@pytest.fixture
async def backend() -> AsyncIterator[str]:
    """A developer's backend that leads all calls to one room."""

    async def answer(request: web.Request) -> web.Response:
        event = (await request.json())["event"]
        to_room = {"name": "connectConf", "conferenceId": "tea"}
        return web.json_response({"action": to_room} if event == "ice" else {})

    server = TestServer(web.Application())
    server.app.router.add_post("/", answer)
    await server.start_server()
    yield str(server.make_url("/"))
    await server.close()


async def test_a_backend_leads_callers_of_both_processes_to_one_room_and_steers_them_through_either(
    redis: RedisServer, start_process: StartProcess, backend: str
) -> None:
    processes = await asyncio.gather(*(start_process(redis.address, f'[backend]\nurl = "{backend}"\n') for _ in range(2)))
    with MediaThread() as media:
        async with AsyncExitStack() as stack:
            floor = Floor((processes[0], processes[1]), media, stack)
            ada, _ = await floor.enter("ada", 0, 400.0, "lobby")
            bob, hears_ada = await floor.enter("bob", 1, 700.0, "lobby")
            await hears_ada.hears(400.0, LONGEST)
            there = [[one["id"] for one in (await floor.ask(at, "GET", "tea"))[1]["participants"]] for at in (0, 1)]
            assert there == [[ada.id, bob.id]] * 2
            assert (await floor.ask(0, "GET", f"../../calls/id/{bob.id}"))[1]["status"] == "ONGOING"
            assert (await floor.ask(0, "PATCH", f"../../calls/id/{bob.id}", {"action": {"name": "hangup"}})) == (200, {})
            assert (await Steps.end_of(bob, LONGEST)).cause is not Cause.FAILURE
            async with asyncio.timeout(LONGEST):
                while (await floor.ask(0, "GET", f"../../calls/id/{bob.id}"))[1]["status"] != "FINAL":
                    await asyncio.sleep(0.05)
            assert (await floor.ask(0, "GET", "../../calls/id/nobodys"))[0] == 404
