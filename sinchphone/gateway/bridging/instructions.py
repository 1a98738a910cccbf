"""What a backend tells a call that goes on (Sinch Voice REST, PATCH calls): instructions in place of those that are being carried out, or
over the talk; then the end, or on as before.

::

    PATCH -> update -> the instructions that run are broken off -> the new ones -> hang up, or what the call would have done next
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sinchphone.gateway.svaml.script import CarryOut
from sinchphone.protocol.callbacks.svaml import Action, Continue, Hangup, Instruction, Svaml
from sinchphone.tasks import start_task


class Instructions:
    """The instructions of one call, one after the other."""

    def __init__(self, hang_up: Callable[[], None], spawn: Callable[[Coroutine[Any, Any, None], str], object]) -> None:
        """``hang_up`` ends the call for its backend; ``spawn`` has something done beside the call."""
        self._hang_up = hang_up
        self._spawn = spawn
        self._turn = asyncio.Lock()  # whoever has it carries instructions out
        self._running: asyncio.Task[None] | None = None
        self._update: Svaml | None = None  # in place of those that run
        self._next: Svaml | None = None  # of an update that hasn't begun yet

    async def carry_out(self, instructions: tuple[Instruction, ...], carry_out: CarryOut) -> None:
        """After those that run, until they are carried out, or those that took their place. Raises what ``carry_out`` does."""
        async with self._turn:
            await self._carry_out(instructions, carry_out, Continue())

    async def _carry_out(self, instructions: tuple[Instruction, ...], carry_out: CarryOut, action: Action) -> None:
        while True:
            running = self._running = start_task(carry_out(instructions), name="instructions")
            try:
                await asyncio.wait([running])
            finally:
                self._running = None
                running.cancel()
            update, self._update = self._update, None
            if update is None:
                await running
                break
            instructions, action = update.instructions, update.action
        if isinstance(action, Hangup):
            self._hang_up()

    def update(self, answer: Svaml, carry_out: CarryOut) -> None:
        """Do that in place of what is being carried out at present, or by ``carry_out`` where that is nothing; then what it says of the
        call: it is over where that is hangup."""
        if self._running is not None:
            self._update = answer
            self._running.cancel()
        elif self._next is not None:
            self._next = answer
        else:
            self._next = answer
            self._spawn(self._begin(carry_out), "update")

    async def _begin(self, carry_out: CarryOut) -> None:
        async with self._turn:
            answer, self._next = self._next, None
            assert answer is not None, "one was asked for"
            await self._carry_out(answer.instructions, carry_out, answer.action)
