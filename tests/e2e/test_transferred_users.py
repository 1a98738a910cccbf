"""Users are transferred: they talk with somebody else in the same call, sound and all; who transferred them leaves."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.calls.call import Transferred
from sinchphone.engine.calls.hold import Held, Resumed
from sinchphone.errors import LocalProtocolError, TransferError
from sinchphone.protocol.call.states import Cause, State
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

TONES = {"bob": 700.0, "carol": 440.0}
LIMIT_S = 20.0


async def told(call: Any, kind: type[Any]) -> Any:
    async with asyncio.timeout(LIMIT_S):
        async for event in call.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the call ended first")


class Three:
    """Alice talks with bob; carol is there. Bob and carol say a tone each."""

    def __init__(self, lines: Any, steps: Any) -> None:
        self.ears: dict[str, Any] = {}
        self.sounds: dict[str, Any] = {}
        self.clients: dict[str, Any] = {}
        self._lines, self._steps = lines, steps

    async def open(self) -> None:
        for name in ("alice", "bob", "carol"):
            self.clients[name] = await self._lines.phone(name)
            self.ears[name], self.sounds[name] = self._lines.ear(TONES.get(name))
        self.at_alice = await self.clients["alice"].call_user("bob")
        self.at_bob = await self._steps.next_call(self.clients["bob"])
        await self.at_bob.answer(sound=self.sounds["bob"])
        for call in (self.at_alice, self.at_bob):
            await self._steps.reach(call, State.ESTABLISHED)

    async def carol_answers(self) -> Any:
        call = await self._steps.next_call(self.clients["carol"])
        await call.answer(sound=self.sounds["carol"])
        return call


@pytest.fixture
async def three(lines: Any, steps: Any) -> Three:
    made = Three(lines, steps)
    await made.open()
    return made


async def test_a_user_is_transferred_and_talks_on_with_the_other_one(three: Three, steps: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(three.at_alice.transfer("carol"))
        at_carol = await three.carol_answers()
    assert await told(three.at_bob, Transferred) == Transferred(peer="carol", domain=Domain.MXP)
    assert (three.at_bob.peer, three.at_bob.state, three.at_bob.remote.user_id) == ("carol", State.ESTABLISHED, "carol")
    assert (await steps.end_of(three.at_alice)).cause is Cause.HUNG_UP
    await three.ears["bob"].hears(TONES["carol"])
    await three.ears["carol"].hears(TONES["bob"])
    assert three.clients["bob"].calls == (three.at_bob,)
    await three.at_bob.hang_up()
    assert (await steps.end_of(at_carol)).cause is Cause.HUNG_UP
    assert (await steps.end_of(three.at_bob)).cause is Cause.HUNG_UP
    await asyncio.wait_for(three.at_bob.closed(), LIMIT_S)


async def test_the_other_ones_end_is_the_transferred_calls(three: Three, steps: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(three.at_alice.transfer("carol"))
        at_carol = await three.carol_answers()
    await told(three.at_bob, Transferred)
    await at_carol.hang_up()
    details = await steps.end_of(three.at_bob)
    assert (details.cause, str(details.ended_by)) == (Cause.HUNG_UP, "peer")


@pytest.mark.parametrize(("to", "status"), [("busy", 486), ("unknown", 404), ("+14155550100", 403), ("dave", 404), ("bob bob", 404)])
async def test_where_nobody_is_reached_the_call_goes_on(three: Three, to: str, status: int) -> None:
    with pytest.raises(TransferError) as failed:
        await three.at_alice.transfer(to)
    assert failed.value.status == status
    assert (three.at_alice.state, three.at_bob.state, three.at_bob.peer) == (State.ESTABLISHED, State.ESTABLISHED, "alice")
    assert three.clients["bob"].calls == (three.at_bob,)
    await three.at_alice.hang_up()


async def test_a_caller_who_leaves_at_once_leaves_the_other_two_to_each_other(three: Three, steps: Any) -> None:
    asking = start_task(three.at_alice.transfer("carol"), name="asking")
    call = await steps.next_call(three.clients["carol"])
    await three.at_alice.hang_up()
    await asking
    assert three.at_bob.state is State.ESTABLISHED
    await call.answer(sound=three.sounds["carol"])
    await told(three.at_bob, Transferred)
    await three.ears["bob"].hears(TONES["carol"])
    await three.at_bob.hang_up()


async def test_who_leaves_and_reaches_nobody_has_ended_the_call(three: Three, steps: Any) -> None:
    asking = start_task(three.at_alice.transfer("carol"), name="asking")
    call = await steps.next_call(three.clients["carol"])
    await three.at_alice.hang_up()
    await asking
    await call.decline()
    assert (await steps.end_of(three.at_bob)).cause is Cause.HUNG_UP
    assert three.at_bob.peer == "alice"


async def test_who_is_transferred_and_hangs_up_meanwhile_calls_nobody(three: Three, steps: Any) -> None:
    asking = start_task(three.at_alice.transfer("carol"), name="asking")
    call = await steps.next_call(three.clients["carol"])
    await three.at_bob.hang_up()
    await asking
    assert (await steps.end_of(call)).cause is Cause.CANCELED
    await steps.end_of(three.at_bob)


async def test_two_calls_are_joined_and_both_others_talk_on_in_theirs(three: Three, steps: Any) -> None:
    second = await three.clients["alice"].call_user("carol")
    at_carol = await three.carol_answers()
    await steps.reach(second, State.ESTABLISHED)
    await three.at_alice.hold()
    await told(three.at_bob, Held)
    await three.at_alice.transfer(second)
    assert await told(three.at_bob, Transferred) == Transferred(peer="carol", domain=Domain.MXP)
    assert await told(at_carol, Transferred) == Transferred(peer="bob", domain=Domain.MXP)
    await three.ears["bob"].hears(TONES["carol"])
    await three.ears["carol"].hears(TONES["bob"])
    assert not three.at_bob.held_by_peer, "who held is gone"
    await steps.end_of(three.at_alice)
    await steps.end_of(second)
    assert three.clients["carol"].calls == (at_carol,), "nothing rings there"
    await at_carol.hang_up()
    await steps.end_of(three.at_bob)


async def test_who_holds_goes_on_holding_whoever_is_there(three: Three) -> None:
    await three.at_bob.hold()
    async with asyncio.TaskGroup() as group:
        group.create_task(three.at_alice.transfer("carol"))
        at_carol = await three.carol_answers()
    await told(at_carol, Held)
    assert (three.at_bob.held_by_us, at_carol.held_by_peer) == (True, True)
    await three.at_bob.resume()
    await told(at_carol, Resumed)
    await three.ears["carol"].hears(TONES["bob"])
    await three.at_bob.hang_up()


async def test_who_was_transferred_can_be_transferred_again_and_transfer(three: Three, steps: Any, lines: Any) -> None:
    dave = await lines.phone("dave")
    ear, sound = lines.ear(330.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(three.at_alice.transfer("carol"))
        at_carol = await three.carol_answers()
    await told(three.at_bob, Transferred)
    await steps.reach(at_carol, State.ESTABLISHED)
    async with asyncio.TaskGroup() as group:
        group.create_task(at_carol.transfer("dave"))
        at_dave = await steps.next_call(dave)
        await at_dave.answer(sound=sound)
    await three.ears["bob"].hears(330.0)
    await ear.hears(TONES["bob"])
    await steps.end_of(at_carol)
    assert three.at_bob.peer == "dave"
    await three.at_bob.hang_up()
    await steps.end_of(at_dave)


async def test_a_call_that_names_one_to_be_replaced_that_is_not_there_rings_nowhere(three: Three, steps: Any) -> None:
    call = await three.clients["bob"].call_user("alice", headers={"x-sinchphone-replaces": "no-such-call"})
    assert (await steps.end_of(call)).cause is Cause.FAILURE
    assert three.at_alice.state is State.ESTABLISHED


async def test_calls_that_do_not_talk_are_not_joined(three: Three) -> None:
    second = await three.clients["alice"].call_user("carol")
    for other in (second, three.at_alice):
        with pytest.raises(LocalProtocolError, match="established"):
            await three.at_alice.transfer(other)
