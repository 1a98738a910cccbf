"""What a call's caller is connected to at present, and how they are taken away from there, so that something else may follow.

::

    spawn(work), keep(undo)  ->  release: work is cancelled, what was kept is undone, the last first  ->  the caller is ours alone
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sinchphone.exchange.conference.rooms import RoomSeat
from sinchphone.gateway.bridging.bridges import Bridge
from sinchphone.gateway.bridging.lifetime import CallLifetime


class CallerConnection:
    """Of one call. ``bridge`` and ``seat`` are there once the caller talks in them."""

    def __init__(self, lifetime: CallLifetime) -> None:
        self.bridge: Bridge | None = None
        self.seat: RoomSeat | None = None
        self._lifetime = lifetime
        self._tasks: set[asyncio.Task[Any]] = set()
        self._kept: list[Callable[[], Awaitable[object]]] = []

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have that done beside, until the caller is taken away or the call is over; an error of it ends the call."""
        task = self._lifetime.spawn(work, name)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def include(self) -> None:
        """The task that runs now is cancelled too when the caller is taken away."""
        task = asyncio.current_task()
        assert task is not None, "a coroutine asks"
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def keep(self, undo: Callable[[], Awaitable[object]]) -> None:
        """Do that when the caller is taken away. May be done twice: the call's end has cares of its own."""
        self._kept.append(undo)

    async def release(self) -> None:
        """Take the caller away; whoever they talked with is hung up on. The task that asks is spared."""
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.bridge = self.seat = None
        while self._kept:
            await self._kept.pop()()
