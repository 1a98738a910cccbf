"""Instant messages between phones, over a network that loses, doubles and reorders, and among people who mean harm."""

import asyncio
import os
import random
from dataclasses import replace
from typing import Any

import pytest

from sinchphone.engine.events.events import ClientWarning, MessageDelivered, MessageFailed, MessageReceived, MessageSent
from sinchphone.engine.messages import messenger
from sinchphone.errors import AuthenticationError, ForbiddenError, MessageError, NetworkError, NotFoundError, PlatformError
from sinchphone.protocol.mxp.fragments import parse_fragment, split
from sinchphone.protocol.mxp.instant import write_receipt, write_text
from sinchphone.protocol.mxp.message import Client, Message, Method, encrypt
from sinchphone.tasks import start_task

ID = "1a208f7c-c292-43fb-be26-e2868c764da6"


def frames_of(message: Message, key: bytes, transport_id: str, message_id: str = ID) -> list[str]:
    return split(encrypt(message, key, os.urandom(16)), message_id, "77", transport_id)


async def test_a_message_reaches_both_recipients_and_each_acknowledges_it(world: Any, eventually: Any) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    sent = await alice.send(["bob", "carol"], "grüße 🙂", {"k": "v"})
    await asyncio.wait_for(sent.settled(), 10)
    assert set(sent.delivered) == {"bob", "carol"}
    assert sent.waiting == ()
    await eventually(lambda: len(alice.of(MessageDelivered)) == 2)
    for reader, other in ((bob, "carol"), (carol, "bob")):
        [received] = reader.of(MessageReceived)
        message = received.message
        assert (message.id, message.sender, message.text, message.headers) == (sent.id, "alice", "grüße 🙂", {"k": "v"})
        assert set(message.recipients) == {reader.user, other}
    assert [type(event) for event in alice.events] == [MessageSent, MessageDelivered, MessageDelivered]


async def test_receipts_come_one_by_one(world: Any) -> None:
    alice, _ = world.phone("alice"), world.phone("bob")
    sent = await alice.send(["bob", "carol"], "hi")
    async with asyncio.timeout(10):
        async for recipient in sent.receipts():
            assert recipient == "bob"
            break
    assert sent.waiting == ("carol",)


async def test_two_devices_of_a_recipient_make_one_receipt(world: Any, quiet: Any, eventually: Any) -> None:
    alice, phone, laptop = world.phone("alice"), world.phone("bob", "1"), world.phone("bob", "2")
    sent = await alice.send(["bob"], "hi")
    await eventually(lambda: bool(phone.of(MessageReceived) and laptop.of(MessageReceived) and alice.of(MessageDelivered)))
    await quiet()
    assert alice.of(MessageDelivered) == [MessageDelivered(message_id=sent.id, recipient="bob")]


async def test_my_other_device_sees_what_i_sent(world: Any, eventually: Any) -> None:
    here, there, _ = world.phone("alice", "1"), world.phone("alice", "2"), world.phone("bob")
    sent = await here.send(["bob"], "hi")
    await eventually(lambda: bool(there.of(MessageSent)))
    [copy] = there.of(MessageSent)
    assert copy.elsewhere and copy.message.id == sent.id and copy.message.recipients == ("bob",)
    assert there.of(MessageReceived) == []
    assert [event.elsewhere for event in here.of(MessageSent)] == [False]


@pytest.mark.parametrize("seed", range(12))
async def test_frames_doubled_and_reordered_neither_lose_nor_double_a_message(world: Any, eventually: Any, quiet: Any, seed: int) -> None:
    dice, late = random.Random(seed), []

    def shuffled(channel: str, frame: str) -> list[str]:
        if channel == "t-alice":
            return [frame] * dice.randint(1, 2)
        late.extend([frame] * dice.randint(1, 3))
        return []

    alice, bob = world.phone("alice"), world.phone("bob")
    world.faults = shuffled
    texts = [f"{number} " + "x" * dice.randint(1, 6000) for number in range(4)]
    sent = [await alice.send(["bob"], text) for text in texts]
    dice.shuffle(late)
    for frame in late:
        world.deliver("t-bob", frame)
    await asyncio.wait_for(asyncio.gather(*(one.settled() for one in sent)), 10)
    await quiet()
    assert sorted(event.message.text for event in bob.of(MessageReceived)) == sorted(texts)
    assert len(alice.of(MessageDelivered)) == 4


async def test_a_lost_frame_loses_its_message_only_and_sending_it_again_mends_it(world: Any, eventually: Any) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    lost: list[str] = []

    def lossy(channel: str, frame: str) -> list[str]:
        if channel == "t-bob" and parse_fragment(frame).index == 2:
            lost.append(frame)
            return []
        return [frame]

    world.faults = lossy
    await alice.send(["bob"], "long " + "x" * 6000)
    await alice.send(["bob"], "short")
    await eventually(lambda: bool(bob.of(MessageReceived)))
    assert [event.message.text for event in bob.of(MessageReceived)] == ["short"]
    world.deliver("t-bob", lost[0])
    await eventually(lambda: len(bob.of(MessageReceived)) == 2)


async def test_a_repeated_message_is_neither_shown_nor_acknowledged_again(world: Any, eventually: Any, quiet: Any) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    sent = await alice.send(["bob"], "hi")
    await asyncio.wait_for(sent.settled(), 10)
    receipts = sum(channel == "t-alice" for channel, _ in world.published)
    for channel, frame in list(world.published):
        world.deliver(channel, frame)
    await quiet()
    assert len(bob.of(MessageReceived)) == 1
    assert sum(channel == "t-alice" for channel, _ in world.published) == receipts
    assert len(alice.of(MessageDelivered)) == 1


async def test_a_platform_that_stumbles_doesnt_lose_a_message(world: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.engine.messages.messenger.RETRIES_S", (0.001, 0.001, 0.001))
    alice, bob = world.phone("alice"), world.phone("bob")
    await alice.send(["bob"], "first")
    await eventually(lambda: bool(bob.of(MessageReceived)))
    bob.messenger._transports.clear()
    world.refusals = [NetworkError("away"), PlatformError("busy", status=503)]
    for _, frame in list(world.published):
        world.deliver("t-bob", frame.replace(parse_fragment(frame).session_id, ID))
    await eventually(lambda: len(bob.of(MessageReceived)) == 2)


async def test_a_client_that_the_platform_has_forgotten_registers_again_and_sends(world: Any) -> None:
    alice = world.phone("alice")
    world.refusals = [AuthenticationError("unknown instance")]
    await alice.send(["bob"], "hi")
    assert alice.confirmed == 1


async def test_an_unknown_recipient_is_named_and_nobody_gets_the_message(world: Any) -> None:
    alice = world.phone("alice")
    with pytest.raises(NotFoundError, match="mallory"):
        await alice.send(["bob", "mallory"], "hi")
    assert world.published == []


async def test_a_recipient_whose_devices_take_no_messages_is_refused(world: Any) -> None:
    world.capabilities = (replace(world.capabilities[0], capabilities=("voip",)),)
    with pytest.raises(ForbiddenError, match="bob"):
        await world.phone("alice").send(["bob"], "hi")


async def test_a_message_to_oneself_is_refused(world: Any) -> None:
    alice = world.phone("alice")
    for recipients in (["alice"], ["bob", "alice"]):
        with pytest.raises(MessageError, match="oneself"):
            await alice.send(recipients, "hi")
    assert world.published == []


async def test_a_message_to_nobody_or_to_too_many_is_refused(world: Any) -> None:
    alice = world.phone("alice")
    for recipients in ([], [f"u{number}" for number in range(65)]):
        with pytest.raises(MessageError):
            await alice.send(recipients, "hi")


async def test_a_recipient_named_twice_gets_one_message(world: Any, eventually: Any) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    sent = await alice.send(["bob", "bob"], "hi")
    await eventually(lambda: bool(bob.of(MessageReceived)))
    assert sent.recipients == ("bob",)


async def test_a_platform_without_messages_says_so(world: Any) -> None:
    alice = world.phone("alice")
    alice.registration = replace(alice.registration, profile=replace(alice.registration.profile, transport_channel=None))
    with pytest.raises(ForbiddenError, match="no instant messages"):
        await alice.send(["bob"], "hi")


async def test_who_can_be_reached_gets_the_message_and_the_others_are_reported(world: Any) -> None:
    alice, _ = world.phone("alice"), world.phone("bob")
    world.dead_channels = {"t-carol": PlatformError("full", status=507)}
    sent = await alice.send(["bob", "carol"], "hi")
    await asyncio.wait_for(sent.settled(), 10)
    assert set(sent.delivered) == {"bob"} and set(sent.failed) == {"carol"}
    [failed] = alice.of(MessageFailed)
    assert (failed.message_id, failed.recipient, str(failed.error)) == (sent.id, "carol", "full")


async def test_a_message_that_reaches_nobody_raises(world: Any) -> None:
    alice = world.phone("alice")
    world.dead_channels = {"t-bob": NetworkError("cut")}
    with pytest.raises(NetworkError, match="cut"):
        await alice.send(["bob", "carol"], "hi")
    assert {event.recipient for event in alice.of(MessageFailed)} == {"bob", "carol"}
    assert alice.of(MessageSent) == []


async def test_my_other_devices_do_not_take_the_time_that_the_recipients_have(
    world: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messenger, "OWN_DEVICES_S", 0.05)
    alice, bob = world.phone("alice"), world.phone("bob")
    world.slow_channels = {"t-alice"}
    async with asyncio.timeout(5):
        await alice.send(["bob"], "hi")
    await eventually(lambda: bool(bob.of(MessageReceived)))


async def test_a_platform_that_is_unavailable_is_not_tried_again_for_each_recipient(world: Any) -> None:
    alice, carol = world.phone("alice"), world.phone("carol")
    world.dead_channels = {"t-bob": PlatformError("the disk is full", status=503)}
    with pytest.raises(PlatformError, match="the disk is full"):
        await alice.send(["bob", "carol"], "hi")
    assert carol.of(MessageReceived) == []


async def test_counts_are_reported_at_the_end(world: Any) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    sent = await alice.send(["bob"], "hi")
    await asyncio.wait_for(sent.settled(), 10)
    await alice.messenger.close()
    await bob.messenger.close()
    assert [(counts.sent, counts.received, counts.failed) for counts in world.reports] == [(1, 0, 0), (0, 1, 0)]


async def test_what_is_just_being_reported_is_not_reported_again_at_the_end(
    world: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messenger, "REPORT_S", 0.01)
    world.reads_reports.clear()
    alice = world.phone("alice")
    await alice.send(["carol"], "hi")
    await eventually(lambda: world.reports)
    await alice.send(["bob"], "hi")
    closing = start_task(alice.messenger.close(), name="close")
    await asyncio.sleep(0)
    world.reads_reports.set()
    await closing
    assert sum(counts.sent for counts in world.reports) == 2


# People who mean harm


async def test_a_receipt_from_a_stranger_counts_for_nobody(world: Any, quiet: Any) -> None:
    alice = world.phone("alice")
    sent = await alice.send(["bob"], "hi")
    transport = world.transport(frozenset({"alice", "bob"}))
    for stranger in (Client("mallory", "i-9", "t-mallory"), Client("mallory", "i-9", "t-bob"), Client("alice", "i-9", "t-alice")):
        for frame in frames_of(write_receipt(stranger), transport.key, transport.id, sent.id):
            world.deliver("t-alice", frame)
    await quiet()
    assert sent.waiting == ("bob",)
    assert alice.of(MessageDelivered) == []


async def test_a_receipt_through_another_transport_counts_for_nobody_who_isnt_in_it(world: Any, quiet: Any) -> None:
    alice = world.phone("alice")
    sent = await alice.send(["bob"], "hi")
    other = world.transport(frozenset({"alice", "carol"}))
    forged = write_receipt(Client("bob", "i-9", "t-bob"))
    for frame in frames_of(forged, other.key, other.id, sent.id):
        world.deliver("t-alice", frame)
    await quiet()
    assert sent.waiting == ("bob",)


async def test_a_message_under_another_name_than_the_platform_knows_is_dropped(world: Any, quiet: Any) -> None:
    bob = world.phone("bob")
    transport = world.transport(frozenset({"alice", "bob"}))
    forged = write_text(Client("carol", "i-9", "t-alice"), "give bob the money", {})
    for frame in frames_of(forged, transport.key, transport.id):
        world.deliver("t-bob", frame)
    await quiet()
    assert bob.of(MessageReceived) == []
    assert bob.messenger.undecodable == 1
    assert world.published == []


async def test_a_transport_that_one_is_not_part_of_is_asked_for_once(world: Any, quiet: Any) -> None:
    carol = world.phone("carol")
    transport = world.transport(frozenset({"alice", "bob"}))
    for number in range(50):
        message_id = f"{number:08d}{ID[8:]}"
        for frame in frames_of(write_text(Client("alice", "i", "t-alice"), "x", {}), transport.key, transport.id, message_id):
            world.deliver("t-carol", frame)
    await quiet()
    await quiet()
    assert carol.of(MessageReceived) == []
    assert world.asked == [transport.id]


async def test_garbage_frames_harm_nobody(world: Any, quiet: Any, eventually: Any) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    transport = world.transport(frozenset({"alice", "bob"}))
    garbage = ["", "10", 7, None, f"10 {ID} - 0 1 AAAA {transport.id}", f"10 {ID} - 0 1 ==== {transport.id}", f"10 {ID} 5 3 2 AAAA x"]
    garbage += [f"10 {ID} - 0 1 {os.urandom(300).hex()} {transport.id}" for _ in range(20)]
    garbage += frames_of(write_text(Client("alice", "i", "t-alice"), "x", {}), b"another key 1234", transport.id)
    for frame in garbage:
        world.deliver("t-bob", frame)
    await quiet()
    assert bob.events == []
    await alice.send(["bob"], "still there")
    await eventually(lambda: [event.message.text for event in bob.of(MessageReceived)] == ["still there"])


async def test_a_flood_of_messages_is_bounded_in_memory(world: Any) -> None:
    bob = world.phone("bob")
    transport = world.transport(frozenset({"alice", "bob"}))
    for number in range(3000):
        bob.feed(f"10 {number:08d}{ID[8:]} - 0 1 AAAA {transport.id}")
    assert bob.messenger._inbox.qsize() <= 1024
    assert bob.messenger.undecodable >= 3000 - 1024


async def test_receipts_go_to_the_channel_that_the_platform_names(world: Any, eventually: Any) -> None:
    _, bob = world.phone("alice"), world.phone("bob")
    transport = world.transport(frozenset({"alice", "bob"}))
    forged = write_text(Client("alice", "i-9", "t-carol"), "acknowledge to carol", {})
    for frame in frames_of(forged, transport.key, transport.id):
        world.deliver("t-bob", frame)
    honest = write_text(Client("alice", "i-9", "t-alice"), "x", {})
    for frame in frames_of(honest, transport.key, transport.id, ID.replace("1", "2")):
        world.deliver("t-bob", frame)
    await eventually(lambda: bool(world.published))
    assert {channel for channel, _ in world.published} == {"t-alice"}
    assert len(bob.of(MessageReceived)) == 1


async def test_a_message_of_one_megabyte_from_outside_is_told_once_and_takes_no_memory(world: Any, quiet: Any, eventually: Any) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    transport = world.transport(frozenset({"alice", "bob"}))
    piece = "A" * 4000
    for index in range(330):
        bob.feed(f"10 {ID} 5 {index} 330 {piece} {transport.id}")
    await quiet()
    assert bob.messenger._reassembler.pending_bytes <= 256 * 1024
    (warning,) = bob.events
    assert warning == ClientWarning(message="a message between alice and you was too long to be taken", hint="at most 196 kB can be read")
    await alice.send(["bob"], "still there")
    await eventually(lambda: len(bob.of(MessageReceived)) == 1)


async def test_a_message_with_an_empty_text_is_shown_as_it_is(world: Any, eventually: Any) -> None:
    bob = world.phone("bob")
    transport = world.transport(frozenset({"alice", "bob"}))
    empty = Message(Method.INVITE, Client("alice", "i", "t-alice"), "msg", '{"t":""}')
    for frame in frames_of(empty, transport.key, transport.id):
        world.deliver("t-bob", frame)
    await eventually(lambda: [event.message.text for event in bob.of(MessageReceived)] == [""])


async def test_a_receipt_that_the_network_refuses_is_sent_when_it_is_back(
    world: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinchphone.engine.messages.messenger.RETRIES_S", (0.01,) * 5)
    alice, bob = world.phone("alice"), world.phone("bob")
    world.dead_channels = {"t-alice": NetworkError("cut")}
    sent = await alice.send(["bob"], "hi")
    await eventually(lambda: bool(bob.of(MessageReceived)))
    world.dead_channels = {}
    await asyncio.wait_for(sent.settled(), 10)


async def test_somebody_whom_the_platform_has_forgotten_meanwhile_is_not_found(world: Any) -> None:
    alice = world.phone("alice")
    world.phone("bob")
    await alice.send(["bob"], "one")
    world.users.remove("bob")
    world.dead_channels = dict.fromkeys(("t-alice", "t-bob"), ForbiddenError("Forbidden"))
    with pytest.raises(NotFoundError, match="nobody is called bob"):
        await alice.send(["bob"], "two")
    (failed,) = alice.of(MessageFailed)
    assert isinstance(failed.error, NotFoundError)
