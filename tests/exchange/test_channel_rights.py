"""Forging and eavesdropping: who has learned a channel's name, or has a key that others have too, has no right by that."""

import asyncio
import base64
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sinchphone.exchange.calls.parties import AFTERWARDS_SECONDS, CallParties
from sinchphone.exchange.calls.watch import MAX_OPEN_CALL_SECONDS
from sinchphone.exchange.messages.senders import Senders
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encrypt, parse_fragment, split

ON_BOTH_STORES = True

NOW = 1_795_248_000.0


async def status_of_publish(phone: Any, network: str, channel: str, frame: object, keys: tuple[str, str] | None = None) -> int:
    """A publish of an Ocra phone with its own keys, or with given ones (subscribe, publish)."""
    sub, pub = keys or (phone.keys[f"{network}SubscribeKey"], phone.keys[f"{network}PublishKey"])
    async with phone.session.post(f"{phone.url}/publish/{pub}/{sub}/0/{channel}/0", json=frame) as answer:
        return int(answer.status)


async def status_of_poll(phone: Any, network: str, channels: str, key: str | None = None, token: str = "0") -> int:
    sub = key or phone.keys[f"{network}SubscribeKey"]
    async with phone.session.get(f"{phone.url}/v2/subscribe/{sub}/{channels}/0", params={"tt": token, "uuid": "x"}) as answer:
        return int(answer.status)


async def poll(phone: Any, token: str) -> list[Any]:
    """What the next poll of the signal channel brings within a moment."""
    try:
        async with asyncio.timeout(0.3):
            return [message["d"] for message in (await phone.subscribe("signal", token))["m"]]
    except TimeoutError:
        return []


async def in_a_call(phone: Any) -> tuple[Any, Any, Any, str]:
    """Ada calls bob; mallory is another user who knows all names."""
    ada, bob, mallory = [await phone(name).registered() for name in ("ada", "bob", "mallory")]
    await bob.subscribe("broadcast")
    call_id = uuid.uuid4().hex
    assert (await ada.call("bob", call_id=call_id)).status == 200
    return ada, bob, mallory, call_id


async def test_attack_a_captured_frame_with_flipped_bits_ends_a_strangers_call(phone: Any) -> None:
    ada, bob, mallory, call_id = await in_a_call(phone)
    start = (await bob.subscribe("signal"))["t"]["t"]
    session_key = os.urandom(32)
    leave = Message(Method.LEAVE, Client("ada", ada.instance, ada.profile["signalChannel"]))
    (frame,) = split(encrypt(leave, session_key, os.urandom(16)), call_id, "1")
    for channel in (ada.profile["signalChannel"], bob.profile["signalChannel"]):
        assert await status_of_publish(mallory, "signal", channel, frame) == 403
    assert await poll(bob, start) == []
    assert await status_of_publish(ada, "signal", bob.profile["signalChannel"], frame) == 200
    assert await poll(bob, start) == [frame]
    assert await status_of_publish(bob, "signal", ada.profile["signalChannel"], frame) == 200


async def test_attack_an_end_of_one_call_speaks_in_another(phone: Any) -> None:
    ada, bob, mallory, call_id = await in_a_call(phone)
    await mallory.subscribe("broadcast")
    other = uuid.uuid4().hex
    assert (await mallory.call("bob", call_id=other)).status == 200
    channel = bob.profile["signalChannel"]
    assert await status_of_publish(mallory, "signal", channel, f"10 {other} - 0 1 AAAA") == 200
    assert await status_of_publish(mallory, "signal", channel, f"10 {call_id} - 0 1 AAAA") == 403
    assert await status_of_publish(mallory, "signal", ada.profile["signalChannel"], f"10 {other} - 0 1 AAAA") == 403
    for garbage in ("", "x", [], {"a": 1}, f"11 {call_id} - 0 1 AAAA", f"10 {call_id} - 0 1 AAAA transport"):  # type: ignore[var-annotated]
        assert await status_of_publish(ada, "signal", channel, garbage) == 403


@pytest.mark.parametrize(
    ("network", "name"), [("signal", "signalChannel"), ("broadcast", "broadcastChannel"), ("broadcast", "transportChannel")]
)
async def test_attack_reading_a_strangers_channel(phone: Any, network: str, name: str) -> None:
    _, bob, mallory, _ = await in_a_call(phone)
    channel = bob.profile[name]
    for channels in (channel, f"mine,{channel}", f"{channel},{mallory.profile['signalChannel']}"):
        assert await status_of_poll(mallory, network, channels) == 403
        assert await status_of_poll(mallory, network, channels, token="1") == 403
    assert await status_of_poll(bob, network, channel) == 200
    async with mallory.session.get(f"{bob.url}/subscribe/{mallory.keys[f'{network}SubscribeKey']}/{channel}/0/0") as answer:
        assert answer.status == 403


async def test_attack_the_keys_that_all_guests_share_open_no_channel_of_a_device(phone: Any, exchange: Exchange) -> None:
    ada, bob, _, call_id = await in_a_call(phone)
    application = exchange.directory.application("acme")
    assert application is not None
    shared = application.signal.subscribe_key, application.signal.publish_key
    assert await status_of_poll(bob, "signal", bob.profile["signalChannel"], key=shared[0]) == 403
    assert await status_of_publish(ada, "signal", bob.profile["signalChannel"], f"10 {call_id} - 0 1 AAAA", shared) == 403
    assert await status_of_publish(ada, "signal", "a-room-of-guests", "hello", shared) == 200
    assert await status_of_poll(bob, "signal", "a-room-of-guests", key=shared[0]) == 200


async def test_attack_the_keys_of_a_device_are_nobody_elses(phone: Any) -> None:
    ada, bob, mallory, call_id = await in_a_call(phone)
    own = [phone.keys["signalSubscribeKey"] for phone in (ada, bob, mallory)]
    assert len(set(own)) == 3
    mixed = ada.keys["signalSubscribeKey"], mallory.keys["signalPublishKey"]
    assert await status_of_publish(mallory, "signal", bob.profile["signalChannel"], f"10 {call_id} - 0 1 AAAA", mixed) == 400


async def test_attack_a_forged_invitation(phone: Any) -> None:
    _, bob, mallory, call_id = await in_a_call(phone)
    assert await status_of_publish(mallory, "broadcast", bob.profile["broadcastChannel"], f"10 {call_id} - 0 1 AAAA") == 403
    assert await status_of_publish(bob, "broadcast", bob.profile["broadcastChannel"], f"10 {call_id} - 0 1 AAAA") == 403


async def test_attack_saying_goodbye_for_somebody_else_takes_them_off(phone: Any, exchange: Exchange) -> None:
    _, bob, mallory, _ = await in_a_call(phone)
    for key in (mallory.keys["broadcastSubscribeKey"], exchange.directory.application("acme").broadcast.subscribe_key):  # type: ignore[union-attr]
        url = f"{bob.url}/v2/presence/sub-key/{key}/channel/{bob.profile['broadcastChannel']}/leave"
        async with mallory.session.get(url, params={"uuid": bob.instance}) as answer:
            assert answer.status == 403
    assert (await mallory.call("bob")).status == 200


async def test_a_call_goes_on_after_another_process_has_taken_over(start_exchange: Any, phone: Any, lasting: Any) -> None:
    before = await start_exchange(store=lasting)
    make = lambda name: phone(name, url=before.url)  # noqa: E731
    ada, bob, mallory, call_id = await in_a_call(make)
    await before.close()
    after = await start_exchange(store=lasting)
    ada, bob, mallory = (replace(one, url=after.url) for one in (ada, bob, mallory))
    frame = f"10 {call_id} - 0 1 AAAA"
    assert await status_of_publish(ada, "signal", bob.profile["signalChannel"], frame) == 200
    assert await status_of_publish(bob, "signal", ada.profile["signalChannel"], frame) == 200
    assert await status_of_publish(mallory, "signal", ada.profile["signalChannel"], frame) == 403
    assert (await ada.call("bob", call_id=call_id)).status == 409
    assert (await mallory.call("bob", call_id=call_id)).status == 409  # else she'd be an end of that call


def test_a_former_peer_has_no_say_when_the_call_is_over() -> None:
    parties = CallParties()
    parties.begin("acme", "call-1", {"signal-bob": ["ada-1"], "signal-ada": ["bob-1", "bob-2"]}, NOW)
    assert parties.may_publish("acme", "call-1", "ada-1", "signal-bob", NOW + 3_600)
    assert parties.may_publish("acme", "call-1", "bob-2", "signal-ada", NOW)
    assert not parties.may_publish("globex", "call-1", "ada-1", "signal-bob", NOW)
    assert not parties.may_publish("acme", "call-1", "ada-1", "signal-ada", NOW)
    assert not parties.may_publish("acme", "call-1", "ada-1", "signal-bob", NOW + MAX_OPEN_CALL_SECONDS + 1)
    parties.end("acme", "call-1", NOW + 10)
    assert parties.may_publish("acme", "call-1", "ada-1", "signal-bob", NOW + 10 + AFTERWARDS_SECONDS)  # goodbyes cross
    assert not parties.may_publish("acme", "call-1", "ada-1", "signal-bob", NOW + 11 + AFTERWARDS_SECONDS)


# Instant messages


async def members(legacy: Any, *names: str) -> tuple[list[Any], Any]:
    phones = [await legacy(name).started() for name in names]
    transport = (await phones[0].ask("POST", "/v1/transport", [{"identity": name} for name in names[1:]])).body
    return phones, transport


def frames_of(
    transport: Any, user: str, channel: str, *, text: str = "hello", method: Method = Method.INVITE, frame_characters: int = 1400
) -> list[str]:
    """An instant message that says it's from that user, and wants receipts on that channel."""
    body = json.dumps({"t": text}) if method is Method.INVITE else ""
    message = Message(method, Client(user, "instance:1", channel), BodyType.TEXT, body)
    payload = encrypt(message, base64.b64decode(transport["key"]), os.urandom(16))
    return split(payload, str(uuid.uuid4()), "7", transport["transportId"], frame_characters=frame_characters)


async def statuses(phone: Any, channel: str, frames: Sequence[str]) -> list[int]:
    return [(await phone.publish(channel, frame)).status for frame in frames]


def own_channel(phone: Any) -> str:
    return str(phone.config["rtcProfile"]["transportChannel"])


@pytest.mark.parametrize("characters", [1400, 150])
async def test_attack_a_member_of_a_group_writes_in_the_name_of_another(legacy: Any, characters: int) -> None:
    (ada, bob, mallory), transport = await members(legacy, "ada", "bob", "mallory")
    _, token = await bob.poll()
    forged = frames_of(transport, "ada", own_channel(ada), frame_characters=characters)
    assert (await statuses(mallory, own_channel(bob), forged))[-1] == 403
    honest = frames_of(transport, "ada", own_channel(ada), frame_characters=characters)
    assert set(await statuses(ada, own_channel(bob), honest)) == {200}
    assert (await bob.poll(token))[0] == honest


@pytest.mark.parametrize("method", [Method.INVITE, Method.ACK])
async def test_attack_a_pair_partner_writes_into_my_own_history(legacy: Any, method: Method) -> None:
    (ada, mallory), transport = await members(legacy, "ada", "mallory")
    forged = frames_of(transport, "ada", own_channel(ada), method=method)
    assert await statuses(mallory, own_channel(ada), forged) == [403]
    assert await statuses(ada, own_channel(ada), forged) == [200]  # the copy for her other devices


async def test_attack_a_receipt_in_the_name_of_another(legacy: Any) -> None:
    (ada, _, mallory), transport = await members(legacy, "ada", "bob", "mallory")
    assert await statuses(mallory, own_channel(ada), frames_of(transport, "bob", own_channel(mallory), method=Method.ACK)) == [403]
    assert await statuses(mallory, own_channel(ada), frames_of(transport, "mallory", own_channel(mallory), method=Method.ACK)) == [200]


async def test_attack_a_message_that_has_somebody_else_flooded_with_receipts(legacy: Any) -> None:
    (_, bob, mallory), transport = await members(legacy, "ada", "bob", "mallory")
    victim = own_channel(await legacy("victim").started())
    assert await statuses(mallory, own_channel(bob), frames_of(transport, "mallory", victim)) == [403]


async def test_attack_a_stranger_writes_with_a_transport_that_is_not_theirs(legacy: Any) -> None:
    (_, bob), transport = await members(legacy, "ada", "bob")
    mallory = await legacy("mallory").started()
    assert await statuses(mallory, own_channel(bob), frames_of(transport, "mallory", own_channel(mallory))) == [403]
    assert await statuses(mallory, own_channel(bob), ["10 call - 0 1 AAAA", "hello"]) == [403, 403]


async def test_a_user_whose_name_the_sdk_reads_as_latin_1_is_who_it_is(legacy: Any) -> None:
    (jörg, bob), transport = await members(legacy, "jörg", "bob")
    for name in ("jörg", "jÃ¶rg"):
        assert await statuses(jörg, own_channel(bob), frames_of(transport, name, own_channel(jörg))) == [200]


async def test_a_message_that_never_gets_whole_is_not_delivered(legacy: Any) -> None:
    (ada, bob), transport = await members(legacy, "ada", "bob")
    _, token = await bob.poll()
    assert set(await statuses(ada, own_channel(bob), frames_of(transport, "ada", own_channel(ada), frame_characters=150)[:-1])) == {200}
    whole = frames_of(transport, "ada", own_channel(ada), text="whole")
    assert await statuses(ada, own_channel(bob), whole) == [200]
    assert (await bob.poll(token))[0] == whole


async def test_attack_pushing_the_beginning_of_a_forged_message_out_of_what_is_checked(legacy: Any, exchange: Exchange) -> None:
    """What was forgotten is not passed on: its last frame alone makes no message."""
    (ada, bob, mallory), transport = await members(legacy, "ada", "bob", "mallory")
    _, token = await bob.poll()
    forged = frames_of(transport, "ada", own_channel(ada), frame_characters=150)
    await statuses(mallory, own_channel(bob), forged[:-1])
    for _ in range(70):
        await statuses(mallory, own_channel(bob), frames_of(transport, "mallory", own_channel(mallory), frame_characters=150)[:1])
    await statuses(mallory, own_channel(bob), forged[-1:])
    whole = frames_of(transport, "mallory", own_channel(mallory))
    await statuses(mallory, own_channel(bob), whole)
    assert (await bob.poll(token))[0] == whole


async def test_a_message_that_was_begun_before_a_forged_one_comes_whole(legacy: Any) -> None:
    (ada, bob), transport = await members(legacy, "ada", "bob")
    _, token = await bob.poll()
    begun, another = (frames_of(transport, "ada", own_channel(ada), frame_characters=150) for _ in range(2))
    forged = frames_of(transport, "bob", own_channel(ada))
    assert await statuses(ada, own_channel(bob), [begun[0], *forged, another[0]]) == [200, 403, 200]
    assert set(await statuses(ada, own_channel(bob), begun[1:])) == {200}
    assert (await bob.poll(token))[0] == begun


async def test_a_message_that_can_not_be_put_together_is_refused_and_not_swallowed(legacy: Any) -> None:
    (ada, bob), transport = await members(legacy, "ada", "bob")
    frame = f"10 session 5 600 601 AAAA {transport['transportId']}"
    assert await statuses(ada, own_channel(bob), [frame]) == [400]


def test_what_is_held_of_a_sender_is_as_much_as_is_put_together() -> None:
    senders, device = Senders(), _device()
    for number in range(500):
        frame = f"10 session-{number} 5 0 3 AAAA transport"
        assert senders.take(device, "channel", parse_fragment(frame), frame, b"k" * 16, float(number) / 100) == []
    (held,) = senders._held.values()
    assert len(held.frames) == held.reassembler.pending_messages <= 64


def _device() -> Any:
    class Device:
        instance_id = "instance"

    return Device()
