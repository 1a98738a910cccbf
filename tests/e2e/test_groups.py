"""Group calls: everybody calls everybody else, hears the others and not themselves, and learns who comes and goes."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.engine.group_call import GroupCall, LocalMediaAdded, RemoteCallAdded, RemoteCallRemoved
from sinchphone.errors import LocalProtocolError, NetworkError
from sinchphone.media.sound import SoundOptions
from sinchphone.protocol.call.states import State

TONES = {"alice": 440.0, "bob": 620.0, "carol": 850.0}


class Member:
    """One in the group: says a tone, and keeps what it hears of each of the others."""

    def __init__(self, lines: Any, user: str) -> None:
        self.user = user
        self.ears: list[Any] = []
        self.events: list[Any] = []
        self._lines = lines

    def _sound(self) -> Any:
        ear, sound = self._lines.ear(TONES.get(self.user))
        self.ears.append(ear)
        return sound

    async def open(self) -> "Member":
        self.client: SinchClient = await self._lines.phone(self.user, sound=self._sound)
        return self

    async def join(self, name: str = "standup") -> GroupCall:
        self.group = await self.client.call_group(name)
        return self.group

    async def together_with(self, *others: str) -> None:
        """One established call to each of them, and no other."""
        async with asyncio.timeout(20):
            while True:
                calls = self.group.calls
                if {call.peer for call in calls} == {*others} and all(call.state is State.ESTABLISHED for call in calls):
                    return
                await asyncio.sleep(0.05)

    async def told(self, count: int) -> list[Any]:
        async with asyncio.timeout(20):
            async for event in self.group.events():
                self.events.append(event)
                if len(self.events) == count:
                    return self.events
        return self.events

    async def hears(self, hz: float) -> None:
        """In one of its calls."""
        async with asyncio.timeout(20):
            while not any(ear.share(hz, 0.1) > 0.8 for ear in self.ears):  # a busy machine stalls longer stretches
                await asyncio.sleep(0.02)


class Unlucky(Member):
    """One whose microphone can't be opened for its first two calls."""

    failures = 2

    def _sound(self) -> Any:
        if self.failures:
            self.failures -= 1
            return SoundOptions(input="nothing of that name")
        return super()._sound()


async def test_three_in_a_group_hear_each_other_and_learn_who_leaves(lines: Any) -> None:
    members = [await Member(lines, user).open() for user in TONES]
    for member in members:
        await member.join()
    for member in members:
        await member.together_with(*({*TONES} - {member.user}))
    for member in members:
        for user, hz in TONES.items():
            if user != member.user:
                await member.hears(hz)
        assert all(ear.share(TONES[member.user]) < 0.05 for ear in member.ears)
    alice, bob, carol = members
    first, *added = await alice.told(3)
    assert isinstance(first, LocalMediaAdded)
    assert {event.call.peer for event in added if isinstance(event, RemoteCallAdded)} == {"bob", "carol"}
    await carol.group.leave()
    await carol.group.leave()
    removed = (await alice.told(4))[-1]
    assert isinstance(removed, RemoteCallRemoved)
    assert removed.call.peer == "carol"
    await bob.together_with("alice")
    assert not carol.client.calls


async def test_two_who_join_at_the_same_moment_have_one_call(lines: Any) -> None:
    members = [await Member(lines, user).open() for user in ("alice", "bob")]
    await asyncio.gather(*(member.join() for member in members))
    for member, other in zip(members, ("bob", "alice"), strict=True):
        await member.together_with(other)
    await asyncio.sleep(0.5)
    for member, other in zip(members, ("bob", "alice"), strict=True):
        await member.together_with(other)


async def test_somebody_who_comes_back_is_called_again(lines: Any) -> None:
    alice, bob = await Member(lines, "alice").open(), await Member(lines, "bob").open()
    await alice.join()
    await bob.join()
    await alice.together_with("bob")
    await bob.group.leave()
    await alice.together_with()
    await bob.join()
    await alice.together_with("bob")


async def test_a_call_that_fails_is_placed_again(lines: Any) -> None:
    alice, bob = await Member(lines, "alice").open(), await Unlucky(lines, "bob").open()
    await alice.join()
    await bob.join()
    await alice.together_with("bob")
    await bob.together_with("alice")


async def test_a_call_that_cannot_be_placed_is_placed_again(lines: Any) -> None:
    alice, bob = await Member(lines, "alice").open(), await Member(lines, "bob").open()
    await alice.join()
    place, failures = alice.group._place, iter([NetworkError("gone"), NetworkError("gone")])

    async def failing(user: str) -> Call:
        for failure in failures:
            raise failure
        return await place(user)

    alice.group._place = failing
    await bob.join()
    await alice.together_with("bob")


async def test_a_call_that_is_hung_up_is_not_placed_again(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.engine.group_call.AGAIN_S", 0.05)
    alice, bob = await Member(lines, "alice").open(), await Member(lines, "bob").open()
    await alice.join()
    await bob.join()
    await bob.together_with("alice")
    await bob.group.calls[0].hang_up()
    await alice.together_with()
    await asyncio.sleep(0.5)
    await alice.together_with()


async def test_a_call_from_somebody_else_is_an_ordinary_one(lines: Any, steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.engine.group_call.NEWCOMER_S", 0.0)
    alice, dave = await Member(lines, "alice").open(), await lines.phone("dave")
    await alice.join()
    outgoing = await dave.call_user("alice")
    incoming = await steps.next_call(alice.client)
    assert incoming.peer == "dave"
    assert not alice.group.calls
    await outgoing.hang_up()


async def test_a_call_of_the_group_is_not_told_as_an_incoming_one(lines: Any) -> None:
    alice, bob = await Member(lines, "alice").open(), await Member(lines, "bob").open()
    told: list[object] = []
    bob.client.add_listener(told.append)
    await alice.join()
    await bob.join()
    await bob.together_with("alice")
    assert not [event for event in told if isinstance(event, IncomingCall)]


async def test_attack_garbage_on_the_groups_channel(lines: Any) -> None:
    alice, bob = await Member(lines, "alice").open(), await Member(lines, "bob").open()
    await alice.join()
    for payload in ("", "alice", "x" * 300, "a b\n", '{"a":1}', "broadcast-" + "a" * 32, "nobody-there"):
        await bob.client._link.broadcast.publish("standup", payload)
    for odd in ({"a": 1}, [1], 3, None, True):
        await bob.client._link.broadcast.publish("standup", odd)
    await bob.join()
    await alice.together_with("bob")


@pytest.mark.parametrize("name", ["", "a,b", "x" * 65, "a b", "a\n", "a.b", "a*", "a:b", "a/b"])
async def test_a_name_that_cannot_be_a_groups_is_refused(lines: Any, name: str) -> None:
    alice = await Member(lines, "alice").open()
    with pytest.raises(LocalProtocolError):
        await alice.client.call_group(name)


async def test_a_client_is_in_one_group_at_a_time(lines: Any) -> None:
    alice = await Member(lines, "alice").open()
    await alice.join()
    with pytest.raises(LocalProtocolError):
        await alice.client.call_group("other")
    await alice.group.leave()
    await alice.join("other")


async def test_leaving_the_client_leaves_the_group(lines: Any) -> None:
    alice = await Member(lines, "alice").open()
    await alice.join()
    async with SinchClient("bob", lines.local, media=lines.media) as bob:
        await bob.call_group("standup")
        await alice.together_with("bob")
    await alice.together_with()
