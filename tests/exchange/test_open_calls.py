"""A call is open until one of its ends says goodbye: calls that ended early don't count against their caller."""

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sinchphone.exchange.calls import watch
from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.watch import CallEnds
from sinchphone.exchange.directory.devices import Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import Broker, Poll
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.protocol.call.endings import departure
from sinchphone.protocol.call.states import Cause
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, decrypt, encode_client, encrypt, parse_fragment, split
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.signaling.dialect import CallRequest, Domain, Placement
from sinchphone.signaling.ocra.registration import InstanceRequest
from sinchphone.signaling.rest.software import Software

NOW = 1_795_248_000.0
ADA, BOB1, BOB2 = (Client(name[:3], name, f"sig-{name}") for name in ("ada-1", "bob-1", "bob-2"))
JOINED = Message(Method.JOINED, ADA, BodyType.CLIENT, encode_client(BOB1))


def said(method: Method, sender: Client = ADA, **headers: str) -> Message:
    return Message(method, sender, headers=headers)


class TestEnds:
    @pytest.mark.parametrize("method", [Method.CANCEL, Method.LEAVE, Method.ERROR])
    def test_the_callers_goodbye_ends_it(self, method: Method) -> None:
        ends = CallEnds("ada-1", ["bob-1", "bob-2"])
        ends.take(said(method))
        assert ends.is_over

    @pytest.mark.parametrize("method", [Method.DENY, Method.ERROR, Method.LEAVE])
    def test_the_last_devices_goodbye_ends_it(self, method: Method) -> None:
        ends = CallEnds("ada-1", ["bob-1", "bob-2"])
        ends.take(said(method, BOB1))
        ends.take(said(method, BOB1))
        assert not ends.is_over
        ends.take(said(method, BOB2))
        assert ends.is_over

    def test_after_the_answer_only_the_winners_goodbye_ends_it(self) -> None:
        ends = CallEnds("ada-1:77", ["bob-1", "bob-2"])
        ends.take(Message(Method.JOINED, Client("ada", "ada-1:77", "s"), BodyType.CLIENT, encode_client(Client("bob", "bob-1:5", "s"))))
        ends.take(said(Method.LEAVE, BOB2))
        assert (ends.is_answered, ends.is_over) == (True, False)
        ends.take(said(Method.LEAVE, Client("bob", "bob-1:5", "s")))
        assert ends.is_over

    def test_a_1x_caller_that_sends_a_second_device_away_goes_on_with_the_first(self) -> None:
        ends = CallEnds("ada-1", ["bob-1", "bob-2"])
        ends.take(said(Method.DENY, to="bob-2:5", denyall="no"))
        ends.take(JOINED)
        assert (ends.is_answered, ends.is_over) == (True, False)

    def test_a_cancel_in_the_second_after_joined_ends_it(self) -> None:
        ends = CallEnds("ada-1", ["bob-1"])
        ends.take(JOINED)
        ends.take(said(Method.CANCEL))
        assert ends.is_over

    @pytest.mark.parametrize("method", list(Method))
    def test_strangers_and_everything_else_leave_it_open(self, method: Method) -> None:
        ends = CallEnds("ada-1", ["bob-1"])
        ends.take(said(method, Client("eve", "eve-1", "s")))
        for other in (Method.ACK, Method.JOIN, Method.PEER_EVENT, Method.CANCEL, Method.JOINED):
            ends.take(said(other, BOB1))
        assert not ends.is_over

    def test_a_joined_that_names_nobody_answers_nothing(self) -> None:
        ends = CallEnds("ada-1", ["bob-1"])
        for body in ("", "[]", encode_client(Client("eve", "eve-1", "s"))):
            ends.take(Message(Method.JOINED, ADA, BodyType.CLIENT, body))
        assert (ends.is_answered, ends.is_over) == (False, False)


class Town:
    """An exchange without a server, where everybody may have two calls at once."""

    def __init__(self) -> None:
        options = ExchangeOptions(applications={"acme": base64.b64encode(b"a" * 16).decode()}, open_calls_per_user=2)
        self.broker = Broker(options)
        self.directory = Directory(options, self.broker, SqliteStore(None))
        self.calls = Calls(options, self.directory, self.broker)
        self.placed = 0

    def register(self, user: str) -> Device:
        application = self.directory.application("acme")
        assert application is not None
        return self.directory.register(application, InstanceRequest(user, "desk", (), Software("", "", "")), expire_at=None, now=NOW)

    async def place(self, caller: Device) -> Placement:
        self.placed += 1
        return await self.calls.place(caller, CallRequest(f"call-{self.placed}", Domain.MXP, "bob", Description("offer", "v=0\r\n")), NOW)

    def say(self, placement: Placement, by: Device, method: Method, channel: str, body: tuple[str, str] = (BodyType.NONE, "")) -> None:
        sender = Client(by.user_id, by.instance_id, by.identity.signal_channel)
        payload = encrypt(Message(method, sender, *body), placement.session_key, os.urandom(16))
        for frame in split(payload, placement.call_id, "7"):
            self.publish(by, channel, frame)

    def publish(self, by: Device, channel: str, frame: object) -> None:
        self.broker.publish(by.application.signal.subscribe_key, channel, frame, size=20, publisher=by.instance_id, now=NOW)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = Town()
    yield made
    await made.calls.open.close(1.0)


class TestLimits:
    async def test_calls_that_were_cancelled_before_anybody_took_notice_are_over(self, town: Town) -> None:
        ada, _ = town.register("ada"), town.register("bob")
        for _ in range(20):
            placement = await town.place(ada)
            town.say(placement, ada, Method.CANCEL, placement.signal_channel)

    @pytest.mark.parametrize("method", [Method.DENY, Method.ERROR])
    async def test_calls_that_were_refused_are_over(self, town: Town, method: Method) -> None:
        ada, bob = town.register("ada"), town.register("bob")
        for _ in range(20):
            town.say(await town.place(ada), bob, method, ada.identity.signal_channel)

    @pytest.mark.parametrize("who", ["caller", "callee"])
    async def test_calls_that_were_left_are_over(self, town: Town, who: str) -> None:
        ada, bob = town.register("ada"), town.register("bob")
        winner = (BodyType.CLIENT, encode_client(Client("bob", bob.instance_id, bob.identity.signal_channel)))
        for _ in range(20):
            placement = await town.place(ada)
            town.say(placement, ada, Method.JOINED, bob.identity.signal_channel, winner)
            by, to = (ada, bob) if who == "caller" else (bob, ada)
            town.say(placement, by, Method.LEAVE, to.identity.signal_channel)

    async def test_calls_that_are_open_count(self, town: Town) -> None:
        ada, _ = town.register("ada"), town.register("bob")
        await town.place(ada)
        await town.place(ada)
        with pytest.raises(RefusedError, match="2 open calls"):
            await town.place(ada)

    async def test_a_goodbye_that_is_not_under_the_calls_key_ends_nothing(self, town: Town) -> None:
        ada, bob = town.register("ada"), town.register("bob")
        for _ in range(2):
            placement = await town.place(ada)
            forged = encrypt(said(Method.CANCEL, Client("ada", ada.instance_id, "s")), b"k" * 32, os.urandom(16))
            for frame in (*split(forged, placement.call_id, "7"), "garbage", 7, f"10 {placement.call_id} - 0 1 AAAA"):
                town.publish(bob, placement.signal_channel, frame)
        with pytest.raises(RefusedError, match="2 open calls"):
            await town.place(ada)

    async def test_at_the_end_of_the_ring_time_a_call_that_nobody_answered_is_over(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "RING_SECONDS", 0.05)
        monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
        ada, _ = town.register("ada"), town.register("bob")
        await town.place(ada)
        await town.place(ada)
        await eventually(lambda: not town.calls.open._calls)
        await town.place(ada)

    async def test_a_call_is_over_at_its_longest_duration(self, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "MAX_OPEN_CALL_SECONDS", 0.05)
        ada, bob = town.register("ada"), town.register("bob")
        placement = await town.place(ada)
        winner = (BodyType.CLIENT, encode_client(Client("bob", bob.instance_id, bob.identity.signal_channel)))
        town.say(placement, ada, Method.JOINED, bob.identity.signal_channel, winner)
        await eventually(lambda: not town.calls.open._calls)


class TestVanishedCallers:
    async def test_a_callers_page_that_is_closed_while_it_rings_stops_the_ringing(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "GONE_SECONDS", 0.05)
        monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
        ada, bob = town.register("ada"), town.register("bob")
        key = ada.application.signal.subscribe_key
        page = Poll(key, (ada.identity.signal_channel,), "page", asyncio.Event())
        town.broker.begin(page, now())
        placement = await town.place(ada)
        await asyncio.sleep(0.1)
        assert town.calls.open._calls
        town.broker.end(page, now())
        await eventually(lambda: not town.calls.open._calls)
        told = [posted.payload for posted in town.broker.since(key, (bob.identity.signal_channel,), 0)]
        message = decrypt(parse_fragment(told[0]).payload, placement.session_key)
        assert (message.method, message.sender.instance_id) == (Method.CANCEL, ada.instance_id)

    async def test_a_caller_that_never_listened_is_not_taken_for_one_that_went(self, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "GONE_SECONDS", 0.05)
        monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
        ada, _ = town.register("ada"), town.register("bob")
        await town.place(ada)
        await asyncio.sleep(0.2)
        assert town.calls.open._calls

    @pytest.mark.parametrize("who", ["caller", "called"])
    async def test_who_is_killed_while_they_talk_has_left_and_the_other_learns_it(
        self, town: Town, monkeypatch: pytest.MonkeyPatch, who: str
    ) -> None:
        monkeypatch.setattr(watch, "BROKEN_OFF_SECONDS", 0.05)
        monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
        ada, bob = town.register("ada"), town.register("bob")
        key = ada.application.signal.subscribe_key
        placement = await town.place(ada)
        winner = (BodyType.CLIENT, encode_client(Client("bob", bob.instance_id, bob.identity.signal_channel)))
        town.say(placement, ada, Method.JOINED, bob.identity.signal_channel, winner)
        gone, left = (ada, bob) if who == "caller" else (bob, ada)
        poll = Poll(key, (gone.identity.signal_channel,), "phone", asyncio.Event())
        town.broker.begin(poll, now())
        town.broker.end(poll, now())  # answered
        await asyncio.sleep(0.2)
        assert town.calls.open._calls, "who is only away comes back"
        town.broker.begin(poll, now())
        town.broker.end(poll, now(), broke_off=True)
        await eventually(lambda: not town.calls.open._calls)
        told = town.broker.since(key, (left.identity.signal_channel,), 0)[-1].payload
        message = decrypt(parse_fragment(told).payload, placement.session_key)
        assert (message.method, message.sender.instance_id) == (Method.LEAVE, gone.instance_id)
        assert departure(message).cause is Cause.INACTIVE

    async def test_watching_is_not_listening(self, town: Town) -> None:
        ada, bob = town.register("ada"), town.register("bob")
        await town.place(ada)
        await asyncio.sleep(0.01)
        for device in (ada, bob):
            assert not town.broker.is_listening(device.application.signal.subscribe_key, device.identity.signal_channel, NOW)


def now() -> float:
    return time.time()


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
