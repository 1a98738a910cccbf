"""A subscription on a machine whose network has changed: it moves to a new connection, without a word and without a loss."""

import asyncio
import socket
from typing import Any

import pytest

from sinchphone.signaling.http import transport
from sinchphone.signaling.pubsub.backoff import Backoff
from sinchphone.signaling.pubsub.client import Interrupted, PayloadReceived, PubSub, SubscriptionResumed
from sinchphone.tasks import cancel_all, start_task


@pytest.fixture
def pubsub(broker: Any, session: Any) -> Any:
    return PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", publish_key="pub", uuid="me", backoff=Backoff(0.01))


async def test_a_renewed_subscription_goes_on_from_where_it_was(broker: Any, pubsub: Any, eventually: Any) -> None:
    events = []

    async def listen() -> None:
        async for event in pubsub.events(["news"]):
            events.extend([event])

    listening = start_task(listen(), name="listen")
    await eventually(lambda: broker.polls_held > 0)
    for number in range(5):
        before = len(broker.seen)
        pubsub.renew()
        await broker.post("news", number)
        await eventually(lambda before=before: len(broker.seen) > before)
    await eventually(lambda: len([event for event in events if isinstance(event, PayloadReceived)]) == 5)
    assert [event.payload for event in events if isinstance(event, PayloadReceived)] == [0, 1, 2, 3, 4]
    assert [event for event in events if not isinstance(event, PayloadReceived)] == [SubscriptionResumed()]
    assert pubsub.counters.interruptions == 0
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_of_two_subscriptions_both_are_renewed(broker: Any, pubsub: Any, eventually: Any) -> None:
    told = []

    async def listen(channel: str) -> None:
        async for event in pubsub.events([channel]):
            told.extend([(channel, type(event))])

    listening = [start_task(listen(channel), name=channel) for channel in ("news", "group")]
    await eventually(lambda: broker.polls_held == 2)
    pubsub.renew()
    await eventually(lambda: broker.polls_held == 4)
    assert told == [("news", SubscriptionResumed), ("group", SubscriptionResumed)]
    await cancel_all(listening)


async def test_nothing_happens_where_no_poll_is_held(pubsub: Any) -> None:
    pubsub.renew()
    assert isinstance(await pubsub.time(), int)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system can't do that")
async def test_connections_notice_that_nobody_hears_them() -> None:
    connector = transport.connector()
    made = connector._socket_factory((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1)))  # type: ignore[misc]
    assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == transport.UNHEARD_MS
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) + made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) <= 30
    made.close()
    await connector.close()


async def test_an_interrupted_subscription_is_tried_at_once_where_the_network_is_back(broker: Any, session: Any, eventually: Any) -> None:
    pubsub = PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", uuid="me", backoff=Backoff(60.0, 60.0))
    told = []

    async def listen() -> None:
        async for event in pubsub.events(["news"]):
            told.extend([type(event)])

    listening = start_task(listen(), name="listen")
    await eventually(lambda: broker.polls_held == 1)
    broker.faults.extend(["500"])
    broker.cut_polls()
    await eventually(lambda: told == [SubscriptionResumed, Interrupted])
    pubsub.retry_now()
    await eventually(lambda: told == [SubscriptionResumed, Interrupted, SubscriptionResumed])
    await cancel_all([listening])


async def test_its_delays_begin_anew_then(broker: Any, session: Any, eventually: Any) -> None:
    pubsub = PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", uuid="me", backoff=Backoff(0.01, 60.0, lambda: 1.0))

    async def listen() -> None:
        async for _ in pubsub.events(["news"]):
            pass

    listening = start_task(listen(), name="listen")
    await eventually(lambda: broker.polls_held == 1)
    broker.faults.extend(["500"] * 14)  # the next tries: 10 s after the eleventh failure, 20 s after the twelfth
    broker.cut_polls()
    await eventually(lambda: len(broker.faults) <= 5)
    pubsub.retry_now()
    await eventually(lambda: broker.polls_held == 2)
    await cancel_all([listening])


async def test_a_working_subscription_is_left_alone(broker: Any, pubsub: Any, eventually: Any) -> None:
    async def listen() -> None:
        async for _ in pubsub.events(["news"]):
            pass

    listening = start_task(listen(), name="listen")
    await eventually(lambda: broker.polls_held == 1)
    seen = len(broker.seen)
    pubsub.retry_now()
    await asyncio.sleep(0.05)
    assert len(broker.seen) == seen
    await cancel_all([listening])
