"""What a process tells the others of who listens at it: that somebody does, and once nobody has for a while, but not each poll."""

import asyncio
import time
from typing import Any

import pytest

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub import attendance
from sinchphone.exchange.pubsub.attendance import SharedAttendance
from sinchphone.exchange.pubsub.broker import Broker, Poll
from sinchphone.exchange.pubsub.polling import watched

SETTLED = 0.2


class Rows:
    """A store that only takes note."""

    def __init__(self) -> None:
        self.listens: list[bool] = []

    def put(self, table: object, *row: Any) -> None:
        self.listens.append(row[4] < 0)

    def drop(self, table: object, *key: Any) -> None:
        pass

    async def read(self, table: object) -> list[tuple[Any, ...]]:
        return []

    def follow(self, *_: object) -> None:
        pass


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    monkeypatch.setattr(attendance, "SETTLED_SECONDS", SETTLED)
    return Rows()


async def poll_once(broker: Broker, *, broke_off: bool = False) -> None:
    poll = Poll("sub", ("signal-ada",), "ada", asyncio.Event())
    broker.begin(poll, time.time())
    await asyncio.sleep(0.004)
    broker.end(poll, time.time(), broke_off=broke_off)


async def told_by(rows: Rows) -> Broker:
    shared = SharedAttendance(rows, "one")  # type: ignore[arg-type]
    broker = Broker(ExchangeOptions(), attendance=shared)
    broker.add_network("sub", "pub", "acme")
    await shared.recall(broker)
    return broker


async def test_who_polls_again_and_again_is_told_of_once_however_often_it_is_between_two_polls(rows: Rows) -> None:
    broker, until, pauses = await told_by(rows), time.monotonic() + 3 * SETTLED, [0.0]
    while time.monotonic() < until:
        await poll_once(broker)
        began = time.monotonic()
        await asyncio.sleep(0.008)  # longer than it polls
        pauses.append(time.monotonic() - began)
    assert rows.listens == [True] or max(pauses) > SETTLED / 2, "this machine let nobody poll for long"


async def test_who_stops_to_poll_is_told_of_after_a_while_and_again_when_it_is_back(rows: Rows) -> None:
    broker = await told_by(rows)
    await poll_once(broker)
    await asyncio.sleep(SETTLED / 2)
    await poll_once(broker)
    ended = time.monotonic()
    async with asyncio.timeout(10):
        while len(rows.listens) < 2:
            await asyncio.sleep(SETTLED / 20)
    assert time.monotonic() - ended >= SETTLED * 0.99
    await poll_once(broker)
    assert rows.listens[-2:] == [False, True]


async def test_whose_connection_broke_off_is_told_of_at_once(rows: Rows) -> None:
    broker = await told_by(rows)
    await poll_once(broker)
    await poll_once(broker, broke_off=True)
    assert rows.listens == [True, False]


async def test_the_others_are_not_told_that_the_exchange_itself_follows_the_channel_of_a_call(rows: Rows) -> None:
    broker = await told_by(rows)
    broker.publish("sub", "call-1", "first", size=5, publisher="ada", now=time.time())
    came = []
    async with asyncio.timeout(10):
        async for posted in watched(broker, "sub", "call-1", 0):
            came.append(posted.payload)
            if posted.payload == "second":
                break
            asyncio.get_running_loop().call_soon(
                lambda: broker.publish("sub", "call-1", "second", size=6, publisher="ada", now=time.time())
            )
    assert (came, rows.listens) == (["first", "second"], [])
    assert not broker.listeners("sub", "call-1")
