"""A recording is at the process that made it, and any process of the exchange lists it, gives it out and deletes it."""

import asyncio
import os
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.recordings.shared_recordings import PIECE_BYTES
from sinchphone.exchange.server import Exchange
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import Join, RedisServer

ROOTS = ("/calling/v1/recording", "/__sinchphone/recordings")


@pytest.fixture
async def both(join: Join, redis: RedisServer) -> tuple[Exchange, Exchange]:
    first, second = await asyncio.gather(*(join(redis.address, applications=SECRETS) for _ in range(2)))
    return first, second


async def ask(http: aiohttp.ClientSession, exchange: Exchange, verb: str, path: str, key: str = "acme") -> Any:
    headers = {"Authorization": aiohttp.encode_basic_auth(key, SECRETS[key])}
    async with http.request(verb, exchange.url + path, headers=headers) as answer:
        return answer.status, answer.headers, await answer.read()


def made(exchange: Exchange, call: str, content: bytes) -> str:
    path = exchange._recordings.new("acme", call, "wav")
    path.write_bytes(content)
    return path.name


@pytest.mark.parametrize("size", [1, PIECE_BYTES, 2 * PIECE_BYTES + 1])
async def test_any_process_gives_a_recording_out_whole(both: Any, http: aiohttp.ClientSession, size: int, redis: RedisServer) -> None:
    content = os.urandom(size)
    name = made(both[0], "call-1", content)
    for root in ROOTS:
        for exchange in both:
            status, headers, body = await ask(http, exchange, "GET", f"{root}/{name}")
            assert (status, headers["Content-Type"], body) == (200, "audio/wav", content)
    status, headers, body = await ask(http, both[1], "HEAD", f"{ROOTS[0]}/{name}")
    assert (status, headers["Content-Length"], body) == (200, str(size), b"")


async def test_all_of_all_processes_are_listed_and_deleted_and_nobody_elses(both: Any, http: aiohttp.ClientSession) -> None:
    names = [made(exchange, f"call-{number}", b"RIFF") for number, exchange in enumerate(both)]
    for root in ROOTS:
        for exchange in both:
            _, _, body = await ask(http, exchange, "GET", root)
            assert all(name.encode() in body for name in names)
            assert b"RIFF" not in (await ask(http, exchange, "GET", f"{root}/{names[0]}", "globex"))[2]
            assert (await ask(http, exchange, "DELETE", f"{root}/{names[0]}", "globex"))[0] == 404
            assert (await ask(http, exchange, "GET", f"{root}/nothing.wav"))[0] == 404
    assert (await ask(http, both[1], "DELETE", f"{ROOTS[0]}/{names[0]}"))[0] == 200
    assert (await ask(http, both[0], "DELETE", f"{ROOTS[1]}/{names[1]}"))[0] == 200
    for exchange in both:
        assert [await ask_status(http, exchange, name) for name in names] == [404, 404]


async def ask_status(http: aiohttp.ClientSession, exchange: Exchange, name: str) -> int:
    return int((await ask(http, exchange, "GET", f"{ROOTS[0]}/{name}"))[0])


async def test_while_a_process_drains_others_give_out_its_recordings_which_are_gone_with_its_end(
    both: Any, http: aiohttp.ClientSession
) -> None:
    name = made(both[0], "call-1", b"RIFF")
    await both[0].drain()
    for exchange in both:
        assert (await ask(http, exchange, "GET", f"{ROOTS[0]}/{name}"))[2] == b"RIFF"
    await both[0].close()
    async with asyncio.timeout(20):  # until that one is missed it's asked, in vain (503)
        while await ask_status(http, both[1], name) != 404:
            await asyncio.sleep(0.1)
    assert name.encode() not in (await ask(http, both[1], "GET", ROOTS[0]))[2]
