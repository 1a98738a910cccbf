"""A Redis server of the tests' own, and processes of an exchange that share it."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.redis import redis_store
from tests.exchange.conftest import SECRETS

REDIS = shutil.which("redis-server")


@dataclass
class RedisServer:
    """One server, with an append-only file in a folder of its own."""

    folder: Path
    password: str = ""
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def address(self) -> StoreAddress:
        user = f":{self.password}@" if self.password else ""
        return StoreAddress(f"redis://{user}127.0.0.1:{self.port}/0")

    def start(self, *more: str) -> None:
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        secret = ["--requirepass", self.password] if self.password else []
        listens = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "", "--appendonly", "yes"]
        assert REDIS is not None
        self.process = subprocess.Popen([REDIS, *listens, *secret, *more], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until, "redis-server doesn't start"
                time.sleep(0.01)

    def empty(self) -> None:
        """Forget everything."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(64) == b"+OK\r\n"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def need_redis() -> None:
    """Skip where there is none."""
    if REDIS is None and not os.environ.get("SINCHPHONE_REQUIRE_PEERS"):
        pytest.skip("redis-server is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for a file's tests; each finds it empty by ``redis``."""
    need_redis()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis(server: RedisServer) -> RedisServer:
    """The server, empty."""
    server.empty()
    return server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Makes servers that a test may kill, or that ask for a password."""
    need_redis()
    made: list[RedisServer] = []

    def make(password: str = "", more: tuple[str, ...] = ()) -> RedisServer:
        folder = tmp_path / f"redis-{len(made)}"
        folder.mkdir()
        made.append(RedisServer(folder, password))
        made[-1].start(*more)
        return made[-1]

    yield make
    for one in made:
        one.kill()


@dataclass
class ExchangeProcess:
    """One process of an exchange that several are."""

    url: str
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


StartProcess = Callable[..., Awaitable[ExchangeProcess]]


@pytest.fixture
async def start_process(tmp_path: Path) -> AsyncIterator[StartProcess]:
    """Starts a process on the store at that address, told more by a configuration file; it's ready then, and killed after the test."""
    started: list[ExchangeProcess] = []

    async def start(store: str, configuration: str = "") -> ExchangeProcess:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        home = tmp_path / f"process-{port}"
        home.mkdir()
        given = {"SINCHPHONE_EXCHANGE_KEY": "acme", "SINCHPHONE_EXCHANGE_SECRET": SECRETS["acme"], "SINCHPHONE_BACKGROUND": "false"}
        places = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}
        command = [sys.executable, "-m", "sinchphone", "exchange", "--port", str(port), "--store", store, "-q"]
        told = home / "told.toml"
        told.write_text(configuration)
        given["SINCHPHONE_CONFIG"] = str(told)
        process = subprocess.Popen(command, env={**os.environ, **places, **given}, stdout=subprocess.DEVNULL)
        one = ExchangeProcess(f"http://127.0.0.1:{port}", process)
        started.append(one)
        await _until_ready(one)
        return one

    yield start
    for one in started:
        one.kill()


async def _until_ready(one: ExchangeProcess) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            assert one.process.poll() is None, "it ended"
            try:
                async with session.get(f"{one.url}/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is missed sooner."""
    monkeypatch.setattr(redis_store, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(redis_store, "DEAD_SECONDS", 0.6)


Join = Callable[..., Awaitable[Exchange]]


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    """Starts one more exchange on the store at that address; it's closed after the test."""
    started: list[Exchange] = []

    async def start(store: StoreAddress, **options: object) -> Exchange:
        more = {"applications": {"acme": SECRETS["acme"]}, "port": 0, **options}
        exchange = Exchange(ExchangeOptions(store=store, **more))  # type: ignore[arg-type]
        await exchange.start()
        started.append(exchange)
        return exchange

    yield start
    await asyncio.gather(*(exchange.close() for exchange in started))
