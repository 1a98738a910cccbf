"""One call's conversation: whatever the network does to the fragments, each message comes once and none is made up."""

import asyncio
import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import ForbiddenError, LocalProtocolError, NetworkError, PlatformError
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encrypt, parse_fragment, split
from sinchphone.signaling import channel as channel_module
from sinchphone.signaling.channel import MxpChannel
from sinchphone.tasks import start_task

KEY = bytes(range(16))
ALICE = Client("alice", "i-1", "s-1")


def channel(publish: Any = None, session: str = "call-1", seed: int = 1) -> Any:
    async def nowhere(*_: Any) -> None:
        pass

    return MxpChannel(session, publish or nowhere, now=lambda: 0.0, randbytes=random.Random(seed).randbytes)


def message(number: Any, size: int = 10) -> Any:
    return Message(Method.PEER_EVENT, ALICE, BodyType.SDP, f"{number}:" + "x" * size, {"to": "i-2"})


def frames(sent: Any, *, key: Any = KEY, session: str = "call-1", seed: int = 0) -> Any:
    source = random.Random(f"{sent.body} {seed}")
    return [parse_fragment(frame) for frame in split(encrypt(sent, key, source.randbytes(16)), session, str(source.randrange(10**9)))]


async def drain(of: Any) -> Any:
    messages = []
    while True:
        try:
            async with asyncio.timeout(0):
                messages.append(await of.receive())
        except TimeoutError:
            return messages


async def test_messages_come_in_the_order_of_their_last_fragments() -> None:
    mine = channel()
    mine.configure(KEY)
    long, short = frames(message(1, 5000)), frames(message(2))
    for fragment in [*long[:-1], *short, long[-1]]:
        mine.feed(fragment)
    assert await drain(mine) == [message(2), message(1, 5000)]


async def test_what_comes_before_the_key_is_read_when_the_key_is_known() -> None:
    mine = channel()
    for number in range(3):
        for fragment in frames(message(number)):
            mine.feed(fragment)
    assert await drain(mine) == []
    mine.configure(KEY)
    assert await drain(mine) == [message(number) for number in range(3)]


@given(st.data())
def test_any_order_doubling_and_any_moment_of_the_key_give_each_message_once(data: Any) -> None:
    sent = [message(number, size) for number, size in enumerate(data.draw(st.lists(st.sampled_from([0, 10, 1500, 6000]), max_size=5)))]
    fragments = list(itertools.chain.from_iterable(frames(one) for one in sent))
    again = data.draw(st.lists(st.sampled_from(fragments), max_size=10)) if fragments else []
    shuffled = data.draw(st.permutations(fragments + again))
    moment = data.draw(st.integers(0, len(shuffled)))

    async def run() -> Any:
        mine = channel()
        for index, fragment in enumerate(shuffled):
            if index == moment:
                mine.configure(KEY)
            mine.feed(fragment)
        mine.configure(KEY)
        return await drain(mine)

    assert sorted(one.body for one in asyncio.run(run())) == sorted(one.body for one in sent)


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_message_that_is_cut_short_is_not_received(kept: Any) -> None:
    async def run() -> Any:
        mine = channel()
        mine.configure(KEY)
        whole = frames(message(1, 3000))
        assert len(whole) == 4
        for fragment, keep in zip(whole, kept, strict=True):
            if keep:
                mine.feed(fragment)
        return await drain(mine)

    assert asyncio.run(run()) == ([message(1, 3000)] if all(kept) else [])


async def test_equal_messages_that_were_sent_twice_are_two_messages() -> None:
    mine = channel()
    mine.configure(KEY)
    for seed in (1, 2):
        for fragment in frames(message(1), seed=seed):
            mine.feed(fragment)
    assert await drain(mine) == [message(1), message(1)]


async def test_fragments_of_other_sessions_and_instant_messages_are_ignored() -> None:
    mine = channel()
    mine.configure(KEY)
    for fragment in frames(message(1), session="call-2"):
        mine.feed(fragment)
    mine.feed(parse_fragment(split("AAAA", "call-1", "1", "transport")[0]))
    assert await drain(mine) == []
    assert mine.counters.foreign == 2


async def test_attack_what_is_encrypted_with_another_key_is_counted_and_ignored() -> None:
    mine = channel()
    mine.configure(KEY)
    for number in range(20):
        for fragment in frames(message(number), key=b"z" * 16):
            mine.feed(fragment)
    mine.feed(parse_fragment("10 call-1 - 0 1 AAAA"))
    assert await drain(mine) == []
    assert mine.counters.unreadable == 21


async def test_attack_messages_without_a_key_fill_only_so_much_memory() -> None:
    mine = channel()
    for number in range(channel_module.MAX_HELD_MESSAGES + 10):
        for fragment in frames(message(number)):
            mine.feed(fragment)
    assert mine.counters.dropped == 10
    mine.configure(KEY)
    assert len(await drain(mine)) == channel_module.MAX_HELD_MESSAGES


async def test_attack_large_messages_without_a_key_fill_only_so_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "MAX_HELD_BYTES", 20_000)
    mine = channel()
    for number in range(10):
        for fragment in frames(message(number, 5000)):
            mine.feed(fragment)
    mine.configure(KEY)
    assert len(await drain(mine)) == 2
    assert mine.counters.dropped == 8


async def test_attack_messages_that_nobody_receives_fill_only_so_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "MAX_WAITING_MESSAGES", 5)
    mine = channel()
    mine.configure(KEY)
    for number in range(9):
        for fragment in frames(message(number)):
            mine.feed(fragment)
    assert len(await drain(mine)) == 5
    assert mine.counters.dropped == 4


class Network:
    def __init__(self) -> None:
        self.published: list[Any] = []
        self.errors: dict[Any, Any] = {}

    async def __call__(self, to: Any, frame: Any) -> None:
        await asyncio.sleep(0)
        if to in self.errors:
            raise self.errors[to]
        self.published.append((to, frame))

    def messages(self, to: Any) -> Any:
        mine = MxpChannel("call-1", self, now=lambda: 0.0, randbytes=random.Random(9).randbytes)
        mine.configure(KEY)
        for channel_name, frame in self.published:
            if channel_name == to:
                mine.feed(parse_fragment(frame))
        return drain(mine)


async def test_a_message_is_encrypted_once_and_goes_to_every_channel() -> None:
    network = Network()
    mine = channel(network)
    mine.configure(KEY)
    await mine.send(message(1, 4000), ["a", "b"])
    to_a, to_b = ([frame for to, frame in network.published if to == name] for name in "ab")
    assert to_a == to_b
    assert len(to_a) > 2
    assert await network.messages("b") == [message(1, 4000)]


async def test_two_messages_have_different_ivs() -> None:
    network = Network()
    mine = channel(network)
    mine.configure(KEY)
    await mine.send(message(1), ["a"])
    await mine.send(message(1), ["a"])
    assert network.published[0] != network.published[1]
    assert await network.messages("a") == [message(1), message(1)]


async def test_what_is_sent_before_the_key_waits_for_it_and_keeps_its_order() -> None:
    network = Network()
    mine = channel(network)
    sending = [start_task(mine.send(message(number, 2000), ["a"]), name="send") for number in range(4)]
    await asyncio.sleep(0.01)
    assert network.published == []
    mine.configure(KEY)
    await asyncio.gather(*sending)
    assert await network.messages("a") == [message(number, 2000) for number in range(4)]
    tags = [parse_fragment(frame).tag for _, frame in network.published]
    assert len(list(itertools.groupby(tags))) == 4


async def test_a_cancelled_send_does_not_hold_up_the_next_one() -> None:
    network = Network()
    mine = channel(network)
    first = start_task(mine.send(message(1), ["a"]), name="send")
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    mine.configure(KEY)
    await mine.send(message(2), ["a"])
    assert await network.messages("a") == [message(2)]


async def test_a_channel_that_refuses_does_not_keep_the_message_from_the_others() -> None:
    network = Network()
    network.errors = {"a": ForbiddenError("no"), "c": PlatformError("no either")}
    mine = channel(network)
    mine.configure(KEY)
    with pytest.raises(ForbiddenError):
        await mine.send(message(1), ["a", "b", "c"])
    assert await network.messages("b") == [message(1)]
    assert mine.counters.sent == 0


async def test_a_network_that_is_down_ends_sending_at_once() -> None:
    network = Network()
    network.errors = {"a": NetworkError("down")}
    mine = channel(network)
    mine.configure(KEY)
    with pytest.raises(NetworkError):
        await mine.send(message(1), ["a", "b"])
    assert network.published == []


async def test_what_one_side_sends_the_other_receives() -> None:
    sides: list[Any] = []

    async def across(_: Any, frame: Any) -> None:
        sides[1].feed(parse_fragment(frame))

    sides.extend([channel(across), channel(seed=2)])
    for side in sides:
        side.configure(KEY)
    await sides[0].send(message(1, 9000), ["s-2"])
    assert await sides[1].receive() == message(1, 9000)


async def test_a_key_that_is_none_or_another_one_than_before_is_refused() -> None:
    mine = channel()
    with pytest.raises(LocalProtocolError):
        mine.configure(b"short")
    mine.configure(KEY)
    mine.configure(KEY)
    with pytest.raises(LocalProtocolError):
        mine.configure(b"z" * 16)


async def test_a_message_is_not_lost_when_receiving_is_cancelled() -> None:
    mine = channel()
    mine.configure(KEY)
    receiving = start_task(mine.receive(), name="receive")
    await asyncio.sleep(0)
    receiving.cancel()
    for fragment in frames(message(1)):
        mine.feed(fragment)
    await asyncio.gather(receiving, return_exceptions=True)
    assert await drain(mine) == [message(1)]
