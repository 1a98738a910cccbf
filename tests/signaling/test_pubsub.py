"""Pub/sub against a broker that cuts connections, restarts, doubles, delays and talks nonsense."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from sinchphone.errors import ForbiddenError, LocalProtocolError, NetworkError, PlatformError
from sinchphone.signaling.pubsub import requests as pubsub_requests
from sinchphone.signaling.pubsub import subscription as pubsub_subscription
from sinchphone.signaling.pubsub.backoff import Backoff
from sinchphone.signaling.pubsub.client import Interrupted, PayloadReceived, PubSub, SubscriptionResumed
from sinchphone.tasks import start_task


@dataclass(frozen=True, slots=True)
class RecordingBackoff(Backoff):
    first_s: float = 0.001
    longest_s: float = 0.02
    delays: list[float] = field(default_factory=list)

    def delay_s(self, attempt: int) -> float:
        delay = super(RecordingBackoff, self).delay_s(attempt)
        self.delays.append(delay)
        return delay


def steady() -> float:
    return 1.0


@pytest.fixture
def pubsub(broker: Any, session: Any) -> Any:
    return PubSub(
        session, origin=broker.origin, secure=False, subscribe_key="sub", publish_key="pub", uuid="me", backoff=Backoff(0.01, 0.05)
    )


class Listener:
    """Collects the events of a subscription in a task."""

    def __init__(self, pubsub: Any, channels: Any = ("news",)) -> None:
        self.events: list[Any] = []
        self.task = start_task(self._listen(pubsub, channels), name="listener")

    async def _listen(self, pubsub: Any, channels: Any) -> None:
        async for event in pubsub.events(channels):
            self.events.append(event)

    @property
    def payloads(self) -> Any:
        return [event.payload for event in self.events if isinstance(event, PayloadReceived)]

    @property
    def states(self) -> Any:
        return [type(event) for event in self.events if not isinstance(event, PayloadReceived)]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def listener(pubsub: Any, broker: Any, eventually: Any) -> Any:
    listening = Listener(pubsub)
    await eventually(lambda: broker.polls_held > 0)
    yield listening
    await listening.stop()


async def test_the_first_event_says_that_the_subscription_stands(listener: Any) -> None:
    assert listener.events == [SubscriptionResumed()]


async def test_messages_arrive_in_order_with_channel_and_timetoken(broker: Any, listener: Any, eventually: Any) -> None:
    tokens = [await broker.post("news", number) for number in range(50)]
    await eventually(lambda: len(listener.payloads) == 50)
    assert listener.events[1:] == [PayloadReceived("news", number, token) for number, token in enumerate(tokens)]


async def test_messages_of_other_channels_are_not_received(broker: Any, listener: Any, eventually: Any) -> None:
    await broker.post("other", "no")
    await broker.post("news", "yes")
    await eventually(lambda: bool(listener.payloads))
    assert listener.payloads == ["yes"]


async def test_nothing_is_lost_or_doubled_when_polls_are_cut(broker: Any, listener: Any, eventually: Any) -> None:
    for number in range(60):
        await broker.post("news", number)
        if number % 10 == 5:
            broker.cut_polls()
        if number % 7 == 0:
            await asyncio.sleep(0.005)
    await eventually(lambda: len(listener.payloads) >= 60)
    assert listener.payloads == list(range(60))


async def test_nothing_is_lost_or_doubled_over_a_restart_on_the_same_port(broker: Any, listener: Any, eventually: Any) -> None:
    await broker.post("news", "before")
    await eventually(lambda: len(listener.payloads) == 1)
    await broker.stop()
    await broker.post("news", "while it was down")
    await eventually(lambda: listener.states[-1] is Interrupted)
    await broker.start()
    await broker.post("news", "after")
    await eventually(lambda: len(listener.payloads) >= 3)
    assert listener.payloads == ["before", "while it was down", "after"]
    assert listener.states == [SubscriptionResumed, Interrupted, SubscriptionResumed]


async def test_resuming_is_told_while_nobody_publishes(broker: Any, listener: Any, eventually: Any) -> None:
    while Interrupted not in listener.states:  # aiohttp repeats a GET by itself where the cut connection was an old one
        held = broker.polls_held
        broker.cut_polls()
        await eventually(lambda held=held: broker.polls_held > held)
    await eventually(lambda: listener.states == [SubscriptionResumed, Interrupted, SubscriptionResumed])


async def test_a_message_that_the_broker_sends_twice_is_received_once(broker: Any, listener: Any, pubsub: Any, eventually: Any) -> None:
    broker.faults.append("double")
    broker.cut_polls()
    await eventually(lambda: not broker.faults)
    await broker.post("news", "once")
    await broker.post("news", "end")
    await eventually(lambda: "end" in listener.payloads)
    assert listener.payloads == ["once", "end"]
    assert pubsub.counters.repeated >= 1


async def test_back_off_grows_while_the_broker_fails_and_begins_anew_after_it_worked(broker: Any, session: Any, eventually: Any) -> None:
    backoff = RecordingBackoff(jitter=steady)
    pubsub = PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", uuid="me", backoff=backoff)
    broker.faults.extend(["500"] * 7)
    listening = Listener(pubsub)
    await eventually(lambda: broker.polls_held == 1)
    assert backoff.delays == [0.001, 0.002, 0.004, 0.008, 0.016, 0.02, 0.02]
    assert listening.states == [Interrupted, SubscriptionResumed]
    await broker.post("news", 1)
    await eventually(lambda: broker.polls_held == 2)
    backoff.delays.clear()
    broker.faults.extend(["500", "500"])  # the poll, and the first look whether it works again
    broker.cut_polls()
    await eventually(lambda: broker.polls_held == 3)
    assert backoff.delays == [0.001, 0.002]
    await listening.stop()


def test_jitter_takes_up_to_half_of_a_delay() -> None:
    assert Backoff(1, 8, lambda: 0.0).delay_s(2) == 2.0
    assert Backoff(1, 8, lambda: 1.0).delay_s(2) == 4.0
    assert Backoff(1, 8, lambda: 1.0).delay_s(10_000) == 8.0


NONSENSE = [
    b"<html>log in to the Wi-Fi</html>",
    b"",
    b"[]",
    b"{}",
    b'{"t":{"t":"abc"},"m":[]}',
    b'{"t":{"t":"17000000000000000"},"m":{}}',
    b"\xff\xfe",
    b"[" * 100_000,
    b"9" * 10_000,
]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=range(len(NONSENSE)))
async def test_an_answer_that_is_nonsense_is_survived_without_a_loss(broker: Any, listener: Any, eventually: Any, nonsense: Any) -> None:
    broker.faults.append(nonsense)
    broker.cut_polls()
    await eventually(lambda: not broker.faults)
    await broker.post("news", "still here")
    await eventually(lambda: bool(listener.payloads))
    assert listener.payloads == ["still here"]


async def test_nonsense_among_the_messages_is_ignored_and_counted(broker: Any, listener: Any, pubsub: Any, eventually: Any) -> None:
    good = b'{"c":"news","d":"good","p":{"t":"17000000000000005"}}'
    odd = [
        b"7",
        b"null",
        b'{"c":7,"d":1}',
        b'{"c":"news"}',
        b'{"c":"news","d":1,"p":{"t":"x"}}',
        b'{"c":"news","d":1,"e":1}',
        b'{"c":"a,b","d":1}',
    ]
    broker.faults.append(b'{"t":{"t":"17000000000000005","r":1},"m":[' + b",".join([*odd, good]) + b"]}")
    broker.cut_polls()
    await eventually(lambda: bool(listener.payloads))
    assert listener.payloads == ["good"]
    assert pubsub.counters.ignored == len(odd)


@pytest.mark.parametrize("poison", [b"9" * 5_000, b"[" * 100_000, b'"' + b"x" * 10_000_000 + b'"'], ids=["number", "depth", "size"])
async def test_attack_a_message_that_cannot_be_read_does_not_end_the_subscription(
    broker: Any, listener: Any, pubsub: Any, eventually: Any, poison: Any
) -> None:
    answer = b'{"t":{"t":"16999999999999999","r":1},"m":[{"c":"news","d":' + poison + b"}]}"
    broker.faults.extend([answer, answer])
    broker.cut_polls()
    await eventually(lambda: not broker.faults)
    await broker.post("news", "alive")
    await eventually(lambda: bool(listener.payloads))
    assert listener.payloads == ["alive"]
    assert pubsub.counters.ignored == 1


async def test_an_answer_of_ten_megabytes_is_not_read_to_its_end(broker: Any, listener: Any, eventually: Any) -> None:
    broker.faults.append(b" " * 10_000_000)
    broker.cut_polls()
    await eventually(lambda: any("longer than" in event.reason for event in listener.events if isinstance(event, Interrupted)))


async def test_a_broker_that_answers_at_once_without_news_is_not_hammered(broker: Any, session: Any, eventually: Any) -> None:
    backoff = RecordingBackoff(jitter=steady)
    pubsub = PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", uuid="me", backoff=backoff)
    broker.faults.extend(["hollow"] * 8)
    listening = Listener(pubsub)
    await eventually(lambda: broker.polls_held == 1)
    assert backoff.delays == sorted(backoff.delays)
    assert len(backoff.delays) >= 5
    assert listening.states == [SubscriptionResumed]
    await listening.stop()


async def test_a_poll_that_was_held_long_and_cut_is_repeated_without_a_word(
    broker: Any, listener: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub_subscription, "QUIET_RETRY_S", 0.0)
    broker.cut_polls()
    await eventually(lambda: broker.polls_held == 2)
    assert listener.states == [SubscriptionResumed]


async def test_heartbeats_are_sent_while_a_poll_is_held(broker: Any, session: Any, eventually: Any) -> None:
    pubsub = PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", uuid="me", heartbeat_s=0.01)
    listening = Listener(pubsub, ["news", "more"])
    await eventually(lambda: pubsub.heartbeats >= 3)
    path = next(path for kind, path in broker.seen if kind == "heartbeat")
    assert path.startswith("/v2/presence/sub-key/sub/channel/news,more/heartbeat?heartbeat=150&uuid=me")
    assert broker.polls_held == 1
    await listening.stop()


async def test_heartbeats_that_do_not_get_through_end_the_poll(broker: Any, session: Any, eventually: Any) -> None:
    pubsub = PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", uuid="me", backoff=Backoff(0.01), heartbeat_s=0.01)
    broker.stall_heartbeats = True
    listening = Listener(pubsub)
    await eventually(lambda: listening.states[:2] == [SubscriptionResumed, Interrupted])
    assert "heartbeats" in listening.events[1].reason
    await listening.stop()


async def test_a_poll_ends_at_its_timeout(broker: Any, session: Any, eventually: Any) -> None:
    pubsub = PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", uuid="me", poll_timeout_s=0.05)
    listening = Listener(pubsub)
    await eventually(lambda: Interrupted in listening.states)
    assert "no answer" in next(event.reason for event in listening.events if isinstance(event, Interrupted))
    await listening.stop()


def pubsub_tasks() -> Any:
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("pub/sub")]


async def test_no_task_is_left_after_the_listener_was_cancelled(broker: Any, listener: Any) -> None:
    assert len(pubsub_tasks()) == 2
    await listener.stop()
    assert listener.task.cancelled()
    assert pubsub_tasks() == []


async def test_no_task_is_left_after_the_iteration_was_left(broker: Any, pubsub: Any) -> None:
    async for event in pubsub.events(["news"]):
        assert event == SubscriptionResumed()
        break
    assert pubsub_tasks() == []


async def test_no_task_is_left_when_cancelled_while_waiting_for_a_broker_that_is_down(broker: Any, pubsub: Any, eventually: Any) -> None:
    await broker.stop()
    listening = Listener(pubsub)
    await eventually(lambda: listening.states == [Interrupted])
    await listening.stop()
    assert listening.task.cancelled()
    assert pubsub_tasks() == []


async def test_a_broker_that_is_not_there_is_told_once_and_then_waited_for(broker: Any, pubsub: Any, eventually: Any) -> None:
    await broker.stop()
    listening = Listener(pubsub)
    await eventually(lambda: listening.states == [Interrupted])
    await asyncio.sleep(0.1)
    assert listening.states == [Interrupted]
    assert "nobody answers" in listening.events[0].reason
    await broker.start()
    await eventually(lambda: listening.states == [Interrupted, SubscriptionResumed])
    await listening.stop()


async def test_a_broker_that_refuses_from_the_first_ends_the_iteration(broker: Any, pubsub: Any) -> None:
    broker.faults.append("403")
    with pytest.raises(ForbiddenError, match="Forbidden"):
        await anext(pubsub.events(["news"]))


async def test_a_broker_that_refuses_later_is_an_interruption(broker: Any, listener: Any, eventually: Any) -> None:
    broker.faults.extend(["403", "403"])
    broker.cut_polls()
    await eventually(lambda: not broker.faults)
    await broker.post("news", "again")
    await eventually(lambda: bool(listener.payloads))
    assert listener.states == [SubscriptionResumed, Interrupted, SubscriptionResumed]


async def test_two_subscribers_each_get_every_message(broker: Any, session: Any, pubsub: Any, eventually: Any) -> None:
    listeners = [Listener(pubsub), Listener(pubsub)]
    await eventually(lambda: broker.polls_held == 2)
    await pubsub.publish("news", "hello")
    await eventually(lambda: all(listener.payloads == ["hello"] for listener in listeners))
    for listener in listeners:
        await listener.stop()


@pytest.mark.parametrize("channels", [[], ["a,b"], [""], ["a\n"]])
async def test_channels_that_cannot_be_named_in_a_path_are_refused(pubsub: Any, channels: Any) -> None:
    with pytest.raises(LocalProtocolError):
        await anext(pubsub.events(channels))


async def test_published_messages_arrive_unchanged(broker: Any, listener: Any, pubsub: Any, eventually: Any) -> None:
    payloads = ["10 a - 0 1 ab+/=", "ä/?#%&;,", {"a": [1, None, True]}, "", "\u0000\n", "😀", ".."]
    for payload in payloads:
        assert await pubsub.publish("news", payload) == broker.history[-1]["p"]["t"]
    await eventually(lambda: len(listener.payloads) == len(payloads))
    assert listener.payloads == payloads


async def test_a_channel_is_percent_encoded(broker: Any, pubsub: Any) -> None:
    await pubsub.publish("a/b?c#d %", "x")
    assert broker.history[-1]["c"] == "a/b?c#d %"


async def test_publishes_go_out_in_the_order_of_the_calls(broker: Any, pubsub: Any) -> None:
    await asyncio.gather(*(pubsub.publish("news", number) for number in range(30)))
    assert [message["d"] for message in broker.history] == list(range(30))


async def test_publishing_tries_again_through_an_outage_and_keeps_the_order(broker: Any, pubsub: Any) -> None:
    await broker.stop()
    publishing = asyncio.gather(*(pubsub.publish("news", number) for number in range(5)))
    await asyncio.sleep(0.05)
    await broker.start()
    broker.publish_faults.extend(["503", "cut", "429", "cut", "cut"])
    await publishing
    assert [message["d"] for message in broker.history] == list(range(5))
    assert pubsub.counters.published == 5
    assert pubsub.counters.publish_retries >= 3


async def test_publishing_gives_up_at_its_deadline(broker: Any, pubsub: Any) -> None:
    await broker.stop()
    with pytest.raises(NetworkError, match="nobody answers"):
        await pubsub.publish("news", 1, deadline_s=0.1)


async def test_a_broker_that_only_fails_is_named_at_the_deadline(broker: Any, pubsub: Any) -> None:
    broker.publish_faults.extend(["500"] * 500)
    with pytest.raises(PlatformError, match="can't publish: later") as caught:
        await pubsub.publish("news", 1, deadline_s=0.1)
    assert caught.value.status == 500


async def test_a_publish_that_waits_behind_another_keeps_its_own_deadline(broker: Any, pubsub: Any) -> None:
    await broker.stop()
    first = start_task(pubsub.publish("news", 1, deadline_s=5), name="publish")
    await asyncio.sleep(0)
    with pytest.raises(NetworkError, match="earlier message"):
        await pubsub.publish("news", 2, deadline_s=0.05)
    await broker.start()
    await first
    assert [message["d"] for message in broker.history] == [1]


async def test_a_cancelled_publish_lets_the_next_one_go(broker: Any, pubsub: Any) -> None:
    await broker.stop()
    first = start_task(pubsub.publish("news", 1), name="publish")
    await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await broker.start()
    await pubsub.publish("news", 2)
    assert [message["d"] for message in broker.history] == [2]


async def test_a_long_message_is_posted_and_a_short_one_is_not(broker: Any, pubsub: Any) -> None:
    await pubsub.publish("news", "x" * 1000)
    await pubsub.publish("news", "x" * 20_000)
    assert [kind for kind, _ in broker.seen] == ["publish GET", "publish POST"]
    assert [len(message["d"]) for message in broker.history] == [1000, 20_000]


async def test_a_message_that_is_too_long_for_the_broker_is_refused_at_once_and_says_so(broker: Any, pubsub: Any) -> None:
    with pytest.raises(PlatformError, match=r"too long.*Message Too Large"):
        await pubsub.publish("news", "x" * 40_000)
    assert pubsub.counters.publish_retries == 0


async def test_a_refused_publish_is_not_tried_again(broker: Any, pubsub: Any) -> None:
    broker.publish_faults.append("403")
    with pytest.raises(ForbiddenError, match="later"):
        await pubsub.publish("news", 1)
    assert broker.history == []


async def test_a_network_without_a_publish_key_is_only_for_receiving(broker: Any, session: Any) -> None:
    pubsub = PubSub(session, origin=broker.origin, secure=False, subscribe_key="sub", uuid="me")
    with pytest.raises(LocalProtocolError):
        await pubsub.publish("news", 1)


async def test_leaving_is_told_to_the_broker(broker: Any, pubsub: Any) -> None:
    await pubsub.leave(["news", "more"])
    assert broker.seen[0][1].startswith("/v2/presence/sub-key/sub/channel/news,more/leave?uuid=me")


async def test_leaving_a_broker_that_is_down_is_no_error_and_brief(broker: Any, pubsub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub_requests, "LEAVE_TIMEOUT_S", 0.2)
    await broker.stop()
    await pubsub.leave(["news"])


async def test_the_brokers_time_can_be_asked(broker: Any, pubsub: Any) -> None:
    assert await pubsub.time() == 17_000_000_000_000_000


async def test_asking_a_broker_that_is_down_for_the_time_is_a_network_error(broker: Any, pubsub: Any) -> None:
    await broker.stop()
    with pytest.raises(NetworkError, match=r"nobody answers at 127\.0\.0\.1"):
        await pubsub.time()
