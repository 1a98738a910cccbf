"""What a backend tells a call that goes on: its instructions are carried out one after the other, and the last word counts."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from sinchphone.gateway.bridging.instructions import Instructions
from sinchphone.protocol.callbacks.svaml import Continue, Hangup, Instruction, Say, Svaml
from sinchphone.tasks import start_task

LIMIT_S = 5.0


class Told:
    """A call that is told something, and what was done of it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.may_end = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self.instructions = Instructions(lambda: self.log.append("hang up"), self.spawn)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self.tasks.append(start_task(work, name=name))

    async def carry_out(self, instructions: tuple[Instruction, ...]) -> None:
        words = " ".join(one.text for one in instructions if isinstance(one, Say))
        self.log.append(f"begin {words}")
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.log.append(f"break off {words}")
            raise
        self.log.append(f"end {words}")

    def update(self, words: str, *, ends: bool = False) -> None:
        self.instructions.update(Svaml(Hangup() if ends else Continue(), (Say(words),)), self.carry_out)

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def done(self) -> list[str]:
        self.may_end.set()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*self.tasks)
        return self.log


async def test_a_change_takes_the_place_of_what_is_carried_out() -> None:
    told = Told()
    told.update("one")
    await told.settle()
    told.update("two")
    await told.settle()
    assert await told.done() == ["begin one", "break off one", "begin two", "end two"]


async def test_of_two_changes_that_come_before_the_first_begins_the_last_counts_alone() -> None:
    """They were said at the same time, and the first could end the call in the second's words."""
    told = Told()
    told.update("one", ends=True)
    told.update("two")
    await told.settle()
    assert await told.done() == ["begin two", "end two"]


async def test_what_an_event_asks_for_waits_for_what_is_said_over_the_talk() -> None:
    told = Told()
    told.update("one")
    await told.settle()
    told.spawn(told.instructions.carry_out((Say("two"),), told.carry_out), "event")
    await told.settle()
    assert told.log == ["begin one"]
    assert await told.done() == ["begin one", "end one", "begin two", "end two"]


async def test_a_change_after_the_last_was_carried_out_is_carried_out_too() -> None:
    told = Told()
    told.update("one")
    await told.done()
    told.update("two", ends=True)
    assert await told.done() == ["begin one", "end one", "begin two", "end two", "hang up"]
