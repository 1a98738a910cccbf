"""Two processes behind HAProxy, one of which is killed in the middle of calls and messages."""

import asyncio
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.protocol.mxp.message import Client, Message, Method, encrypt, split
from sinchphone.tasks import start_task
from tests.exchange.conftest import SECRETS, LegacyPhone, Phone
from tests.exchange.shared.conftest import RedisServer

CALLS, MESSAGES = (int(os.environ.get(f"SINCHPHONE_CRASH_{what}", count)) for what, count in (("CALLS", "4"), ("MESSAGES", "60")))
WRITERS = 10
AT_ONE = 4  # calls that one user may have ringing at another
LONGEST = 60.0

HAPROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 300s
    timeout server 300s
    option redispatch
    retries 3
frontend exchange
    bind 127.0.0.1:{port}
    default_backend processes
backend processes
    balance roundrobin
    option httpchk GET /ready
    default-server check inter 200ms fall 2 rise 1
    server one 127.0.0.1:{one}
    server two 127.0.0.1:{two}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Pair:
    """Two processes and what is in front of them."""

    url: str
    processes: "list[subprocess.Popen[bytes]]"


def _process(folder: Path, name: str, port: int, store: str) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-c",
        "from sinchphone.cli.main import main; main()",
        "exchange",
        "--port",
        str(port),
        "--store",
        store,
        "-q",
    ]
    home = folder / name
    home.mkdir()
    told = {"SINCHPHONE_EXCHANGE_KEY": "acme", "SINCHPHONE_EXCHANGE_SECRET": SECRETS["acme"], "SINCHPHONE_BACKGROUND": "false"}
    places = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}
    return subprocess.Popen(command, env={**os.environ, **places, **told}, stdout=subprocess.DEVNULL)


@pytest.fixture
def pair(redis: RedisServer, tmp_path: Path) -> Iterator[Pair]:
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None and not os.environ.get("SINCHPHONE_REQUIRE_PEERS"):
        pytest.skip("haproxy is not installed")
    assert program is not None
    port, one, two = free_port(), free_port(), free_port()
    (tmp_path / "haproxy.cfg").write_text(HAPROXY.format(port=port, one=one, two=two))
    started = [_process(tmp_path, "one", one, redis.address), _process(tmp_path, "two", two, redis.address)]
    balancer = subprocess.Popen([program, "-q", "-f", str(tmp_path / "haproxy.cfg")])
    yield Pair(f"http://127.0.0.1:{port}", started)
    for process in (balancer, *started):
        process.kill()
        process.wait()


@pytest.fixture
async def many() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        yield session


async def ready(pair: Pair, session: aiohttp.ClientSession) -> None:
    """Both are, so that HAProxy spreads what comes."""
    until = time.monotonic() + LONGEST
    good = 0
    while good < 6:
        assert time.monotonic() < until, "they don't get ready"
        try:
            async with session.get(f"{pair.url}/ready") as answer:
                good = good + 1 if answer.status == 200 else 0
        except aiohttp.ClientError:
            good = 0
        await asyncio.sleep(0.1)


class Reader:
    """A device that polls whatever happens, as clients do."""

    def __init__(self, poll: Callable[[str], Awaitable[tuple[list[Any], str]]]) -> None:
        self.token = "0"
        self.came: list[Any] = []
        self.longest_s = 0.0
        self._poll = poll

    async def run(self) -> None:
        while True:
            failed_at: float | None = None
            while True:
                try:
                    more, self.token = await self._poll(self.token)
                    break
                except (aiohttp.ClientError, KeyError, ValueError, TypeError):
                    failed_at = failed_at or time.monotonic()
                    await asyncio.sleep(0.1)
            if failed_at is not None:
                self.longest_s = max(self.longest_s, time.monotonic() - failed_at)
            self.came += more


@dataclass
class Talk:
    """A call that was placed: the caller, and its answer."""

    caller: Phone
    call_id: str
    placed: Any
    callee: Reader

    async def hang_up(self) -> str:
        """The frame that says so, published until it's taken."""
        sender = Client(self.caller.user, self.caller.instance, self.caller.profile["signalChannel"])
        message = Message(Method.CANCEL, sender)
        text = encrypt(message, base64.b64decode(self.placed["mxpEncryptionKey"]), b"i" * 16)
        (frame,) = split(text, self.call_id, "1")
        while True:
            try:
                if (await self.caller.publish(self.placed["mxpSignalChannel"], frame))[1] == "Sent":
                    return frame
            except (aiohttp.ClientError, ValueError, KeyError, TypeError):
                await asyncio.sleep(0.1)


async def ringing(phone: Phone, token: str) -> tuple[list[Any], str]:
    body = await phone.subscribe("broadcast", token)
    return [message["d"] for message in body["m"]], body["t"]["t"]


async def test_one_of_two_is_killed_among_calls_and_messages_and_nothing_is_lost_or_doubled(
    pair: Pair, many: aiohttp.ClientSession
) -> None:
    await ready(pair, many)
    writers = [await LegacyPhone(many, pair.url, f"writer-{number}").started() for number in range(WRITERS)]
    bob = await LegacyPhone(many, pair.url, "bob").started()
    mail = Reader(bob.poll)
    phones = [await Phone(many, pair.url, f"callee-{number}").registered() for number in range(CALLS // AT_ONE)]
    rings = [Reader(partial(ringing, phone)) for phone in phones]
    reading = [start_task(one.run(), name="reader") for one in (mail, *rings)]
    await asyncio.sleep(0.2)
    accepted: list[str] = []
    written = 0

    async def write(phone: LegacyPhone) -> None:
        nonlocal written
        while written < MESSAGES:
            written += 1
            if written == MESSAGES // 2:
                pair.processes[0].kill()
            try:
                accepted.append(await phone.write_to("bob", text=uuid.uuid4().hex))
            except (aiohttp.ClientError, AssertionError, ValueError, TypeError, KeyError):
                await asyncio.sleep(0.1)

    talks: list[Talk] = []

    async def call(number: int) -> None:
        caller = await Phone(many, pair.url, f"caller-{number}").registered()
        for one in range(AT_ONE):
            answer = await caller.call(phones[number].user, call_id=f"call-{number}-{one}")
            assert answer.status == 200, answer.body
            talks.append(Talk(caller, f"call-{number}-{one}", answer.body, rings[number]))

    await asyncio.gather(*map(call, range(len(phones))))
    async with asyncio.timeout(LONGEST):
        await asyncio.gather(*(write(phone) for phone in writers))
        frames = [await talk.hang_up() for talk in talks]
        while not (set(accepted) <= set(mail.came) and all(frame in talk.callee.came for frame, talk in zip(frames, talks, strict=True))):
            await asyncio.sleep(0.05)
    for task in reading:
        task.cancel()
    assert pair.processes[0].wait() < 0
    assert len(accepted) >= MESSAGES * 3 // 4
    assert max(Counter(mail.came).values()) == 1
    longest_s = max(one.longest_s for one in (mail, *rings))
    print(json.dumps({"accepted": len(accepted), "of": MESSAGES, "longest_s": longest_s, "calls": len(talks)}))
