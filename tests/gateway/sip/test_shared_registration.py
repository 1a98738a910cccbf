"""The registration with a trunk that several processes have: one at a time is registered, and hands it on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.processes.trunks import TrunkHolder, TrunkRows
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip import registration
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import SipCall
from sinchphone.gateway.sip.limits import SourceLimits
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.gateway.trunk import trunk_registration
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.gateway.trunk.trunk_registration import MOST_FAILURES, SharedTrunk, TrunkRegistration
from sinchphone.protocol.sip.transactions.transaction import Timing
from tests.gateway.sip.shared_table import OneStore, SharedTable
from tests.waiting import until

QUICK = Timing(t1=0.05, t2=0.2, t4=0.2)
UNLIMITED = SourceLimits(trusted=frozenset({"127.0.0.1"}))


async def nobody(call: SipCall) -> None:
    await call.refuse(404)


class NoCounts:
    """Calls don't matter here."""

    async def tell(self, application: str, name: str, own: int, most: int | None = None) -> bool:
        return True

    async def forget(self, application: str, name: str, process: str) -> None:
        pass


@dataclass
class TrunkProcess:
    """One process of the exchange."""

    agent: SipAgent
    trunk: Trunk
    rows: TrunkRows
    intake: Intake
    registration: TrunkRegistration
    others_know: bool = True

    @property
    def is_known(self) -> bool:
        """Whether the others know that this one is registered."""
        holder = self.rows.holder("acme")
        return holder.is_registered and str(self.agent.port) in holder.contact


@dataclass
class Floor:
    """A carrier, and processes that have a trunk there."""

    stack: AsyncExitStack
    carrier: SipAgent
    registrar: Registrar
    passwords: dict[str, str]
    shared: SharedTable = field(default_factory=SharedTable)

    async def process(self, name: str, password: str = "secret") -> TrunkProcess:
        agent = SipAgent(SipOptions(port=0, timing=QUICK), router=nobody)
        await agent.start()
        self.stack.push_async_callback(agent.close)
        store: Any = OneStore(self.shared, name)
        rows = TrunkRows(store, NoCounts(), name, lambda: one.others_know)
        await rows.join()
        trunk = Trunk(TrunkOptions(host="127.0.0.1", port=self.carrier.port, username="us", password=password, register=True))
        intake = Intake()
        one = TrunkProcess(agent, trunk, rows, intake, TrunkRegistration(agent, trunk, SharedTrunk(rows, "acme"), intake))
        self.stack.push_async_callback(one.registration.close)
        one.registration.start()
        return one

    async def has(self, *processes: TrunkProcess) -> None:
        """Who is registered, and says so to the others."""
        ports = [one.agent.port for one in processes]
        await until(lambda: [one.uri.port for one in self.registrar.contacts("us")] == ports)
        await until(lambda: all(one.is_known for one in processes))


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with AsyncExitStack() as stack:
        passwords = {"us": "secret"}
        registrar = Registrar(passwords)
        carrier = SipAgent(SipOptions(port=0, timing=QUICK, limits=UNLIMITED), router=nobody, registrar=registrar)
        await carrier.start()
        stack.push_async_callback(carrier.close)
        yield Floor(stack, carrier, registrar, passwords)


async def test_one_process_is_registered_and_all_know_where_the_trunk_is(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    await floor.has(one)
    await until(
        lambda: two.rows.holder("acme") == TrunkHolder("one", f"sip:us@127.0.0.1:{one.agent.port}", ("127.0.0.1",), is_registered=True)
    )
    assert two.trunk.learnt == {"127.0.0.1"}
    assert not two.registration._registration.is_registered


async def test_whoever_takes_no_more_calls_hands_it_on_before_its_last_call_ends(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    await floor.has(one)
    one.intake.close()
    await floor.has(two)
    await one.registration.close()
    await floor.has(two)
    two.intake.close()
    await floor.has()
    await until(lambda: two.rows.holder("acme") == TrunkHolder("", "", ("127.0.0.1",)))


async def test_what_a_dead_process_registered_is_withdrawn_by_the_next(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    await floor.has(one)
    await until(lambda: bool(two.rows.holder("acme").contact))
    floor.shared.followers.pop("one")  # it hears nothing any more
    await two.rows.bury("acme", "one")
    await floor.has(two)
    assert await one.rows.claim("acme") is not None, "it doesn't know yet"


async def test_who_was_taken_for_dead_registers_no_more(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "RENEWED_AHEAD", 0.0005)  # more than three times a second
    one, two = await floor.process("one"), await floor.process("two")
    await floor.has(one)
    await until(lambda: bool(two.rows.holder("acme").contact))
    await two.rows.bury("acme", "one")
    await floor.has(two)
    await asyncio.sleep(0.5)
    await floor.has(two)


async def test_who_can_not_say_that_it_lives_does_not_renew(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "RENEWED_AHEAD", 0.0005)
    monkeypatch.setattr(registration, "HOLD_PAUSE_SECONDS", 0.05)
    one = await floor.process("one")
    await floor.has(one)
    granted_at = floor.registrar.contacts("us")[0].expires_at
    await until(lambda: floor.registrar.contacts("us")[0].expires_at > granted_at)
    one.others_know = False
    await asyncio.sleep(0.4)
    granted_at = floor.registrar.contacts("us")[0].expires_at
    await asyncio.sleep(0.6)
    assert floor.registrar.contacts("us")[0].expires_at == granted_at
    one.others_know = True
    await until(lambda: floor.registrar.contacts("us")[0].expires_at > granted_at)


async def test_who_was_taken_for_dead_withdraws_what_it_registered_itself(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has it now may not have reached the carrier when it tried."""

    async def lost(*_: object) -> None:
        pass

    monkeypatch.setattr(registration.SipRegistration, "withdraw_other", lost)
    one, two = await floor.process("one"), await floor.process("two")
    await floor.has(one)
    await until(lambda: bool(two.rows.holder("acme").contact))
    await two.rows.bury("acme", "one")
    await floor.has(two)


async def test_who_can_not_register_lets_another_process_try_and_has_it_again_as_soon_as_that_one_leaves(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "RETRY_SECONDS", (600.0, 600.0))
    monkeypatch.setattr(trunk_registration, "MOST_FAILURES", 1)
    one = await floor.process("one", password="wrong")
    await until(lambda: one.rows.holder("acme") == TrunkHolder() and "one" in floor.shared.followers)
    two = await floor.process("two")
    await floor.has(two)
    one.trunk.options = replace(one.trunk.options, password="secret")
    await asyncio.sleep(0.3)
    await floor.has(two)  # who is registered stays it
    two.intake.close()
    await floor.has(one)


async def test_where_the_carrier_refuses_all_each_process_tries_less_and_less_often_and_is_registered_as_it_may(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registration, "RETRY_SECONDS", (0.05, 600.0))
    floor.passwords["us"] = "another"
    one, two = await floor.process("one"), await floor.process("two")
    await until(lambda: min(one.registration._failures, two.registration._failures) >= MOST_FAILURES + 1)
    await asyncio.sleep(1)
    assert max(one.registration._failures, two.registration._failures) <= MOST_FAILURES + 5  # 0.05 s, doubled each time
    floor.passwords["us"] = "secret"
    await until(lambda: len(floor.registrar.contacts("us")) == 1)
    await until(lambda: one.registration._failures == two.registration._failures == 0)
