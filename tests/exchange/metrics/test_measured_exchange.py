"""What is counted while an exchange serves: devices, polls, calls by how they ended."""

import asyncio
import subprocess
import sys
from collections.abc import Iterable

import pytest

from sinchphone.exchange.calls.watch import CallEnds
from sinchphone.exchange.server import Exchange
from sinchphone.protocol.call.states import Cause
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method, encode_client
from sinchphone.tasks import start_task
from tests.exchange.conftest import MakePhone

LIMIT_S = 20.0
ADA, BOB1, BOB2 = (Client(name[:3], name, f"sig-{name}") for name in ("ada-1", "bob-1", "bob-2"))
JOINED = Message(Method.JOINED, ADA, BodyType.CLIENT, encode_client(BOB1))


def said(method: Method, sender: Client) -> Message:
    return Message(method, sender)


@pytest.mark.parametrize(
    ("conversation", "cause"),
    [
        ([said(Method.CANCEL, ADA)], Cause.CANCELED),
        ([said(Method.ERROR, ADA)], Cause.FAILURE),
        ([JOINED, said(Method.LEAVE, ADA)], Cause.HUNG_UP),
        ([JOINED, said(Method.LEAVE, BOB1)], Cause.HUNG_UP),
        ([said(Method.DENY, BOB1), said(Method.DENY, BOB2)], Cause.DENIED),
        ([said(Method.DENY, BOB1), said(Method.ERROR, BOB2)], Cause.FAILURE),
        ([said(Method.DENY, BOB1), said(Method.CANCEL, ADA)], Cause.CANCELED),
        ([JOINED, said(Method.LEAVE, BOB1), said(Method.ERROR, ADA)], Cause.HUNG_UP),
        ([said(Method.DENY, BOB1)], None),
    ],
)
def test_the_first_word_that_ends_a_call_is_its_cause(conversation: Iterable[Message], cause: Cause | None) -> None:
    ends = CallEnds("ada-1", ["bob-1", "bob-2"])
    for message in conversation:
        ends.take(message)
    assert ends.cause is cause


def test_a_device_that_sends_its_answer_rings() -> None:
    ends = CallEnds("ada-1", ["bob-1"])
    ends.take(said(Method.ACK, Client("eve", "eve-1", "s")))
    assert not ends.rings
    ends.take(said(Method.ACK, BOB1))
    assert ends.rings


async def test_devices_polls_and_calls_are_counted(exchange: Exchange, phone: MakePhone) -> None:
    bob = await phone("bob").registered()
    token = (await bob.subscribe("broadcast"))["t"]["t"]
    polling = start_task(bob.subscribe("broadcast", token), name="bob polls")
    try:
        async with asyncio.timeout(LIMIT_S):
            while not exchange.readings().polls:
                await asyncio.sleep(0.01)
        alice = await phone("alice").registered()
        readings = exchange.readings()
        assert (readings.devices, readings.polls, readings.waiting_frames, readings.rooms) == (2, 1, 0, 0)
        assert readings.connections >= 1
        assert (await alice.call("bob")).status < 300
        assert readings.calls.going_on().total() == 1
        (application, *_) = exchange.directory.applications()
        await exchange._calls.open.end_all(application, 1.0)
        assert readings.calls.ended == {("mxp", Cause.CANCELED): 1}
    finally:
        polling.cancel()
        await asyncio.wait([polling])


async def test_it_is_in_its_own_way_before_it_listens_and_when_it_is_closed(exchange: Exchange) -> None:
    assert await exchange.troubles() == {}
    await exchange.close()
    assert list(await exchange.troubles()) == ["exchange"]


def test_an_exchange_that_nobody_measures_loads_no_library_for_it() -> None:
    program = "import sys, sinchphone.exchange.server, sinchphone.exchange.metrics.server; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
