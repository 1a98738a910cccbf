"""Two processes behind HAProxy, one of which is killed in the middle of calls and messages."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.engine.events.events import IncomingCall
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.states import Cause, State
from sinchphone.tasks import start_task
from tests.e2e.conftest import Ear
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import RedisServer
from tests.exchange.shared.traffic import LONGEST, MESSAGES, Traffic

HAPROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 300s
    timeout server 300s
    option redispatch 1
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


SERVED_S = 3.0  # so long after a process was killed its devices are served by another one
ANSWERS = 3  # that a device waits for meanwhile: on a machine that has no time each takes what the process that is left takes for one


@dataclass
class Pair:
    """Two processes and what is in front of them; ``left`` is the address of the one that isn't killed."""

    url: str
    left: str
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
    yield Pair(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{two}", started)
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


async def measure_answers(url: str, slowest: list[float]) -> None:
    """How long a process takes to answer what needs nothing, for ever; each that was slower than all before."""
    slowest.append(0.0)
    async with aiohttp.ClientSession() as session:
        while True:
            began = time.monotonic()
            async with session.get(f"{url}/health") as answer:
                assert answer.status == 200
            slowest.append(max(slowest[-1], time.monotonic() - began))
            await asyncio.sleep(0.02)


async def call_of(user: str, client: SinchClient) -> Call:
    async with asyncio.timeout(LONGEST):
        async for event in client.events():
            if isinstance(event, IncomingCall):
                return event.call
    raise AssertionError(f"nobody called {user}")


async def reach(call: Call, state: State) -> None:
    async with asyncio.timeout(LONGEST):
        async for now in call.states():
            if now is state:
                return
    raise AssertionError(f"the call ended instead: {call.details}")


async def test_one_of_two_is_killed_among_calls_and_messages_and_nothing_is_lost_or_doubled(
    pair: Pair, many: aiohttp.ClientSession
) -> None:
    """Nor is the sound of a call that was answered, and who hangs up then is heard."""
    await ready(pair, many)
    there = Cloud("acme", host=pair.url, secret=SECRETS["acme"])
    ear = Ear()
    async with AsyncExitStack() as stack:
        media = stack.enter_context(MediaThread())
        sound = Ticker(Ear(440.0), media)
        ada, bob = [
            await stack.enter_async_context(SinchClient(user, there, media=media, sound=lambda: Ticker(ear, media)))
            for user in ("ada", "ben")
        ]
        outgoing = await ada.call_user("ben", sound=sound)
        incoming = await call_of("ben", bob)
        await incoming.answer()
        for call in (outgoing, incoming):
            await reach(call, State.ESTABLISHED)

        slowest: list[float] = []

        async def kill() -> None:
            pair.processes[0].kill()
            measuring.append(start_task(measure_answers(pair.left, slowest), name="how slow the machine is"))

        measuring: list[asyncio.Task[None]] = []
        found = await Traffic(many, [pair.url]).run(kill)
        measuring[0].cancel()
        assert pair.processes[0].wait() < 0
        assert found["accepted"] == MESSAGES
        assert found["longest_s"] < SERVED_S + ANSWERS * max(slowest), f"a device wasn't served for so long; {max(slowest)=}"
        ear.heard.clear()
        await ear.hears(440.0)
        await outgoing.hang_up()
        async with asyncio.timeout(LONGEST):
            details = await incoming.ended()
        assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
    print(json.dumps(found))
