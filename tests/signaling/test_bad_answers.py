"""What the cloud, or a backend, answers in place of an answer: cut, endless, packed, late, of another protocol. Whoever asks is told by one
of the errors that are documented, soon, and takes no more memory than a good answer does."""

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from types import ModuleType

import aiohttp
import pytest

from sinchphone.errors import AuthenticationError, NetworkError, PlatformError
from sinchphone.signaling.dialect import Recipient
from sinchphone.signaling.http import platform_clock, tokens
from sinchphone.signaling.http.platform_clock import ask_clock
from sinchphone.signaling.http.tokens import fetch_token
from sinchphone.signaling.ocra.calls import read_placement
from sinchphone.signaling.papi.users import log_in
from sinchphone.signaling.rest import requests
from sinchphone.signaling.rest.requests import Ask, RestRequests
from sinchphone.signaling.services import sms, verification
from sinchphone.signaling.services.sms import SmsApi
from sinchphone.signaling.services.verification import VerificationClient

NUMBER = "+46700000001"
PATIENCE_S, SLOW_S = 10.0, 0.5
MOST_BYTES = 16 * 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body: bytes, *headers: bytes) -> bytes:
    return HEAD + b"".join(one + b"\r\n" for one in headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


ANSWERS = {
    "nothing": b"",
    "half a head": HEAD,
    "another protocol": b"220 mail.example.org ESMTP\r\n",
    "half a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
    "a chunk of no size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a status of a million": b"HTTP/1.1 1000000 OK\r\n\r\n",
    "a head without end": HEAD + b"X-Long: " + bytes(200_000),
    "announcements without end": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
    "packed with something else": whole(b"{}", b"Content-Encoding: gzip"),
    "packed, and cut": whole(gzip.compress(b"{}" * 1000)[:-20], b"Content-Encoding: gzip"),
    "packed a thousand to one": whole(gzip.compress(bytes(200_000_000), 9), b"Content-Encoding: gzip"),
    "three megabytes": whole(b"[" + b"1," * 1_500_000 + b"1]"),
    "no JSON": whole(b"<html>"),
    "no object": whole(b"[]"),
    "another object": whole(b'{"message":{"text":[1]},"code":{},"id":[],"status":7}'),
    "deep": whole(b"[" * 60_000),
    "no Unicode": whole(b'{"id":"\xff","authorization":"\xff","token":"\xff"}'),
    "a number of digits only": whole(b'{"id":' + b"9" * 50_000 + b"}"),
    "an empty answer": b"HTTP/1.1 204 No Content\r\n\r\n",
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "a refusal that is none": b"HTTP/1.1 401 No\r\nDate: Mon, 99 Nov 99999 99:99:99 GMT\r\nContent-Length: 1\r\n\r\n\xff",
    "wait for ever": b"HTTP/1.1 429 No\r\nRetry-After: 1e308\r\nContent-Length: 2\r\n\r\n{}",
}

Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Cloud:
    """Answers whatever is asked with the same, and closes."""

    def __init__(self) -> None:
        self.url = ""
        self.serve: Serve | None = None

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self.serve is not None
        try:
            await reader.readuntil(b"\r\n\r\n")
            await self.serve(writer)
        except OSError:
            pass  # who asked has had enough
        finally:
            writer.close()

    def answers(self, content: bytes) -> None:
        async def serve(writer: asyncio.StreamWriter) -> None:
            writer.write(content)
            await writer.drain()

        self.serve = serve


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    made = Cloud()
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


async def place(url: str) -> object:
    async with aiohttp.ClientSession() as session:
        ask = Ask("place the call", "POST", "/calls", (200,), body=b"{}")
        return await RestRequests(session, url, clock=time.time).send(ask, "Bearer a", read_placement)


async def verify(url: str) -> object:
    async def base() -> str:
        return url

    return await VerificationClient("acme", base).start(NUMBER)


async def text(url: str) -> object:
    async with SmsApi.open(url, "plan", "token") as api:
        return await api.send((NUMBER,), "hi", sender=None)


async def token(url: str) -> object:
    return await fetch_token(url, "ada")


async def ticket(url: str) -> object:
    return await log_in(url, "acme", Recipient("ada"), "correct horse")


ASKING = {"place": place, "verify": verify, "text": text, "token": token, "ticket": ticket}
TIMEOUTS: tuple[tuple[ModuleType, str], ...] = (
    (requests, "TIMEOUT_S"),
    (sms, "TIMEOUT_S"),
    (verification, "TIMEOUT_S"),
    (tokens, "TIMEOUT_SECONDS"),
    (platform_clock, "TIMEOUT_S"),
)
REFUSALS = (AuthenticationError, NetworkError, PlatformError)


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_what_is_no_answer_is_told_as_an_error_and_takes_no_memory(
    cloud: Cloud, ask: Callable[[str], Awaitable[object]], answer: bytes
) -> None:
    cloud.answers(answer)
    tracemalloc.start()
    try:
        with pytest.raises(REFUSALS):
            async with asyncio.timeout(PATIENCE_S):
                await ask(cloud.url)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
async def test_an_answer_that_comes_byte_by_byte_ends_in_time(
    cloud: Cloud, ask: Callable[[str], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    for module, name in TIMEOUTS:
        monkeypatch.setattr(module, name, SLOW_S)
    cloud.serve = trickle
    with pytest.raises(NetworkError):
        async with asyncio.timeout(PATIENCE_S):
            await ask(cloud.url)


@pytest.mark.parametrize("zone", ["GMT", "-0000", ""])
async def test_the_clock_of_a_platform_is_in_utc_whatever_zone_this_machine_has(
    cloud: Cloud, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        said = formatdate(time.time(), usegmt=True).replace("GMT", zone).strip()
        cloud.answers(f"HTTP/1.1 404 No\r\nDate: {said}\r\nContent-Length: 0\r\n\r\n".encode())
        assert abs(await ask_clock(cloud.url)) < 60
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("said", [b"Mon, 99 Nov 99999 99:99:99 GMT", b"soon"])
async def test_a_platform_whose_clock_says_no_time_is_told(cloud: Cloud, said: bytes) -> None:
    cloud.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: " + said + b"\r\n\r\n")
    with pytest.raises(PlatformError, match="doesn't say what time it is"):
        await ask_clock(cloud.url)


async def test_a_platform_whose_page_is_too_long_is_told(cloud: Cloud) -> None:
    cloud.answers(ANSWERS["three megabytes"])
    with pytest.raises(PlatformError, match="longer than"):
        await ask_clock(cloud.url)


@pytest.mark.parametrize(
    ("status", "error"), [(429, PlatformError), (503, PlatformError), (403, AuthenticationError), (404, AuthenticationError)]
)
async def test_a_backend_that_has_no_token_at_the_moment_is_no_matter_of_who_we_are(
    cloud: Cloud, status: int, error: type[Exception]
) -> None:
    cloud.answers(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(error, match=f"HTTP {status}"):
        await fetch_token(cloud.url, "ada")
