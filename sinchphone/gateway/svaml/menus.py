"""Runs a menu on a call: says its prompts, hears digits, and gives what came of it.

::

    ScriptedEnd.next_digit, prompt said, deadline -> MenuMachine -> prompts
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from sinchphone.exchange.destinations.parties import Silence
from sinchphone.gateway.svaml.ends import ScriptedEnd
from sinchphone.protocol.callbacks.menu import MenuEffect, MenuFinished, MenuMachine, MenuResult, PlayPrompt, StopPrompt
from sinchphone.protocol.callbacks.svaml import Prompt, RunMenu
from sinchphone.tasks import start_task

SayPrompts = Callable[[ScriptedEnd, tuple[Prompt, ...], str | None], Coroutine[Any, Any, None]]  # returns when they were said


class MenuRun:
    """One ``runMenu`` on one end. ``run`` it once; cancelling is safe."""

    def __init__(self, end: ScriptedEnd, plan: RunMenu, say: SayPrompts) -> None:
        self._end = end
        self._plan = plan
        self._say = say
        self._machine = MenuMachine(plan)
        self._saying: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[str] | None = None

    @property
    def menu(self) -> str:
        """The menu that it is in."""
        return self._machine.menu

    async def run(self) -> MenuResult:
        """From its first prompt to what came of it; digits that were too many are put back. Raises MediaError."""
        try:
            await self._end.preview()
            await self._end.listen(Silence())
            return await self._until_finished()
        finally:
            await self._stop_saying()
            self._put_back()

    async def _until_finished(self) -> MenuResult:
        effects = self._machine.start(_now())
        while (result := await self._perform(effects)) is None:
            effects = await self._next()
        return result

    async def _perform(self, effects: list[MenuEffect]) -> MenuResult | None:
        for effect in effects:
            match effect:
                case PlayPrompt(prompts):
                    await self._stop_saying()
                    self._saying = start_task(self._say(self._end, prompts, self._plan.locale), name="prompt")
                case StopPrompt():
                    await self._stop_saying()
                case MenuFinished(result):
                    return result
                case _:
                    assert_never(effect)
        return None

    async def _next(self) -> list[MenuEffect]:
        """Wait for whatever happens first."""
        if self._reading is None:
            self._reading = start_task(self._end.next_digit(), name="digit")
        waiting: set[asyncio.Task[Any]] = {self._reading, *([self._saying] if self._saying is not None else [])}
        deadline = self._machine.deadline
        done, _ = await asyncio.wait(
            waiting, timeout=None if deadline is None else max(0.0, deadline - _now()), return_when=asyncio.FIRST_COMPLETED
        )
        if self._reading in done:
            digit, self._reading = self._reading.result(), None
            return self._machine.digit(digit, _now())
        if self._saying is not None and self._saying in done:
            saying, self._saying = self._saying, None
            saying.result()
            return self._machine.prompt_ended(_now())
        return self._machine.expire(_now())

    async def _stop_saying(self) -> None:
        saying, self._saying = self._saying, None
        if saying is not None:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
            await self._end.listen(Silence())

    def _put_back(self) -> None:
        unread, reading = self._machine.unread, self._reading
        if reading is not None and not reading.cancel() and not reading.cancelled() and reading.exception() is None:
            unread = [*unread, reading.result()]
        self._end.put_back(unread)


def _now() -> float:
    return asyncio.get_running_loop().time()
