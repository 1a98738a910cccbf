"""Long polls that wait quietly are kept as their requests' text: nobody who waits or publishes notices."""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp.web_protocol import RequestHandler

from sinchphone.exchange.management.faults import FaultRule
from sinchphone.exchange.server import Exchange
from sinchphone.tasks import start_task
from tests.exchange.conftest import LegacyPhone, Phone, StartExchange

LIMIT_S = 20.0


@pytest.fixture
async def exchange(start_exchange: StartExchange) -> Exchange:
    return await start_exchange(quiet_seconds=0.02)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.01)


def parked(exchange: Exchange) -> int:
    return sum(connection.is_parked for connection in exchange._guard._counted.values())


async def read(phone: Phone, token: str = "0") -> Any:
    """One poll of a channel that phones made up."""
    key = phone.keys["signalSubscribeKey"]
    async with phone.session.get(f"{phone.url}/v2/subscribe/{key}/news/0", params={"tt": token, "uuid": phone.instance}) as answer:
        return await answer.json()


async def waiting(exchange: Exchange, http: aiohttp.ClientSession, user: str = "bob") -> "tuple[Phone, asyncio.Task[Any]]":
    """A phone whose poll is parked."""
    bob = await Phone(http, exchange.url, user).registered()
    token, before = (await read(bob))["t"]["t"], parked(exchange)
    poll = start_task(read(bob, token), name="poll")
    await until(lambda: parked(exchange) > before)
    return bob, poll


async def test_a_parked_poll_is_answered_with_what_comes_and_the_next_one_after_it(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    bob, poll = await waiting(exchange, http)
    readings = exchange.readings()
    assert (readings.polls, len(exchange._guard.connections.served)) == (1, 1)
    ada = await Phone(http, exchange.url, "ada").registered()
    for number in range(3):
        assert (await ada.publish("news", f"hello {number}"))[1] == "Sent"
        answer = await poll
        assert [message["d"] for message in answer["m"]] == [f"hello {number}"]
        poll = start_task(read(bob, answer["t"]["t"]), name="poll")
        await until(lambda: parked(exchange) == 1)
    poll.cancel()
    await until(lambda: not exchange.readings().polls)
    assert len(exchange._guard.connections.served) == 0


async def test_nothing_that_served_it_is_kept(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    def handlers() -> int:
        gc.collect()
        return sum(isinstance(one, RequestHandler) for one in gc.get_objects())

    def serving() -> list[str]:
        said = [repr(task.get_coro()) for task in asyncio.all_tasks()]
        return [each for each in said if "RequestHandler" in each and "start" not in each]

    before = handlers()
    _, poll = await waiting(exchange, http)
    await until(lambda: handlers() <= before + 1)  # that of the connection that registered
    await until(lambda: not serving())  # cancelled is not over yet
    poll.cancel()


async def test_one_that_nothing_comes_for_is_answered_empty_in_time(start_exchange: StartExchange, http: aiohttp.ClientSession) -> None:
    exchange = await start_exchange(quiet_seconds=0.02, poll_seconds=0.2)
    bob, poll = await waiting(exchange, http)
    answer = await poll
    assert answer["m"] == []
    assert (await read(bob, answer["t"]["t"]))["m"] == []
    await until(lambda: not exchange.readings().polls)


async def test_a_client_that_goes_away_is_known_to_have_broken_off(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    bob, poll = await waiting(exchange, http)
    poll.cancel()
    await until(lambda: not exchange.readings().polls)
    network = exchange.directory.holder(bob.keys["signalSubscribeKey"]).network
    await until(lambda: exchange.broker.broken_off_for(network, "news", time.time() + 1) > 0)


async def test_instant_messages_wake_a_parked_poll_once(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    ada, bob = await LegacyPhone(http, exchange.url, "ada").started(), await LegacyPhone(http, exchange.url, "bob").started()
    _, token = await bob.poll()
    poll = start_task(bob.poll(token), name="poll")
    await until(lambda: parked(exchange) == 1)
    frame = await ada.write_to("bob")
    came, token = await poll
    assert came == [frame]
    poll = start_task(bob.poll(token), name="poll")
    await until(lambda: parked(exchange) == 1)
    poll.cancel()


async def test_drained_and_closed_ones_are_answered(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    bob, poll = await waiting(exchange, http)
    draining = start_task(exchange.drain(), name="drain")
    assert (await asyncio.wait_for(poll, LIMIT_S))["m"] == []
    await draining
    _, again = bob, start_task(read(bob, "17000000000000000"), name="again")
    await until(lambda: exchange.readings().polls == 1)
    await exchange.close()
    await asyncio.wait([again], timeout=LIMIT_S)
    assert again.done()


async def test_a_request_behind_it_over_the_same_connection_is_served_after_it(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    bob = await Phone(http, exchange.url, "bob").registered()
    token = (await bob.subscribe("signal"))["t"]["t"]
    path = f"/v2/subscribe/{bob.keys['signalSubscribeKey']}/{bob.profile['signalChannel']}/0?tt={token}&uuid={bob.instance}"
    reader, writer = await asyncio.open_connection("127.0.0.1", exchange.port)
    head = f"Host: 127.0.0.1:{exchange.port}\r\n\r\n"
    writer.write(f"GET {path} HTTP/1.1\r\n{head}".encode())
    await until(lambda: parked(exchange) == 1)
    writer.write(f"GET /time/0 HTTP/1.1\r\n{head}".encode())
    async with asyncio.timeout(LIMIT_S):
        found = [await reader.readuntil(b"HTTP/1.1 200 OK") for _ in range(2)]
    assert len(found) == 2
    writer.close()
    await until(lambda: not exchange.readings().polls)


async def test_a_fault_that_is_asked_for_later_is_of_later_requests(exchange: Exchange, http: aiohttp.ClientSession) -> None:
    _, poll = await waiting(exchange, http)
    ada = await Phone(http, exchange.url, "ada").registered()
    exchange._faults._faults.add(FaultRule(path="/v2/subscribe/*", status=503, times=1))
    assert (await ada.publish("news", "hello"))[1] == "Sent"
    assert [message["d"] for message in (await poll)["m"]] == ["hello"]
