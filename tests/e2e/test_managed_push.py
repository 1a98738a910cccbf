"""Calls that reach a sleeping device: the exchange pushes, the device wakes up and rings; and what a caller hears where it can't."""

import asyncio
import json
import time
from typing import Any

import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import ClientEvent, FellAsleep, IncomingCall, PushDropped, PushReceived
from sinchphone.errors import LocalProtocolError, NetworkError
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.webpush.encryption import ReceiverKeys
from sinchphone.protocol.webpush.keys import KeyPair
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.push.notification import CallNotification, write_content, write_payload
from sinchphone.tasks import start_task

RECEIVER = ReceiverKeys(KeyPair.from_random(b"7" * 48), b"a" * 16)
SOON_S = 0.3


class Heard:
    """What a client told, from when it was asked on."""

    def __init__(self, client: SinchClient) -> None:
        self.events: list[ClientEvent] = []
        client.add_listener(self.events.append)

    async def of(self, kind: type[ClientEvent]) -> Any:
        async with asyncio.timeout(20):
            while not (found := [event for event in self.events if isinstance(event, kind)]):
                await asyncio.sleep(0.01)
        return found[-1]


async def asleep(client: SinchClient) -> None:
    async with asyncio.timeout(20):
        while not client._link.is_asleep or client._link.broadcast is None:
            await asyncio.sleep(0.01)
        await client._link.ready.wait()


async def sleeper(lines: Any, user: str = "bob") -> SinchClient:
    """A client that sleeps, which a push wakes."""
    client: SinchClient = await lines.phone(user)
    heard = Heard(client)
    await client.set_support_managed_push(sleep_after=SOON_S)
    await heard.of(FellAsleep)
    await asleep(client)
    return client


def exchange_of(lines: Any) -> Any:
    return lines.local._exchange


async def test_a_sleeping_device_is_woken_by_a_push_rings_and_talks(lines: Any, steps: Any) -> None:
    bob, alice = await sleeper(lines), await lines.phone("alice")
    heard = Heard(bob)
    began = time.monotonic()
    call = await alice.call_user("bob", headers={"x-order": "42"})
    incoming = await steps.next_call(bob)
    assert time.monotonic() - began < 2.0 + 3.0  # the promise, and what a busy machine may stall
    push = await heard.of(PushReceived)
    assert (push.notification.call_id, push.notification.remote_user_id, push.woke) == (call.id, "alice", True)
    assert (push.notification.headers, push.notification.display_name) == ({"x-order": "42"}, "alice")
    await steps.reach(call, State.RINGING)
    await incoming.answer()
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up()
    await steps.end_of(incoming)
    assert bob.push_counts.taken == 1
    await asleep(bob)  # again: the call that it woke for is over


async def test_a_phone_at_the_gateway_wakes_a_sleeping_device_too(sip_exchange: Any, steps: Any) -> None:
    """Nobody asks for a push there."""
    there = await sip_exchange("desk")
    bob = await sleeper(there.lines)
    call = await there.dial("desk", "bob")
    incoming = await steps.next_call(bob)
    await incoming.decline()
    await call.over()


async def test_a_device_that_is_awake_gets_no_push(lines: Any, steps: Any) -> None:
    bob, alice = await lines.phone("bob"), await lines.phone("alice")
    await bob.set_support_managed_push()
    call = await alice.call_user("bob")
    await (await steps.next_call(bob)).answer()
    await steps.reach(call, State.ESTABLISHED)
    assert bob.push_counts.taken == 0


async def test_a_caller_who_gave_up_before_the_device_woke_makes_nothing_ring(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    bob = await lines.phone("bob")
    subscription = PushSubscription("http://127.0.0.1:9/x", RECEIVER.pair.public_bytes, RECEIVER.auth)
    await bob.set_support_managed_push(subscription, sleep_after=0.1)
    await asleep(bob)
    call = await alice.call_user("bob")
    await steps.reach(call, State.PROGRESSING)
    await call.hang_up()
    await steps.end_of(call)
    bob._push.wake()
    await bob._link.ready.wait()
    await asyncio.sleep(0.3)
    assert not bob.calls


async def test_a_subscription_that_is_gone_is_told_to_the_caller_at_once_and_afterwards_nobody_is_there(lines: Any, steps: Any) -> None:
    bob, alice = await sleeper(lines), await lines.phone("alice")
    service = exchange_of(lines)._push_service
    for agent in list(service._agents.values()):
        for channel in list(agent.tokens):
            service.unregister(agent, channel)
    call = await alice.call_user("bob")
    details = await steps.end_of(call, seconds=5)
    assert details.cause is Cause.FAILURE
    assert details.failure is not None
    assert "could not be woken" in details.failure.message
    assert "gone" in details.failure.message
    again = await steps.end_of(await alice.call_user("bob"), seconds=5)
    assert "not listening" in str(again.error)
    assert bob.push_counts.taken == 0


async def test_a_push_service_that_nobody_reaches_is_told_while_another_device_rings_on(
    lines: Any, steps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinchphone.exchange.push.sender.TIME_S", 0.3)
    dormant, awake, alice = await lines.phone("bob"), await lines.phone("bob"), await lines.phone("alice")
    subscription = PushSubscription("http://127.0.0.1:9/x", RECEIVER.pair.public_bytes, RECEIVER.auth)
    await dormant.set_support_managed_push(subscription, sleep_after=0.1)
    await asleep(dormant)
    call = await alice.call_user("bob")
    incoming = await steps.next_call(awake)
    await asyncio.sleep(0.6)  # by then the other device is out
    await incoming.answer()
    await steps.reach(call, State.ESTABLISHED)


async def test_a_client_that_sleeps_wakes_up_to_call(lines: Any, steps: Any) -> None:
    bob, alice = await sleeper(lines), await lines.phone("alice")
    call = await bob.call_user("alice")
    await (await steps.next_call(alice)).answer()
    await steps.reach(call, State.ESTABLISHED)


async def test_a_payload_that_an_app_got_elsewhere_wakes_the_client(lines: Any, steps: Any) -> None:
    bob, alice = await lines.phone("bob"), await lines.phone("alice")
    service = exchange_of(lines)._push_service
    far: list[dict[str, Any]] = []
    agent = service.greet("", far.append, time.time())
    key = await exchange_of(lines)._pushes.public_key()
    endpoint = service.register(agent, "0" * 32, key, exchange_of(lines).url)
    await bob.set_support_managed_push(PushSubscription(endpoint, RECEIVER.pair.public_bytes, RECEIVER.auth), sleep_after=0.1)
    await asleep(bob)
    call = await alice.call_user("bob")
    async with asyncio.timeout(5):
        while not far:
            await asyncio.sleep(0.01)
    payload = {"sinch": write_payload(CallNotification(call_id=call.id, remote_user_id="alice", sent_at=time.time()))}
    result = await bob.relay_push_notification({"visible": True, "data": payload})
    assert result.is_valid
    assert result.call is not None
    assert (result.call.remote_user_id, result.has_timed_out) == ("alice", False)
    assert (await steps.next_call(bob)).id == call.id


async def test_expired_repeated_oversized_and_garbage_payloads_are_dropped_and_counted(lines: Any) -> None:
    bob = await lines.phone("bob")
    heard, now = Heard(bob), time.time()
    old = CallNotification(call_id="old", remote_user_id="alice", sent_at=now - 61)
    new = CallNotification(call_id="new", remote_user_id="alice", sent_at=now)
    assert (await bob.relay_push_notification(write_content(old))).has_timed_out
    assert (await bob.relay_push_notification(write_content(new))).is_valid
    await bob.relay_push_notification(write_content(new))
    for odd in (b"garbage", b"{}", b"x" * 5000, {"sinch": 3}, json.dumps({"sinch": "{}"}).encode(), {"sinch": "AgEB"}):
        result = await bob.relay_push_notification(odd)
        assert (result.is_valid, result.call) == (False, None)
    counts = bob.push_counts
    assert (counts.taken, counts.expired, counts.repeated, counts.unreadable) == (1, 1, 1, 6)
    assert await heard.of(PushDropped)


async def test_relaying_opens_a_client_that_was_not_opened(lines: Any) -> None:
    client = SinchClient("bob", lines.local, media=lines.media)
    await client.relay_push_notification(b"garbage")
    assert client.is_started
    await client.close()


async def test_two_pushes_at_once_open_a_client_that_was_not_opened(lines: Any) -> None:
    client = SinchClient("bob", lines.local, media=lines.media)
    results = await asyncio.gather(*(client.relay_push_notification(b"garbage") for _ in range(2)))
    assert [result.is_valid for result in results] == [False, False]
    assert client.push_counts.unreadable == 2
    await client.close()
    with pytest.raises(LocalProtocolError):
        await client.relay_push_notification(b"garbage")


async def test_a_push_to_a_client_that_cannot_be_opened_is_refused_as_opening_it_is(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = SinchClient("bob", lines.local, media=lines.media)

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise NetworkError("gone")

    monkeypatch.setattr(client._link, "open", fail)
    results = await asyncio.gather(*(client.relay_push_notification(b"garbage") for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [NetworkError, LocalProtocolError]


async def test_a_client_that_is_left_gives_its_subscription_up_at_the_push_service(lines: Any) -> None:
    bob = SinchClient("bob", lines.local, media=lines.media)
    await bob.open()
    await bob.set_support_managed_push()
    service = exchange_of(lines)._push_service
    assert len(service._subscriptions) == 1
    await bob.close()
    async with asyncio.timeout(5):
        while service._subscriptions:
            await asyncio.sleep(0.01)


async def test_managed_push_is_switched_on_once(lines: Any) -> None:
    bob = await lines.phone("bob")
    await bob.set_support_managed_push()
    with pytest.raises(LocalProtocolError):
        await bob.set_support_managed_push()


async def test_managed_push_that_the_platform_refused_once_may_be_switched_on_later(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was refused with the first refusal ever after."""
    bob = await lines.phone("bob")

    async def refuse(subscription: PushSubscription | None) -> None:
        raise NetworkError("gone for a moment")

    with monkeypatch.context() as for_a_moment:
        for_a_moment.setattr(bob._link.dialect, "set_push_profile", refuse)
        with pytest.raises(NetworkError, match="for a moment"):
            await bob.set_support_managed_push()
    await bob.set_support_managed_push()
    assert bob._push._subscription is not None


async def test_managed_push_whose_start_was_cancelled_may_be_switched_on_later(lines: Any) -> None:
    bob = await lines.phone("bob")
    starting = start_task(bob.set_support_managed_push(service="ws://127.0.0.1:9/"), name="start")
    async with asyncio.timeout(20):
        while bob._push._agent is None:
            await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert bob._push._tasks == []
    await bob.set_support_managed_push()


async def test_a_push_is_not_taken_for_an_old_one_where_this_machines_clock_is_wrong(lines: Any) -> None:
    bob = await lines.phone("bob")
    bob._link.dialect._wire._offset_s = 600.0  # the platform's is ahead of ours
    sent_at = time.time() + 600.0
    result = await bob.relay_push_notification(write_content(CallNotification(call_id="new", remote_user_id="alice", sent_at=sent_at)))
    assert (result.is_valid, result.has_timed_out) == (True, False)


async def test_a_client_that_is_left_takes_no_more_pushes(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    bob = SinchClient("bob", lines.local, media=lines.media)
    await bob.open()
    await bob.set_support_managed_push(sleep_after=0.1)
    await asleep(bob)
    await bob.close()
    details = await steps.end_of(await alice.call_user("bob"))
    assert "not listening" in str(details.error)


async def test_a_sleeping_device_outlives_the_exchange_that_it_slept_at(lines: Any, steps: Any) -> None:
    """Another one takes its place: the device subscribes there, and is reached."""
    bob = await sleeper(lines)
    await lines.local._exchange.close()
    lines.local._exchange = None
    async with asyncio.timeout(20):
        while lines.local._exchange is None or not lines.local._exchange._push_service._agents:
            await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        while "push" in bob._link._down:
            await asyncio.sleep(0.05)
    alice = await lines.phone("alice")
    call = await alice.call_user("bob")
    await (await steps.next_call(bob)).decline()
    await steps.end_of(call)


async def test_two_callers_wake_a_device_once_each(lines: Any, steps: Any) -> None:
    bob = await sleeper(lines)
    alice, carol = await lines.phone("alice"), await lines.phone("carol")
    calls = [await one.call_user("bob") for one in (alice, carol)]
    peers = set()
    async with asyncio.timeout(20):
        async for event in bob.events():
            if isinstance(event, IncomingCall):
                peers.add(event.call.peer)
                if len(peers) == 2:
                    break
    assert peers == {"alice", "carol"}
    for call in calls:
        await call.hang_up()
