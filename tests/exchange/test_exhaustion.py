"""Exhaustion by one client: silence, halves of requests, long polls, calls. The others are served all the while."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange import request_bodies as bodies
from sinchphone.exchange.access.connections import Connections
from sinchphone.exchange.access.limits import Shares
from sinchphone.tasks import start_task

FLOOD = 150
SERVED_SECONDS = 10.0


@asynccontextmanager
async def flood(exchange: Any, said: bytes, count: int = FLOOD) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """That many connections, which say this and no more."""
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", exchange.port)
        writer.write(said)
        writers.append(writer)
    try:
        yield writers
    finally:
        for writer in writers:
            writer.close()


async def is_served(exchange: Any) -> bool:
    async with aiohttp.ClientSession() as session, asyncio.timeout(SERVED_SECONDS), session.get(f"{exchange.url}/time/0") as answer:
        return answer.status == 200


HALVES = {
    "silent": b"",
    "half a head": b"GET /time/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "half a body": b"POST /v1/users HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: application acme\r\nContent-Length: 100\r\n\r\n{",
    "half a publish": b"POST /publish/a/b/0/c/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("said", HALVES.values(), ids=HALVES.keys())
async def test_attack_connections_that_say_nothing_or_half_of_something(start_exchange: Any, said: bytes, caplog: Any) -> None:
    exchange = await start_exchange(connections=100)
    with caplog.at_level(logging.WARNING):
        async with flood(exchange, said):
            assert await is_served(exchange)
            assert exchange._guard.connections.closed >= FLOOD - 100
    assert [record.levelname for record in caplog.records if "too many connections" in record.getMessage()] == ["WARNING"]


async def test_attack_silent_connections_do_not_end_anybodys_long_poll(start_exchange: Any, phone: Any) -> None:
    exchange = await start_exchange(connections=100)
    bob = await phone("bob", url=exchange.url).registered()
    token = (await bob.subscribe("broadcast"))["t"]["t"]
    poll = start_task(bob.subscribe("broadcast", token), name="subscribe")
    network = exchange.directory.application("acme").broadcast.subscribe_key
    async with asyncio.timeout(SERVED_SECONDS):
        while not exchange.broker.listeners(network, bob.profile["broadcastChannel"]):
            await asyncio.sleep(0.01)
        async with flood(exchange, b""):
            assert await is_served(exchange)
            assert not poll.done()
            async with aiohttp.ClientSession() as session:
                ada = await type(bob)(session, exchange.url, "ada").registered()
                assert (await ada.call("bob")).status == 200
            assert (await poll)["m"]


async def test_attack_a_body_that_comes_too_slowly_is_given_up(start_exchange: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    exchange = await start_exchange()
    reader, writer = await asyncio.open_connection("127.0.0.1", exchange.port)
    writer.write(HALVES["half a body"])
    async with asyncio.timeout(SERVED_SECONDS):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_attack_all_long_polls_by_one_user(start_exchange: Any, phone: Any) -> None:
    exchange = await start_exchange(polls=40, polls_per_owner=10)
    mallory, bob = [await phone(name, url=exchange.url).registered() for name in ("mallory", "bob")]
    tokens = {one.user: (await one.subscribe("broadcast"))["t"]["t"] for one in (mallory, bob)}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        key, channel = mallory.keys["broadcastSubscribeKey"], mallory.profile["broadcastChannel"]

        async def poll() -> int:
            async with session.get(f"{exchange.url}/v2/subscribe/{key}/{channel}/0", params={"tt": tokens["mallory"]}) as answer:
                return int(answer.status)

        polls = [start_task(poll(), name="poll") for _ in range(60)]
        async with asyncio.timeout(SERVED_SECONDS):
            while sum(task.done() for task in polls) < 50:
                await asyncio.sleep(0.02)
        assert {task.result() for task in polls if task.done()} == {429}
        waiting = start_task(bob.subscribe("broadcast", tokens["bob"]), name="subscribe")
        await asyncio.sleep(0.2)
        assert not waiting.done()
        for task in (*polls, waiting):
            task.cancel()
        await asyncio.gather(*polls, waiting, return_exceptions=True)


async def test_attack_two_users_who_call_a_third_leave_room_for_others(phone: Any) -> None:
    """Sixteen calls of each were thirty-two, as many as a phone takes."""
    bob = await phone("bob").registered()
    for name in ("mallory", "eve"):
        caller = await phone(name).registered()
        await bob.subscribe("broadcast")
        statuses = [(await caller.call("bob", call_id=uuid.uuid4().hex)).status for _ in range(16)]
        assert statuses == [200] * 4 + [429] * 12
    ada = await phone("ada").registered()
    await bob.subscribe("broadcast")
    assert (await ada.call("bob")).status == 200


# The rules, without a network


@dataclass(eq=False)
class Line:
    address: str
    is_aborted: bool = False

    def abort(self) -> None:
        self.is_aborted = True


def test_the_oldest_idle_connection_of_whoever_has_the_most_goes_first() -> None:
    connections = Connections(4, 4)
    served, quiet = Line("192.0.2.1"), Line("192.0.2.2")
    for line in (served, quiet):
        connections.open(line, 0.0)
    connections.serve(served, 0.0)
    many = [Line("192.0.2.9") for _ in range(5)]
    for line in many:
        connections.open(line, 1.0)
    assert [line.is_aborted for line in many] == [True, True, True, False, False]
    assert not served.is_aborted
    assert not quiet.is_aborted
    connections.close(many[-1])
    connections.rest(served, 2.0)
    assert (len(connections.idle), len(connections.served)) == (3, 0)


def test_of_one_address_no_more_than_its_share_is_open() -> None:
    connections = Connections(100, 3)
    lines = [Line("192.0.2.9") for _ in range(5)]
    for line in lines:
        connections.open(line, 0.0)
    assert [line.is_aborted for line in lines] == [True, True, False, False, False]


def test_shares_are_given_back() -> None:
    shares: Shares[int] = Shares(3, 2)
    assert [shares.add(number, "a") for number in range(3)] == [[], [], [0]]
    assert shares.add(7, "b") == []
    assert shares.add(8, "c") == [1]
    for thing in (0, 1, 2, 7, 8, 99):
        shares.remove(thing)
    assert (len(shares), shares.owner_count("a")) == (0, 0)
