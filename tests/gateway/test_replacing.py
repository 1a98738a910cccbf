"""Somebody who has come in the place of one side of a call is that side from then on, wherever the caller is taken."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sinchphone.errors import MediaError
from sinchphone.gateway.bridging.replacing import ReplaceableSides
from sinchphone.gateway.legs.leg import DigitPressed, Gone
from sinchphone.gateway.open_calls import OpenCalls
from sinchphone.gateway.relay.relay import Side
from sinchphone.tasks import start_task


class FakeBridge:
    """Takes everybody, or nobody."""

    def __init__(self, leg: Any, *, refuses: bool = False) -> None:
        self.leg = leg
        self.refuses = refuses
        self.told: list[Any] = []

    async def replace(self, side: Side, by: Any) -> None:
        if self.refuses:
            raise MediaError("nothing fits")
        self.told.append((side, by.id))

    async def take_replacing(self, side: Side, event: Any) -> None:
        self.told.append((side, event))


class FakeLifetime:
    """Runs what is begun, and keeps how it ended."""

    def __init__(self, caller: Any) -> None:
        self.caller = caller
        self.endings: list[Any] = []
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Any, name: str) -> None:
        self.tasks.append(start_task(work, name=name))

    async def carry(self, leg: Any) -> None:
        await leg.run()

    def end(self, ending: Any) -> None:
        self.endings.append(ending)


@pytest.fixture
async def talk(make_leg: Any) -> Any:
    """A call whose two sides talk."""
    caller, called = make_leg("caller"), make_leg("called")
    lifetime = FakeLifetime(caller)
    calls = OpenCalls(lambda _: None)
    sides = ReplaceableSides(cast(Any, lifetime), calls, "app")
    bridge = FakeBridge(called)
    sides.talk(cast(Any, bridge), lambda _: None)
    return SimpleNamespace(caller=caller, called=called, lifetime=lifetime, calls=calls, sides=sides, bridge=bridge)


async def takes(talk: Any, side: Side, by: Any) -> asyncio.Task[None]:
    """``by`` takes that side's place; what is over when they are."""
    task = start_task(talk.sides.replace(side, by), name="replacing")
    while not talk.bridge.told and not by.orders:
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize(("side", "old", "who"), [(Side.CALLER, "caller", "caller"), (Side.CALLED, "called", "called")])
async def test_who_comes_is_that_side_and_their_end_is_the_calls(talk: Any, make_leg: Any, side: Side, old: str, who: str) -> None:
    by = make_leg("by")
    task = await takes(talk, side, by)
    assert talk.calls.find("by", "app").leg is by
    assert talk.calls.find(old, "app") is None
    await getattr(talk, old).until(("hang up", None))
    by.say(DigitPressed(digit="5", duration_ms=100), Gone())
    await task
    await asyncio.gather(*talk.lifetime.tasks)
    assert [one.by for one in talk.lifetime.endings] == [who]
    assert talk.bridge.told[1][0] is side


async def test_who_can_not_be_taken_is_refused_and_nothing_changes(talk: Any, make_leg: Any) -> None:
    talk.bridge.refuses = True
    by = make_leg("by")
    await (await takes(talk, Side.CALLED, by))
    assert by.orders == [("hang up", 488)]
    assert talk.calls.find("called", "app").leg is talk.called
    assert (talk.called.orders, talk.lifetime.endings) == ([], [])


async def test_who_came_in_the_called_sides_place_leaves_when_the_caller_is_taken_elsewhere(talk: Any, make_leg: Any) -> None:
    by = make_leg("by")
    task = await takes(talk, Side.CALLED, by)
    await talk.called.until(("hang up", None))
    await talk.sides.part()
    await task
    await asyncio.gather(*talk.lifetime.tasks)
    assert (by.orders[-1], talk.lifetime.endings) == (("hang up", None), [])


async def test_who_came_in_the_callers_place_is_the_caller_of_the_next_talk(talk: Any, make_leg: Any) -> None:
    by = make_leg("by")
    task = await takes(talk, Side.CALLER, by)
    await talk.caller.until(("hang up", None))
    await talk.sides.part()
    talk.sides.talk(FakeBridge(make_leg("next")), lambda _: None)
    assert talk.calls.find("by", "app").leg is by
    assert talk.sides.is_replaced(Side.CALLER, talk.caller)
    by.say(Gone())
    await task
    await asyncio.gather(*talk.lifetime.tasks)
    assert [one.by for one in talk.lifetime.endings] == ["caller"]
