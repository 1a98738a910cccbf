"""Two processes have one trunk: one of them at a time is registered with it, both call over it, and it has so many lines for both."""

import asyncio
import datetime
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.exchange.tls import issue
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import SipAnswered, SipCall
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.call.states import State
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_uri
from sinchphone.tasks import start_task
from tests.e2e.conftest import Ear, PhoneCall, SipPhone, Steps
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import ExchangeProcess, RedisServer, StartProcess
from tests.peers.peerkit.kamailio import Kamailio, kamailio
from tests.peers.peerkit.programs import HOST
from tests.suite.ports import free_ports

TAKEN_OVER_SECONDS = 10.0
LONGEST = 60.0
NUMBER = "46701234567"
CALLER_ID = "+46101234567"
PASSWORDS = {"exchange": "secret-e", NUMBER: "secret-n"}
NO_LINE = "all 1 lines of the trunk are in use"
ADA_HZ, SUBSCRIBER_HZ = 1000.0, 440.0


def told(port: int, trunk_port: int, more: str = "") -> str:
    """What a process is configured with."""
    sip = f'[sip]\nenabled = true\nhost = "{HOST}"\nport = {port}\n'
    trunk = f'[trunk]\nhost = "{HOST}"\nport = {trunk_port}\nusername = "exchange"\nallow = ["+"]\nstrip = "+"\ncaller_id = "{CALLER_ID}"\n'
    return f'{sip}{trunk}{more}\n[trunk.numbers]\nexchange = "user:ada"\n'


@dataclass
class Floor:
    """Two processes, a carrier that is Kamailio, somebody who has a number there, and people with terminals."""

    carrier: Kamailio
    redis: RedisServer
    start: StartProcess
    media: MediaThread
    stack: AsyncExitStack
    subscriber: SipPhone

    async def process(self, more: str) -> ExchangeProcess:
        return await self.start(self.redis.address, told(free_ports(1), self.carrier.port, more))

    async def user(self, name: str, at: ExchangeProcess) -> SinchClient:
        cloud = Cloud("acme", secret=SECRETS["acme"], host=at.url)
        return await self.stack.enter_async_context(SinchClient(name, cloud, media=self.media))

    async def is_called(self, ada: SinchClient) -> None:
        """The trunk calls us: she answers, and both hear each other."""
        calling = await self.subscriber.dial(f"sip:exchange@{HOST}:{self.carrier.port}", f"sip:{NUMBER}@{HOST}", PASSWORDS[NUMBER])
        call, ear = await Steps.next_call(ada, LONGEST), Ear(ADA_HZ)
        await call.answer(sound=Ticker(ear, self.media))
        await calling.until(SipAnswered)
        heard = await self.subscriber.listen(calling, SUBSCRIBER_HZ)
        await asyncio.gather(ear.hears(SUBSCRIBER_HZ, LONGEST), heard.hears(ADA_HZ, LONGEST))
        await call.hang_up()
        await calling.over()

    async def calls(self, user: SinchClient) -> tuple[Call, PhoneCall]:
        """Somebody calls over the trunk, and both hear each other."""
        while True:
            ear = Ear(ADA_HZ)
            call = await user.call_phone(f"+{NUMBER}", caller_id=CALLER_ID, sound=Ticker(ear, self.media))
            ringing, over = start_task(self.subscriber.next_call(), name="ringing"), start_task(Steps.end_of(call, LONGEST), name="over")
            await asyncio.wait((ringing, over), return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            if ringing.done():
                rings = ringing.result()
                break
            ringing.cancel()
            assert NO_LINE in str(over.result()), "the call before has it for a moment longer than it takes to hear of its end"
        heard = await self.subscriber.answer(rings, SUBSCRIBER_HZ)
        await Steps.reach(call, State.ESTABLISHED, LONGEST)
        await asyncio.gather(ear.hears(SUBSCRIBER_HZ, LONGEST), heard.hears(ADA_HZ, LONGEST))
        return call, rings

    async def registered(self, times: int) -> None:
        """So often somebody registered in our name."""
        program = self.carrier.program
        await program.until(lambda: program.output.count("registering exchange") >= times, f"{times} registrations")


@pytest.fixture
async def floor(redis: RedisServer, start_process: StartProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Floor]:
    monkeypatch.setenv("SINCHPHONE_TRUNK_PASSWORD", PASSWORDS["exchange"])
    issued = issue(tmp_path / "tls", HOST, datetime.datetime.now(datetime.UTC))
    with MediaThread() as media:
        async with AsyncExitStack() as stack:
            chain, key = issued.certificate.chain, issued.certificate.key
            carrier = await stack.enter_async_context(kamailio(tmp_path / "carrier", PASSWORDS, chain, key))

            def ear(tone_hz: float | None) -> tuple[Ear, Ticker]:
                party = Ear(tone_hz)
                return party, Ticker(party, media)

            subscriber = SipPhone(media, stack, ear, patience_s=LONGEST)
            await subscriber.agent.start()
            stack.push_async_callback(subscriber.agent.close)
            credentials = Credentials(NUMBER, PASSWORDS[NUMBER])
            granted = asyncio.Event()
            at = parse_uri(f"sip:{HOST}:{carrier.port}")
            registration = subscriber.agent.registration(at, credentials, registered=lambda hop: granted.set())
            stack.callback(start_task(registration.run(), name="subscriber").cancel)
            async with asyncio.timeout(LONGEST):
                await granted.wait()
            yield Floor(carrier, redis, start_process, media, stack, subscriber)


async def test_one_process_is_registered_and_calls_go_both_ways_at_both_also_once_it_has_died(floor: Floor) -> None:
    more = "register = true\nmax_calls = 1\n"
    owner = await floor.process(more)
    await floor.registered(1)
    other = await floor.process(more)
    ada, bob = await floor.user("ada", other), await floor.user("bob", owner)
    await floor.is_called(ada)
    _, answered = await floor.calls(bob)
    refused = await Steps.end_of(await ada.call_phone(f"+{NUMBER}", caller_id=CALLER_ID), LONGEST)
    assert NO_LINE in str(refused), "one goes on at the other process"
    owner.kill()  # with the only line
    died_at = time.monotonic()
    await floor.registered(2)
    assert time.monotonic() - died_at < TAKEN_OVER_SECONDS
    await answered.sip.hang_up()
    await floor.is_called(ada)
    ringing, answered = await floor.calls(ada)
    await answered.sip.hang_up()
    await Steps.end_of(ringing, LONGEST)


async def test_without_a_registration_both_processes_call_over_the_trunk(floor: Floor) -> None:
    processes = [await floor.process("") for _ in range(2)]
    for name, process in zip(("ada", "bob"), processes, strict=True):
        call, answered = await floor.calls(await floor.user(name, process))
        await call.hang_up()
        await answered.over()
    assert "registering exchange" not in floor.carrier.program.output


async def test_whoever_ends_hands_the_registration_on_and_what_the_dead_left_is_withdrawn(
    redis: RedisServer, start_process: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINCHPHONE_TRUNK_PASSWORD", PASSWORDS["exchange"])
    registrar = Registrar(PASSWORDS)

    async def nobody(call: SipCall) -> None:
        await call.refuse(404)

    async def registered_is(port: int) -> None:
        async with asyncio.timeout(TAKEN_OVER_SECONDS):
            while [one.uri.port for one in registrar.contacts("exchange")] != [port]:
                await asyncio.sleep(0.05)

    carrier = SipAgent(SipOptions(port=0), router=nobody, registrar=registrar)
    await carrier.start()
    try:
        ports = [free_ports(1) for _ in range(3)]
        configured = [told(port, carrier.port, "register = true\n") for port in ports]
        processes = [await start_process(redis.address, configured[0])]
        await registered_is(ports[0])
        processes += await asyncio.gather(*(start_process(redis.address, one) for one in configured[1:]))
        await registered_is(ports[0])
        processes[0].process.terminate()
        await asyncio.to_thread(processes[0].process.wait)
        async with asyncio.timeout(TAKEN_OVER_SECONDS):
            while not (contacts := registrar.contacts("exchange")):
                await asyncio.sleep(0.05)
        (second,) = contacts
        left = ports[1:]
        heir = left.index(second.uri.port or 0)
        processes[1 + heir].kill()
        await registered_is(left[1 - heir])
    finally:
        await carrier.close()
