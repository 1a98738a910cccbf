"""An exchange that is about to end: no new calls and devices, and those that go on go on."""

import asyncio
import time
from typing import Any

import pytest

from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.call.transfer_events import REPLACES_HEADER
from sinchphone.protocol.mxp.message import Client, Message, Method
from sinchphone.tasks import start_task
from tests.exchange.conftest import MakeLegacyPhone, MakePhone, Phone, StartExchange
from tests.waiting import until

LIMIT_S = 20.0


async def drained(exchange: Exchange) -> "asyncio.Task[None]":
    """The exchange takes nobody from now on; the task ends with the last call."""
    draining = start_task(exchange.drain(), name="drain")
    await asyncio.sleep(0)
    return draining


async def listening(phone: Phone) -> "tuple[Phone, asyncio.Task[Any]]":
    """A phone that is registered, and polls."""
    registered = await phone.registered()
    token = (await registered.subscribe("broadcast"))["t"]["t"]
    return registered, start_task(registered.subscribe("broadcast", token), name="poll")


def test_who_takes_nobody_says_when_to_come_back() -> None:
    intake = Intake()
    intake.check()
    intake.close()
    with pytest.raises(RefusedError, match="takes no new calls") as refused:
        intake.check()
    assert (refused.value.status, refused.value.retry_s) == (503, 5)


async def test_without_calls_it_is_drained_at_once_and_not_ready(exchange: Exchange, phone: MakePhone) -> None:
    async with asyncio.timeout(LIMIT_S):
        await exchange.drain()
    assert "takes no new calls" in (await exchange.troubles())["exchange"]
    anybody = phone("anybody")
    statuses = [(await anybody.session.get(exchange.url + path)).status for path in ("/health", "/ready")]
    assert statuses == [200, 503]


async def test_a_balancer_notices_before_anybody_is_refused(exchange: Exchange, phone: MakePhone) -> None:
    draining = start_task(exchange.drain(notice_seconds=LIMIT_S), name="drain")
    await asyncio.sleep(0)
    early = await phone("early").registered()
    assert (await early.session.get(f"{exchange.url}/ready")).status == 503
    assert (await early.call("nobody")).status == 404  # as ever
    draining.cancel()
    await asyncio.wait([draining])


async def test_polls_are_answered_empty_once_and_over_connections_that_may_lead_elsewhere(exchange: Exchange, phone: MakePhone) -> None:
    bob, poll = await listening(phone("bob"))
    await until(lambda: exchange.readings().polls)
    draining = await drained(exchange)
    async with asyncio.timeout(LIMIT_S):
        answer = await poll
    assert answer["m"] == []
    again = start_task(bob.subscribe("broadcast", answer["t"]["t"]), name="poll again")
    await until(lambda: exchange.readings().polls)  # it's served as before: a call may go on
    async with asyncio.timeout(LIMIT_S), bob.session.get(f"{exchange.url}/time/0") as told:
        assert told.headers["Connection"] == "close"
    await exchange.close()
    await asyncio.wait([again, draining], timeout=LIMIT_S)
    assert again.done()


async def test_new_calls_and_devices_are_refused_in_words(exchange: Exchange, phone: MakePhone, legacy: MakeLegacyPhone) -> None:
    alice = await phone("alice").registered()
    old = await legacy("olga").started()
    _, poll = await listening(phone("bob"))
    await exchange.drain()
    carol = phone("carol")
    for answer in (await alice.call("bob"), await old.call("bob"), await carol.send_registration(carol.token())):
        assert answer.status == 503 and "takes no new calls" in answer.body["message"]
        assert answer.headers["Retry-After"] == "5"
    poll.cancel()
    await asyncio.wait([poll])


async def test_a_call_goes_on_until_it_is_over_and_then_it_is_drained(exchange: Exchange, phone: MakePhone) -> None:
    _, poll = await listening(phone("bob"))
    alice = await phone("alice").registered()
    await until(lambda: exchange.readings().polls)
    answer = await alice.call("bob", call_id="call-1")
    assert answer.status < 300
    draining = await drained(exchange)
    await asyncio.sleep(0.25)
    assert not draining.done() and exchange.calls_going_on() == 1
    (watch,) = [call.watch for call in exchange._calls.open._calls.values()]
    assert watch is not None
    watch.ends.take(Message(Method.CANCEL, Client("alice", alice.instance, "")))
    watch._bell.set()
    async with asyncio.timeout(LIMIT_S):
        await draining
    assert exchange.calls_going_on() == 0
    poll.cancel()
    await asyncio.wait([poll])


async def test_a_call_that_takes_the_place_of_another_is_no_new_one(exchange: Exchange, phone: MakePhone) -> None:
    alice = await phone("alice").registered()
    await exchange.drain()
    answer = await alice.call("bob", publicCallHeaders={REPLACES_HEADER: "call-1"})
    assert (answer.status, "no such call to be replaced" in answer.body["message"]) == (404, True)


async def test_prolonging_and_reporting_go_on(start_exchange: StartExchange, phone: MakePhone) -> None:
    exchange = await start_exchange()
    alice = await phone("alice", url=exchange.url).registered()
    await exchange.drain()
    token = alice.token(issued_at=time.time())
    prolonged = await alice.send("PUT", f"/ocra/v1/users/alice/instances/{alice.instance}", b"{}", f"Bearer {token}")
    assert prolonged.status != 503
