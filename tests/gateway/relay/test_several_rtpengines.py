"""Several rtpengines: each call has one of them, by weight, and another one where that one says nothing or is full."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from sinchphone.errors import MediaError
from sinchphone.gateway.relay import ng, ng_pool
from sinchphone.gateway.relay.ng_pool import REST_SECONDS, NgPool
from sinchphone.schema import WeightedAddress, read_weighted_addresses


class Engine(asyncio.DatagramProtocol):
    """Answers every request alike, or says nothing."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] | None = {"result": "ok"}
        self.asked: list[str] = []
        self.transport: asyncio.DatagramTransport

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.transport.get_extra_info("sockname")
        return str(host), int(port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        cookie, _, body = data.partition(b" ")
        self.asked.append(json.loads(body)["command"])
        if self.answer is not None:
            self.transport.sendto(cookie + b" " + json.dumps(self.answer).encode(), addr)


@contextlib.asynccontextmanager
async def engines(count: int) -> AsyncIterator[list[Engine]]:
    loop = asyncio.get_running_loop()
    made = [(await loop.create_datagram_endpoint(Engine, local_addr=("127.0.0.1", 0)))[1] for _ in range(count)]
    yield made
    for one in made:
        one.transport.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ng_pool, "IMPATIENCE", (0.02, 0.02))
    monkeypatch.setattr(ng_pool, "PING_SECONDS", 0.1)
    monkeypatch.setattr(ng, "SEND_AGAIN_SECONDS", (0.02, 0.02))


def pool_of(made: list[Engine], *weights: int, **more: Any) -> NgPool:
    return NgPool([WeightedAddress(*one.address, weight) for one, weight in zip(made, weights, strict=True)], **more)


def test_calls_are_spread_by_weight() -> None:
    pool = NgPool([WeightedAddress("192.0.2.1", 1, 3), WeightedAddress("192.0.2.2", 2, 1), WeightedAddress("192.0.2.3", 3, 0)])
    first = Counter(pool.order()[0].address[1] for _ in range(4000))
    assert first.keys() == {1, 2}
    assert 2.6 < first[1] / first[2] < 3.5
    assert {pool.order()[2].address[1] for _ in range(50)} == {3}


@pytest.mark.parametrize("full", [{"result": "load limit"}, {"result": "error", "error-reason": "Ran out of ports"}])
async def test_a_call_stays_with_who_took_it_and_goes_on_to_another_where_one_is_silent_or_full(full: dict[str, str]) -> None:
    now = [100.0]
    async with engines(3) as made:
        made[0].answer, made[1].answer = None, full
        pool = pool_of(made, 5, 4, 3, draw=lambda: 0.5, now=lambda: now[0])
        link, found = await pool.place("offer")
        assert (link.address, found["result"]) == (made[2].address, "ok")
        assert [len(one.asked) for one in made] == [2, 1, 1]
        assert [one.address for one in pool.order()] == [made[1].address, made[2].address, made[0].address]
        now[0] += REST_SECONDS
        assert pool.order()[0].address == made[0].address
        pool.close()


async def test_where_none_takes_it_the_last_ones_reason_is_told() -> None:
    async with engines(2) as made:
        made[0].answer, made[1].answer = None, {"result": "load limit"}
        pool = pool_of(made, 2, 1, draw=lambda: 0.5)
        with pytest.raises(MediaError, match="at its limit"):
            await pool.place("offer")
        pool.close()


async def test_one_that_refuses_a_call_is_believed() -> None:
    async with engines(2) as made:
        made[0].answer = {"result": "error", "error-reason": "no such codec"}
        pool = pool_of(made, 2, 1, draw=lambda: 0.5)
        with pytest.raises(MediaError, match="no such codec"):
            await pool.place("offer")
        assert made[1].asked == []
        pool.close()


async def test_the_start_needs_one_that_answers() -> None:
    async with engines(2) as made:
        made[0].answer = None
        pool = pool_of(made, 1, 1)
        await pool.start()
        made[1].answer = None
        with pytest.raises(MediaError, match="does not answer"):
            await pool.start()
        pool.close()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1:2223", [("127.0.0.1", 2223, 1)]),
        ("[::1]:2223=7", [("::1", 2223, 7)]),
        ("a:1=2, b:2", [("a", 1, 2), ("b", 2, 1)]),
        (["a:1", "b:2=0"], [("a", 1, 1), ("b", 2, 0)]),
    ],
)
def test_addresses_have_weights(written: Any, read: list[Any]) -> None:
    assert [tuple(one) for one in read_weighted_addresses(written)] == read


@pytest.mark.parametrize("written", ["", "a", "a:0", "a:1=", "a:1=x", "a:1=-1", "a:1=0", "a:1,a:1", [], [7], 7, "a:1=99999", ":1"])
def test_what_is_none_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        read_weighted_addresses(written)
