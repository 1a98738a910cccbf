"""The official SDK (sinch-rtc 1.4.12) as a guest: it starts, writes, calls and is called, by its own kind and by sinchphone."""

import asyncio
import json
from typing import Any

import pytest

from sinchphone.engine.events.events import IncomingCall, MessageDelivered, MessageReceived
from sinchphone.protocol.call.states import Cause, State

pytestmark = pytest.mark.timeout(180)

ON_BOTH_STORES = (  # what the SDK leaves with the exchange: users, messages, calls that ring, are taken, end
    "test_the_sdk_makes_a_user_and_starts_again_with_the_password",
    "test_a_message_of_several_frames_passes_both_ways",
    "test_a_message_waits_for_an_sdk_user_who_is_away",
    "test_the_sdk_hangs_up_on_the_phone_that_called",
    "test_a_phone_cancels_a_call_that_rings_on_the_sdk",
)


async def test_the_sdk_starts_with_a_ticket_and_talks_to_nobody_but_us(town: Any) -> None:
    sdk = await town.sdk_user("alice")
    assert (await sdk.told("refused"))["host"].endswith(".pubnub.com")  # what the package asks as it loads never leaves
    assert sdk.tells_not("problem")


async def test_the_sdk_makes_a_user_and_starts_again_with_the_password(town: Any) -> None:
    sdk = await town.sdk()
    sdk.do("startNew", user={"username": "carol", "password": "not-a-secret"})
    await sdk.told("started", user="carol")
    again = await town.sdk()
    again.do("start", credentials={"username": "carol", "password": "not-a-secret"})
    await again.told("started", user="carol")


async def test_the_sdk_is_told_that_a_password_is_wrong(town: Any) -> None:
    sdk = await town.sdk()
    sdk.do("start", credentials={"username": "carol", "password": "guessed"})
    assert "wrong user or password" in (await sdk.told("failed"))["text"]


@pytest.mark.parametrize("api", ["ocra", "papi"])
async def test_a_message_from_the_sdk_reaches_a_phone_and_the_receipt_comes_back(town: Any, steps: Any, api: str) -> None:
    phone, sdk = await town.phone("bob", api), await town.sdk_user("alice")
    sdk.do("send", to=["bob"], text="grüße, Bob", headers='{"kind":"test"}')
    message = (await steps.event(phone, MessageReceived)).message
    assert (message.sender, message.text, message.headers) == ("alice", "grüße, Bob", {"kind": "test"})
    assert (await sdk.told("receipt"))["recipient"] == "bob"
    await sdk.told("sent")


@pytest.mark.parametrize("api", ["ocra", "papi"])
async def test_a_message_from_a_phone_reaches_the_sdk_and_the_receipt_comes_back(town: Any, steps: Any, api: str) -> None:
    phone, sdk = await town.phone("bob", api), await town.sdk_user("alice")
    sent = await phone.send_message("alice", "hello", headers={"kind": "test"})
    told = await sdk.told("message", own=False)
    assert (told["sender"], told["text"], told["id"]) == ("bob", "hello", sent.id)
    assert json.loads(told["headers"]) == {"kind": "test"}
    assert (await steps.event(phone, MessageDelivered)).recipient == "alice"


async def test_a_message_of_several_frames_passes_both_ways(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    text = "Seven swans – " * 700
    sdk.do("send", to=["bob"], text=text)
    assert (await steps.event(phone, MessageReceived)).message.text == text
    await phone.send_message("alice", text)
    assert (await sdk.told("message", sender="bob"))["text"] == text


async def test_a_message_to_two_reaches_a_phone_and_another_sdk(town: Any, steps: Any) -> None:
    phone, other, sdk = await town.phone("bob"), await town.sdk_user("carol"), await town.sdk_user("alice")
    sdk.do("send", to=["bob", "carol"], text="both of you")
    assert (await steps.event(phone, MessageReceived)).message.text == "both of you"
    assert (await other.told("message"))["text"] == "both of you"
    assert {(await sdk.told("receipt"))["recipient"], (await sdk.told("receipt"))["recipient"]} == {"bob", "carol"}


async def test_a_phone_writes_to_two_sdk_users_and_hears_of_both(town: Any) -> None:
    phone, carol, alice = await town.phone("bob"), await town.sdk_user("carol"), await town.sdk_user("alice")
    sent = await phone.send_message(["alice", "carol"], "both of you")
    assert (await alice.told("message"))["text"] == (await carol.told("message"))["text"] == "both of you"
    async with asyncio.timeout(20):
        await sent.settled()
    assert set(sent.delivered) == {"alice", "carol"}


async def test_both_devices_of_a_user_get_a_message_and_the_sender_hears_of_it_once(town: Any) -> None:
    phone, first, second = await town.phone("bob"), await town.sdk_user("alice"), await town.sdk_user("alice")
    sent = await phone.send_message("alice", "to all your devices")
    await first.told("message")
    await second.told("message")
    async with asyncio.timeout(20):
        await sent.settled()
    assert list(sent.delivered) == ["alice"]


async def test_a_message_waits_for_an_sdk_user_who_is_away(town: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("terminate")
    await sdk.told("terminated")
    await sdk.close()
    sent = await phone.send_message("alice", "when you are back")
    back = await town.sdk_user("alice")
    assert (await back.told("message"))["text"] == "when you are back"
    async with asyncio.timeout(20):
        await sent.settled()


@pytest.mark.parametrize("api", ["ocra", "papi"])
async def test_the_sdk_calls_a_phone_and_both_hear_each_other(town: Any, steps: Any, api: str) -> None:
    phone, sdk = await town.phone("bob", api), await town.sdk_user("alice")
    ear, sound = town.sound(440.0)
    phone._calls._make_sound = lambda: sound
    sdk.do("tone", hz=1000)
    sdk.do("callUser", to="bob", headers={"topic": "lunch"})
    call = (await steps.event(phone, IncomingCall)).call
    assert (call.peer, call.headers) == ("alice", {"topic": "lunch"})
    await sdk.told("progressing", call=call.id)
    await call.answer()
    await sdk.told("established", call=call.id)
    await steps.reach(call, State.ESTABLISHED)
    await sdk.hears(call.id, 440)
    await ear.hears(1000.0)
    sdk.do("hangUp", call=call.id)
    assert (await steps.end_of(call)).cause is Cause.HUNG_UP
    await sdk.ends("HUNG_UP", call=call.id)


@pytest.mark.parametrize("api", ["ocra", "papi"])
async def test_a_phone_calls_the_sdk_and_both_hear_each_other(town: Any, steps: Any, api: str) -> None:
    phone, sdk = await town.phone("bob", api), await town.sdk_user("alice")
    ear, sound = town.sound(440.0)
    sdk.do("tone", hz=1000)
    call = await phone.call_user("alice", headers={"topic": "lunch"}, sound=sound)
    told = await sdk.told("incoming")
    assert (told["from"], told["headers"]) == ("bob", {"topic": "lunch"})
    await steps.reach(call, State.RINGING)
    sdk.do("answer", call=told["call"])
    await sdk.told("established")
    await steps.reach(call, State.ESTABLISHED)
    await sdk.hears(told["call"], 440)
    await ear.hears(1000.0)
    await call.hang_up()
    await sdk.ends("HUNG_UP")
    assert (await steps.end_of(call)).cause is Cause.HUNG_UP


async def test_a_phone_hangs_up_on_the_sdk_that_called(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    call = (await steps.event(phone, IncomingCall)).call
    await call.answer()
    await sdk.told("established")
    await call.hang_up()
    await sdk.ends("HUNG_UP")


async def test_the_sdk_hangs_up_on_the_phone_that_called(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    call = await phone.call_user("alice")
    incoming = (await sdk.told("incoming"))["call"]
    await steps.reach(call, State.RINGING)
    sdk.do("answer", call=incoming)
    await sdk.told("established")
    await steps.reach(call, State.ESTABLISHED)
    sdk.do("hangUp", call=incoming)
    assert (await steps.end_of(call)).cause is Cause.HUNG_UP


async def test_the_sdk_hangs_up_in_the_moment_that_it_has_answered(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    call = await phone.call_user("alice")
    incoming = (await sdk.told("incoming"))["call"]
    await steps.reach(call, State.RINGING)
    sdk.do("answer", call=incoming)
    sdk.do("hangUp", call=incoming)
    assert (await steps.end_of(call)).cause in (Cause.HUNG_UP, Cause.DENIED)
    await sdk.ends("DENIED")


async def test_the_sdk_cancels_a_call_that_rings_on_a_phone(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    call = (await steps.event(phone, IncomingCall)).call
    await sdk.told("progressing")
    sdk.do("hangUp", call=call.id)
    assert (await steps.end_of(call)).cause is Cause.CANCELED
    await sdk.ends("CANCELED")


async def test_a_phone_cancels_a_call_that_rings_on_the_sdk(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    call = await phone.call_user("alice")
    await sdk.told("incoming")
    await steps.reach(call, State.RINGING)
    await call.hang_up()
    await sdk.ends("CANCELED")


async def test_a_phone_cancels_a_call_before_the_sdk_has_taken_notice(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    call = await phone.call_user("alice")
    await sdk.told("incoming")  # it has not subscribed its signal channel yet, or not acknowledged at least
    await call.hang_up()
    await sdk.ends("CANCELED")


async def test_a_phone_declines_the_sdk(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    await (await steps.event(phone, IncomingCall)).call.decline()
    await sdk.ends("DENIED")


async def test_the_sdk_declines_a_phone(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    call = await phone.call_user("alice")
    incoming = (await sdk.told("incoming"))["call"]
    await steps.reach(call, State.RINGING)
    sdk.do("hangUp", call=incoming)
    assert (await steps.end_of(call)).cause is Cause.DENIED


async def test_a_phone_is_busy_for_the_sdk(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    await (await steps.event(phone, IncomingCall)).call.decline(busy=True)
    await sdk.ends("DENIED")


async def test_the_sdk_is_busy_while_it_talks(town: Any, steps: Any) -> None:
    first, second, sdk = await town.phone("bob"), await town.phone("carol"), await town.sdk_user("alice")
    call = await first.call_user("alice")
    incoming = (await sdk.told("incoming"))["call"]
    sdk.do("answer", call=incoming)
    await steps.reach(call, State.ESTABLISHED)
    assert (await steps.end_of(await second.call_user("alice"))).cause is Cause.DENIED
    assert call.state is State.ESTABLISHED


async def test_the_sdk_gives_up_where_nobody_takes_notice(town: Any) -> None:
    sdk, silent = await town.sdk_user("alice", progressTimeout=1_000), await town.sdk_user("bob")
    await silent.close()  # reachable for some seconds more
    sdk.do("callUser", to="bob")
    await sdk.ends("TIMEOUT")


async def test_the_sdk_gives_up_after_45_seconds_where_nobody_answers(town: Any, steps: Any) -> None:
    phone, sdk = await town.phone("bob"), await town.sdk_user("alice")
    sdk.do("callUser", to="bob")
    call = (await steps.event(phone, IncomingCall)).call
    await sdk.ends("NO_ANSWER", seconds=60)
    assert (await steps.end_of(call)).cause is Cause.CANCELED


async def test_the_sdk_is_told_why_a_call_is_refused(town: Any) -> None:
    sdk = await town.sdk_user("alice")
    sdk.do("callUser", to="nobody-here")
    assert "no user" in (await sdk.told("ended", cause="FAILURE"))["error"]


async def test_the_sdk_calls_a_phone_number_and_is_told_goodbye(town: Any) -> None:
    sdk = await town.sdk_user("alice")
    sdk.do("callPhone", to="+46000000000")
    await sdk.told("established")
    await sdk.ends("HUNG_UP", seconds=30)


async def test_the_sdk_hears_its_echo(town: Any) -> None:
    sdk = await town.sdk_user("alice")
    sdk.do("tone", hz=1000)
    sdk.do("callUser", to="echo")
    call = (await sdk.told("established"))["call"]
    await sdk.hears(call, 1000)


async def test_a_call_from_a_phone_rings_on_both_devices_of_an_sdk_user(town: Any, steps: Any) -> None:
    phone, first, second = await town.phone("bob"), await town.sdk_user("alice"), await town.sdk_user("alice")
    call = await phone.call_user("alice")
    incoming = (await first.told("incoming"))["call"]
    await second.told("incoming")
    await steps.reach(call, State.RINGING)
    await asyncio.sleep(1)  # both have acknowledged by now
    first.do("answer", call=incoming)
    await first.told("established")
    await second.ends("OTHER_DEVICE_ANSWERED")
    await steps.reach(call, State.ESTABLISHED)


async def test_a_call_between_two_sdks_carries_sound(town: Any) -> None:
    alice, bob = await town.sdk_user("alice"), await town.sdk_user("bob")
    alice.do("tone", hz=440)
    bob.do("tone", hz=1000)
    alice.do("callUser", to="bob")
    call = (await bob.told("incoming"))["call"]
    bob.do("answer", call=call)
    await alice.told("established")
    await alice.hears(call, 1000)
    await bob.hears(call, 440)
