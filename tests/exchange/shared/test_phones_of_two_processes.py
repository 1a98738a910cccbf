"""Two processes are one exchange for SIP phones too: whoever calls at one finds the phone that registered at the other."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.states import Cause, State
from tests.e2e.conftest import Ear, Steps
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import ExchangeProcess, RedisServer, StartProcess
from tests.peers.peerkit.baresip import Baresip, phone
from tests.peers.peerkit.dispatcher import dispatcher
from tests.peers.peerkit.programs import HOST, require
from tests.peers.peerkit.sound import ENOUGH
from tests.suite.ports import free_ports

LONGEST = 60.0
DESK_HZ, KITCHEN_HZ, ADA_HZ = 440.0, 620.0, 1000.0


@dataclass
class Floor:
    """Two processes, phones at either, and people with terminals."""

    processes: list[ExchangeProcess]
    sip: list[str]  # host:port
    media: MediaThread
    stack: AsyncExitStack
    folder: Path

    async def phone(self, user: str, hz: float, at: str, name: str) -> Baresip:
        registers = phone(self.folder / name, user, hz=hz, registrar=f"{at};transport=udp", password=f"secret-{user}")
        return await self.stack.enter_async_context(registers)

    async def user(self, name: str, at: int) -> SinchClient:
        cloud = Cloud("acme", secret=SECRETS["acme"], host=self.processes[at].url)
        return await self.stack.enter_async_context(SinchClient(name, cloud, media=self.media))

    async def talks(self, ada: SinchClient, called: str, hz: float) -> Call:
        """Somebody calls a phone, and hears it."""
        ear = Ear(ADA_HZ)
        call = await ada.call_user(called, sound=Ticker(ear, self.media))
        await Steps.reach(call, State.ESTABLISHED, LONGEST)
        await ear.hears(hz, LONGEST)
        return call


@pytest.fixture
async def floor(redis: RedisServer, start_process: StartProcess, tmp_path: Path) -> AsyncIterator[Floor]:
    require("baresip")
    users = tmp_path / "phones"
    users.write_text("desk:secret-desk\nkitchen:secret-kitchen\n")
    users.chmod(0o600)
    ports = [free_ports(1), free_ports(1)]
    said = [f'[sip]\nenabled = true\nhost = "{HOST}"\nport = {port}\nusers_file = "{users}"\nproxies = ["{HOST}"]\n' for port in ports]
    processes = await asyncio.gather(*(start_process(redis.address, one) for one in said))
    with MediaThread() as media:
        async with AsyncExitStack() as stack:
            yield Floor(processes, [f"{HOST}:{port}" for port in ports], media, stack, tmp_path)


async def test_phones_are_called_through_the_process_or_the_proxy_that_reaches_them_and_found_anew_when_a_process_dies(
    floor: Floor,
) -> None:
    one, two = floor.sip
    front = await floor.stack.enter_async_context(dispatcher(floor.folder / "front", floor.sip))
    desk, kitchen = await asyncio.gather(  # one process challenges the second, the other hears its answer
        floor.phone("desk", DESK_HZ, one, "desk"), floor.phone("kitchen", KITCHEN_HZ, front.at, "kitchen")
    )
    ada = await floor.user("ada", 1)
    call = await floor.talks(ada, "desk", DESK_HZ)
    await asyncio.sleep(1)  # its jitter buffer has had its first second
    await call.hang_up()
    await desk.event("CALL_CLOSED")
    assert await desk.hears(ADA_HZ) > ENOUGH

    await kitchen.dial(f"sip:desk@{front.at}")
    await kitchen.event("CALL_ESTABLISHED")
    await asyncio.sleep(1.5)
    await desk.order("hangup")  # what the called phone says comes back the same way
    await kitchen.event("CALL_CLOSED")
    assert await kitchen.hears(DESK_HZ) > ENOUGH

    floor.processes[0].kill()
    await desk.program.kill()
    died_at = time.monotonic()
    while True:
        ended = await Steps.end_of(await ada.call_user("desk", sound=Ticker(Ear(), floor.media)), LONGEST)
        assert time.monotonic() - died_at < 10
        assert ended.cause is Cause.FAILURE
        if "isn't registered" in str(ended):
            break
        await asyncio.sleep(0.2)
    await floor.phone("desk", DESK_HZ, two, "desk-again")
    again = await ada.call_user("desk", sound=Ticker(Ear(), floor.media))
    await Steps.reach(again, State.ESTABLISHED, LONGEST)
    await floor.talks(ada, "kitchen", KITCHEN_HZ)
