"""Several devices of the called user: each has a port forked from the offer of the first."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from sinchphone.engine.serial_queue import MAX_AHEAD
from sinchphone.media.port import Connected
from sinchphone.protocol.call.states import State
from sinchphone.protocol.mxp.message import BodyType, Message, Method
from sinchphone.protocol.sdp.jsep import Candidate, encode_candidate
from tests.engine.test_engine_call import BOB, BOB2, FakePort, Harness


class SlowForks:
    """Forks of the first port, of which each is begun and waits until it may go on."""

    def __init__(self, harness: Harness) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self._port, self._fork = harness.port_one, harness.port_one.fork
        harness.port_one.fork = self.fork  # type: ignore[method-assign]

    async def fork(self) -> FakePort:
        self.begun.set()
        await self.may_end.wait()
        return await self._fork()


async def talks_on_the_second_port_alone(harness: Harness) -> None:
    """Until the call is hung up."""
    harness.port_one.made[0].queue.put_nowait(Connected(pair="host", codec="opus"))
    await harness.reach(State.ESTABLISHED)
    await harness.until("port close")
    assert "port.1 close" not in harness.log
    await harness.call.hang_up()
    await harness.end()


@pytest.mark.parametrize("loser", [None, Method.DENY])
async def test_the_first_devices_port_stays_open_until_the_winner_has_one_of_its_own(loser: Any) -> None:
    """A machine that is busy makes it late: the device was answered by then, and the first one is out."""
    harness = Harness(devices=2)
    forks = SlowForks(harness)
    await harness.reach(State.PROGRESSING)
    harness.ack(BOB)
    harness.ack(BOB2)
    await harness.until("port accept")
    await asyncio.wait_for(forks.begun.wait(), 10)
    if loser is not None:
        harness.hear(loser, BOB, denyall="no")
    harness.hear(Method.JOIN, BOB2)
    await harness.reach(State.ANSWERED)
    for _ in range(20):  # turns of the loop, in which the first one would be closed
        await asyncio.sleep(0)
    forks.may_end.set()
    await harness.until("port.1 accept")
    await talks_on_the_second_port_alone(harness)


async def test_the_port_of_a_first_device_that_declined_is_closed_as_soon_as_another_one_answers() -> None:
    harness = Harness(devices=2)
    await harness.reach(State.PROGRESSING)
    harness.ack(BOB)
    harness.ack(BOB2)
    await harness.until("port.1 accept")
    harness.hear(Method.DENY, BOB, denyall="no")
    for _ in range(20):  # turns of the loop, in which it's dropped while nobody has won
        await asyncio.sleep(0)
    assert "port close" not in harness.log
    harness.hear(Method.JOIN, BOB2)
    await talks_on_the_second_port_alone(harness)


async def test_attack_a_peer_that_names_candidates_without_end_takes_no_more_memory_and_is_heard_when_it_leaves() -> None:
    """Reading stopped until the work of a device went on: where that hung, nobody saw that the peer had hung up."""
    harness, taken = Harness(), 0

    async def hang(candidate: Candidate | None) -> None:
        nonlocal taken
        taken += 1
        await asyncio.Event().wait()

    harness.port_one.add_candidate = hang  # type: ignore[method-assign]
    await harness.reach(State.PROGRESSING)
    harness.ack(BOB)
    await harness.until("port accept")
    one = encode_candidate(Candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", "0", 0))
    for _ in range(8 * MAX_AHEAD):
        harness.hear(Method.PEER_EVENT, BOB, BodyType.SDP, one)
        await asyncio.sleep(0)
    assert taken == 1
    assert harness.call._driver.queue(BOB.instance_id).is_full
    assert harness.channel.inbox.qsize() < MAX_AHEAD
    harness.hear(Method.DENY, BOB)
    await harness.end()
    assert harness.call.state is State.ENDED


async def test_attack_a_device_that_picks_up_without_end_while_nothing_can_be_sent_does_not_hide_that_the_peer_leaves() -> None:
    harness = Harness(devices=2)
    await harness.talk()

    async def hang(message: Message, channels: Collection[str]) -> None:
        await asyncio.Event().wait()

    harness.channel.send = hang  # type: ignore[method-assign]
    for _ in range(8 * MAX_AHEAD):  # each is told who has the call
        harness.hear(Method.JOIN, BOB2)
        await asyncio.sleep(0)
    assert harness.call._driver.queue("").is_full
    assert harness.call._driver.queue("")._queue.qsize() <= MAX_AHEAD + 1
    harness.hear(Method.LEAVE, BOB)
    await harness.end()
    assert harness.call.state is State.ENDED
