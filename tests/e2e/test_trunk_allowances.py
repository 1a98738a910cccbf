"""A user's calls over the trunk are limited by the day, in calls and minutes, across restarts; every leg is told why."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.endings import describe
from sinchphone.exchange.calls.usage import DayUsage, Payer, UsageRecords, day_of
from sinchphone.exchange.store.sqlite import FILE_NAME, SqliteStore
from sinchphone.gateway.options import GatewayOptions, SipSettings, TrunkOptions
from sinchphone.gateway.sip import calls as sip
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from tests.e2e.conftest import CARRIER

NUMBER = "+46701234567"
Opened = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def exchange(tmp_path: Path, media: MediaThread, lines: Any, carrier: Any) -> Opened:
    """Opens an exchange with a trunk, always with the same state folder."""

    @asynccontextmanager
    async def opened(**limits: Any) -> AsyncIterator[Any]:
        trunk = TrunkOptions(host=CARRIER, port=carrier.agent.port, allow=("+46",), caller_id="+46101234567", **limits)
        gateway = GatewayOptions(sip=SipSettings(users={"desk": "secret"}), trunk=trunk)
        async with Local(tmp_path, port=0, media=media, gateway=gateway, sip_port=0) as local:
            yield type(lines)(local, media, lines.stack)

    return opened


async def use(folder: Path, application: str, user: str, seconds: float) -> None:
    """The user has talked so long today, before the exchange starts."""
    store = SqliteStore(folder / FILE_NAME)
    await store.open()
    UsageRecords(store).note(Payer(application, user), day_of(time.time()), DayUsage(1, seconds))
    await store.close()


async def refused(steps: Any, client: Any) -> Any:
    call = await client.call_phone(NUMBER)
    return call, await steps.end_of(call)


async def test_a_users_calls_of_a_day_are_counted_beyond_a_restart(exchange: Opened, steps: Any, carrier: Any) -> None:
    async with exchange(daily_calls=2) as lines:
        for user in ("alice", "bob"):
            call = await (await lines.phone(user)).call_phone(NUMBER)
            await (await carrier.next_call()).sip.refuse(486)
            assert (await steps.end_of(call)).cause is Cause.DENIED
    async with exchange(daily_calls=2) as lines:
        alice = await lines.phone("alice")
        last = await alice.call_phone(NUMBER)
        await (await carrier.next_call()).sip.refuse(486)
        await steps.end_of(last)
        call, details = await refused(steps, alice)
        assert (details.failure.code, details.failure.domain) == (403, "exchange")
        ending = describe(details, peer=call.peer, domain=call.domain, outbound=True, order=None, interactive=False)
        assert (int(ending.code), ending.reason) == (
            8,
            "the call failed: today's calls over the trunk (2 at most) are used up: from 00:00 UTC on there are new ones",
        )
        assert carrier.incoming.empty()
        bob = await (await lines.phone("bob")).call_phone(NUMBER)
        await (await carrier.next_call()).sip.refuse(486)
        await steps.end_of(bob)


async def test_a_phones_calls_count_as_its_users(exchange: Opened, carrier: Any) -> None:
    async with exchange(daily_calls=1) as lines:
        phone = await lines.sip_phone()
        uri = f"sip:{NUMBER}@{lines.local.sip_address}"
        first = await phone.dial(uri, "sip:desk@127.0.0.1", "secret")
        await (await carrier.next_call()).sip.refuse(486)
        assert isinstance(await first.over(), sip.Refused)
        ended = await (await phone.dial(uri, "sip:somebody@127.0.0.1", "secret")).over()
        assert isinstance(ended, sip.Refused)
        ended = await (await phone.dial(uri, "sip:desk@127.0.0.1", "secret")).over()
        assert isinstance(ended, sip.Refused)
        assert (ended.status, ended.reason) == (
            403,
            "today's calls over the trunk (1 at most) are used up: from 00:00 UTC on there are new ones",
        )
        assert carrier.incoming.empty()


async def test_a_running_call_ends_when_the_minutes_are_used_up_and_both_ends_are_told(
    exchange: Opened, steps: Any, carrier: Any, tmp_path: Path
) -> None:
    async with exchange(daily_minutes=1) as lines:
        application = lines.local.application_key
    await use(tmp_path, application, "alice", 58.0)
    async with exchange(daily_minutes=1) as lines:
        alice = await lines.phone("alice")
        call = await alice.call_phone(NUMBER)
        incoming = await carrier.next_call()
        await carrier.answer(incoming)
        await steps.reach(call, State.ESTABLISHED)
        ended, details = await incoming.over(), await steps.end_of(call)
        assert isinstance(ended, sip.SipEnded)
        reason = "today's minutes over the trunk (1 at most) are used up: from 00:00 UTC on there are new ones"
        assert (ended.status, ended.reason) == (403, reason)
        assert (details.cause, details.failure.code, details.failure.message) == (Cause.FAILURE, 403, reason)
        _, details = await refused(steps, alice)
        assert details.failure.message == reason
        assert carrier.incoming.empty()


async def test_a_number_without_a_price_is_not_called_where_spend_is_limited(exchange: Opened, steps: Any, carrier: Any) -> None:
    async with exchange(daily_spend=1.0, prices={"+461": 0.02}) as lines:
        _, details = await refused(steps, await lines.phone("alice"))
        assert details.failure.code == 403 and "has no price" in details.failure.message
        assert carrier.incoming.empty()
