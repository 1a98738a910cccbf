"""Which calls are open, without a network."""

import base64

import pytest

from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.delivery import SETUP_SECONDS
from sinchphone.exchange.directory.devices import Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import AWAY_SECONDS, Broker
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encode_client, encrypt, split
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.signaling.dialect import CallRequest, Domain
from sinchphone.signaling.ocra.registration import InstanceRequest
from sinchphone.signaling.rest.software import Software

NOW = 1_795_248_000.0
TWELVE_HOURS = 12 * 3_600.0


class Town:
    """An exchange without a server, where ada and bob may call each other once at a time."""

    def __init__(self) -> None:
        options = ExchangeOptions(applications={"acme": base64.b64encode(b"a" * 16).decode()}, open_calls_per_user=1)
        self.broker = Broker(options)
        self.directory = Directory(options, self.broker, SqliteStore(None))
        self.calls = Calls(options, self.directory, self.broker)

    def register(self, user: str, now: float = NOW) -> Device:
        application = self.directory.application("acme")
        assert application is not None
        return self.directory.register(application, InstanceRequest(user, "desk", (), Software("", "", "")), expire_at=None, now=now)


def request(callee: str, call_id: str) -> CallRequest:
    return CallRequest(call_id, Domain.MXP, callee, Description("offer", "v=0\r\n"))


async def test_a_cancel_just_before_the_report_is_still_passed_on() -> None:
    town = Town()
    ada, bob = town.register("ada"), town.register("bob")
    placement = await town.calls.place(ada, request("bob", "call-1"), NOW)
    key, cancel = ada.application.signal.subscribe_key, "10 call-1 - 0 1 AAAA"
    town.broker.publish(key, placement.signal_channel, cancel, size=20, publisher=ada.instance_id, now=NOW)
    town.calls.open.report(ada, "call-1")
    assert [posted.payload for posted in town.broker.since(key, (bob.identity.signal_channel,), 0)] == [cancel]
    await town.calls.open.close(1.0)


async def test_the_call_of_a_caller_who_vanished_does_not_stay_open_for_ever() -> None:
    town = Town()
    later = NOW + SETUP_SECONDS + AWAY_SECONDS
    ada, _ = town.register("ada"), town.register("bob")
    await town.calls.place(ada, request("bob", "call-1"), NOW)
    with pytest.raises(RefusedError, match="open calls"):
        await town.calls.place(ada, request("bob", "call-2"), NOW + SETUP_SECONDS)
    town.register("bob", later)
    await town.calls.place(ada, request("bob", "call-2"), later)
    await town.calls.open.close(1.0)


async def answered_call(town: Town) -> Device:
    """Ada's of bob, since NOW."""
    ada, bob = town.register("ada"), town.register("bob")
    placement = await town.calls.place(ada, request("bob", "call-1"), NOW)
    me, winner = (Client(one.user_id, one.instance_id, one.identity.signal_channel) for one in (ada, bob))
    joined = encrypt(Message(Method.JOINED, me, BodyType.CLIENT, encode_client(winner)), placement.session_key, b"i" * 16)
    for frame in split(joined, "call-1", "1"):
        town.broker.publish(ada.application.signal.subscribe_key, winner.channel, frame, size=20, publisher=ada.instance_id, now=NOW)
    return ada


@pytest.mark.parametrize("later", [NOW + 3_600, NOW + TWELVE_HOURS - 1])
async def test_an_answered_call_of_a_caller_who_still_listens_stays_open(later: float) -> None:
    town = Town()
    ada = await answered_call(town)
    town.broker.expect(ada.application.signal.subscribe_key, ada.identity.signal_channel, later)
    with pytest.raises(RefusedError, match="open calls"):
        await town.calls.place(ada, request("bob", "call-2"), later)
    await town.calls.open.close(1.0)


async def test_nobody_keeps_a_place_among_the_open_calls_for_longer_than_twelve_hours() -> None:
    town = Town()
    later = NOW + TWELVE_HOURS + 1
    ada = await answered_call(town)
    town.broker.expect(ada.application.signal.subscribe_key, ada.identity.signal_channel, later)
    town.register("bob", later)
    await town.calls.place(ada, request("bob", "call-2"), later)
    await town.calls.open.close(1.0)


async def test_nobody_has_devices_pushed_for_the_call_of_somebody_else() -> None:
    """Bob is in the call, and knows its id."""
    town = Town()
    ada, bob = town.register("ada"), town.register("bob")
    await town.calls.place(ada, request("bob", "call-1"), NOW)
    await town.calls.open.wake(ada, "call-1", [bob.instance_id], "Ada")
    for device, call_id in ((bob, "call-1"), (ada, "call-2")):
        with pytest.raises(RefusedError, match="no such call"):
            await town.calls.open.wake(device, call_id, [bob.instance_id], "Ada")
    await town.calls.open.close(1.0)
