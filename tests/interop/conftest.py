"""The official SDK in Node beside sinchphone, both guests of one exchange; its packages are installed at test time, elsewhere."""

import asyncio
import base64
import datetime
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame
from sinchphone.audio.tones import goertzel
from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.details import CallDetails
from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.engine.events.events import ClientEvent
from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.tls import Issued, issue
from sinchphone.gateway.options import GatewayOptions, SipSettings
from sinchphone.local import ConfiguredGateway
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.auth import sign_user_ticket
from sinchphone.protocol.call.states import State
from sinchphone.tasks import start_task
from tests.exchange.both_stores import kept_fixture, lasting_fixture, pytest_generate_tests, redis_fixture  # noqa: F401 - fixtures
from tests.suite import guests

APPLICATION = "acme"
SECRET = b"a" * 16
SDK = Path(__file__).with_name("sdk")
PATIENCE_S = 20.0
LOGGED_LINES = 60  # of the SDK's log, where a call ended otherwise
PURE = 0.95  # of the energy, what is one tone
ENOUGH = RATE // FRAME_SAMPLES


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder that the official SDK is installed in."""
    return installed(guests.SDK)


@pytest.fixture(scope="session")
def pubnub_python() -> str:
    """An interpreter that has PubNub's SDK."""
    return str(installed(guests.PUBNUB) / "bin" / "python")


def installed(guest: guests.Guest) -> Path:
    """Its folder. Skips where it can't be installed, unless CI says that it must be."""
    try:
        return guests.folder_of(guest)
    except guests.NotThereError as error:
        (pytest.fail if os.environ.get("SINCHPHONE_REQUIRE_INTEROP") else pytest.skip)(str(error))


class Sdk:
    """One official SDK client in a Node process."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._told: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._reading = start_task(self._read(), name="read the SDK")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._told.append(json.loads(line))
            self._news.set()

    def do(self, command: str, **parameters: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **parameters}).encode() + b"\n")

    async def told(self, event: str, *, seconds: float = PATIENCE_S, **members: Any) -> dict[str, Any]:
        """The next event of that name with those members; each is given once."""
        try:
            async with asyncio.timeout(seconds):
                while (found := self._find(event, members)) is None:
                    self._news.clear()
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"the SDK didn't tell {event} {members}, but {self._told}") from None

    async def ends(self, cause: str, **options: Any) -> None:
        """Waits until it tells that a call has ended, which must be for that cause. Where it isn't, its log says why."""
        ended = await self.told("ended", **options)
        if ended["cause"] != cause:
            lines = self._log.read_text().splitlines()[-LOGGED_LINES:]
            raise AssertionError(f"the SDK told {ended}, not {cause}; its log: {' | '.join(lines)}")

    def tells_not(self, event: str) -> bool:
        return all(one["event"] != event for one in self._told)

    def count(self, event: str, **members: Any) -> int:
        """How many such events wait to be read."""
        return sum(one["event"] == event and members.items() <= one.items() for one in self._told)

    def _find(self, event: str, members: dict[str, Any]) -> dict[str, Any] | None:
        for index, one in enumerate(self._told):
            if one["event"] == event and members.items() <= one.items():
                return self._told.pop(index)
        return None

    async def hears(self, call: str, hz: float) -> None:
        """Waits until a second of what it hears in a call is that tone and nothing else: a busy machine may stall it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.do("listen", call=call, hz=hz)
                if (await self.told("heard", call=call))["share"] > PURE:
                    return

    async def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        self._reading.cancel()


@dataclass
class Ear:
    """A party of sinchphone's that says a tone and keeps what it hears."""

    tone_hz: float
    heard: list[Frame] = field(default_factory=list)
    said: int = 0

    def tick(self, far: Frame) -> Frame:
        self.heard.append(far.copy())
        at = np.arange(self.said, self.said + FRAME_SAMPLES) / RATE
        self.said += FRAME_SAMPLES
        return (8000 * np.sin(2 * np.pi * self.tone_hz * at)).astype(np.int16)

    async def hears(self, hz: float) -> None:
        """Waits until the last second was that tone and nothing else."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.heard) < ENOUGH or goertzel.share(np.concatenate(self.heard[-ENOUGH:]), hz) <= PURE:
                await asyncio.sleep(0.1)


class OurExchange(Cloud):
    """The exchange of the test, as an environment of sinchphone's."""

    def __init__(self, exchange: Exchange, api: str) -> None:
        super().__init__(APPLICATION, host=exchange.url, secret=base64.b64encode(SECRET).decode(), caller_id="+14155550100", api=api)

    @property
    def loopback(self) -> bool:
        return True


@dataclass
class Town:
    """An exchange, the SDK clients and the phones on it."""

    exchange: Exchange
    issued: Issued
    modules: Path
    media: MediaThread
    stack: AsyncExitStack
    log: Path

    async def sdk(self, **options: Any) -> Sdk:
        """An SDK client that hasn't started."""
        chosen = json.dumps({"url": self.exchange.url, "applicationKey": APPLICATION, **options})
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                "node",
                str(SDK / "driver.js"),
                str(self.modules),
                chosen,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "NODE_EXTRA_CA_CERTS": str(self.issued.authority)},
            )
        client = Sdk(process, self.log)
        self.stack.push_async_callback(client.close)
        await client.told("ready")
        return client

    async def sdk_user(self, user: str, **options: Any) -> Sdk:
        """An SDK client that has started with a ticket of that user."""
        client = await self.sdk(**options)
        client.do("start", credentials={"userTicket": self.ticket(user)})
        await client.told("started", user=user)
        return client

    async def phone(self, user: str, api: str = "ocra") -> SinchClient:
        return await self.stack.enter_async_context(SinchClient(user, OurExchange(self.exchange, api), media=self.media))

    def sound(self, hz: float) -> tuple[Ear, Ticker]:
        ear = Ear(hz)
        return ear, Ticker(ear, self.media)

    def ticket(self, user: str) -> str:
        return sign_user_ticket(APPLICATION, SECRET, user, created_at=time.time())


class Steps:
    """What is waited for, with generous limits."""

    @staticmethod
    async def event(client: SinchClient, kind: type[ClientEvent]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            async for event in client.events():
                if isinstance(event, kind):
                    return event
        raise AssertionError("the client failed")

    @staticmethod
    async def reach(call: Call, state: State) -> None:
        async with asyncio.timeout(PATIENCE_S):
            async for now in call.states():
                if now is state:
                    return
        raise AssertionError(f"the call ended instead: {call.details}")

    @staticmethod
    async def end_of(call: Call) -> CallDetails:
        async with asyncio.timeout(PATIENCE_S):
            return await call.ended()


@pytest.fixture
def steps() -> type[Steps]:
    return Steps


@pytest.fixture
def media() -> Iterator[MediaThread]:
    with MediaThread() as thread:
        yield thread


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return issue(tmp_path, "127.0.0.1", datetime.datetime.now(datetime.UTC))


StartExchange = Callable[[], Awaitable[Exchange]]


@pytest.fixture
async def town(modules: Path, issued: Issued, media: MediaThread, tmp_path: Path, lasting: Path | StoreAddress) -> AsyncIterator[Town]:
    options = ExchangeOptions(
        port=0,
        tls_port=0,
        certificate=issued.certificate,
        store=lasting,
        applications={APPLICATION: base64.b64encode(SECRET).decode()},
    )
    gateway = ConfiguredGateway(GatewayOptions(sip=SipSettings(port=0, users={"desk": "secret"})))
    async with Exchange(options, media=media, gateway=gateway) as exchange, AsyncExitStack() as stack:
        yield Town(exchange, issued, modules, media, stack, tmp_path / "sdk.log")
