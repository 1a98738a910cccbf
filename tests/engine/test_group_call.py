"""A group call at its edges: whoever has left it calls nobody, answers nobody and is in it no more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sinchphone.engine import group_call as module
from sinchphone.engine.calls.details import CallDetails
from sinchphone.engine.group_call import GroupCall
from sinchphone.errors import NetworkError
from sinchphone.protocol.call.states import State
from sinchphone.signaling.dialect import Domain
from sinchphone.signaling.pubsub.client import PayloadReceived, SubscriptionResumed
from sinchphone.tasks import start_task


class FakeNetwork:
    """The group's channel: what is put is heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.left: list[str] = []

    async def events(self, channels: list[str]) -> AsyncIterator[Any]:
        while True:
            yield await self.heard.get()

    async def publish(self, channel: str, payload: object) -> None:
        """Nobody listens."""

    async def leave(self, channels: list[str]) -> None:
        self.left += channels


class FakeCall:
    domain = Domain.MXP
    outbound = True
    id = "c"

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.state = State.PROGRESSING
        self.details = CallDetails(0.0)
        self.talked_seconds = None
        self.answered = False
        self._over = asyncio.Event()

    async def states(self) -> AsyncIterator[State]:
        yield self.state
        await self._over.wait()

    async def hang_up(self) -> None:
        self.state = State.ENDED
        self._over.set()

    async def answer(self) -> None:
        self.answered = True

    async def decline(self, *, busy: bool = False) -> None:
        await self.hang_up()


class Town:
    """One member, and the calls that it placed. ``refusals`` come first."""

    def __init__(self) -> None:
        self.broadcast = FakeNetwork()
        self.placed: list[FakeCall] = []
        self.refusals: list[Exception] = []
        self.asked = asyncio.Event()
        self.may_place = asyncio.Event()
        self.group = GroupCall("standup", "alice", self, self.place)  # type: ignore[arg-type]

    async def place(self, user: str) -> Any:
        self.asked.set()
        await self.may_place.wait()
        if self.refusals:
            raise self.refusals.pop()
        self.placed.append(FakeCall(user))
        return self.placed[-1]

    async def join(self) -> None:
        self.broadcast.heard.put_nowait(SubscriptionResumed())
        await self.group.join()

    def comes(self, user: str) -> None:
        self.broadcast.heard.put_nowait(PayloadReceived("standup", user, "1"))


@pytest.fixture
async def town() -> Town:
    made = Town()
    await made.join()
    return made


async def test_a_call_that_was_about_to_be_placed_as_we_left_is_hung_up(town: Town) -> None:
    town.comes("bob")
    await town.asked.wait()
    leaving = start_task(town.group.leave(), name="under way")
    await asyncio.sleep(0)
    town.may_place.set()
    await leaving
    assert [call.state for call in town.placed] == [State.ENDED]
    assert not town.group.calls


async def test_whoever_has_left_tries_no_member_again(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.05)
    monkeypatch.setattr(module, "LEAVE_S", 0.3)
    town.may_place.set()
    town.refusals.append(NetworkError("gone"))
    town.comes("bob")
    await town.asked.wait()
    await town.group.leave()
    assert not town.placed


async def test_leaving_does_not_wait_for_a_member_who_is_to_be_called_again(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 60.0)
    town.refusals.append(NetworkError("gone"))
    town.may_place.set()
    town.comes("bob")
    await town.asked.wait()
    async with asyncio.timeout(module.LEAVE_S / 2):
        await town.group.leave()


async def test_a_call_that_came_as_we_left_is_not_answered(town: Town) -> None:
    coming: Any = FakeCall("bob")
    assert town.group.takes(coming)
    await town.group.leave()
    assert not coming.answered
    assert coming.state is State.ENDED


async def test_who_gives_up_joining_is_not_in_the_group() -> None:
    town = Town()
    joining = start_task(town.group.join(), name="under way")
    await asyncio.sleep(0)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert town.group.is_over
    assert town.broadcast.left == ["standup"]
