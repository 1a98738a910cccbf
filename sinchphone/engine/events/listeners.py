"""Who is called with what happens: each listener in the order in which they were added, and none kept from it by another's fault."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

from sinchphone.tasks import cancel_all, start_task

T = TypeVar("T")
Listener: TypeAlias = Callable[[T], object]

_log = logging.getLogger(__name__)


class ListenerTasks:
    """What listeners that wait (``async def``) still do: one for a client and its calls. For the loop's thread."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Awaitable[object]) -> None:
        """Await it beside what runs now; where it raises, the log says so."""
        start_task(_finish(work), name="listener", among=self._running)

    async def close(self, limit_s: float) -> None:
        """Wait for them as long as that, and cancel those that go on. May be awaited by one of them."""
        others = self._running - {asyncio.current_task()}
        if not others:
            return
        try:
            await asyncio.wait(others, timeout=limit_s)
        finally:
            await cancel_all(others)


class Listeners(Generic[T]):
    """For the loop's thread."""

    def __init__(self, tasks: ListenerTasks) -> None:
        self._tasks = tasks
        self._added: list[Listener[T]] = []

    def add(self, listener: Listener[T]) -> None:
        """Call it with what is told from now on, after those that were added before. One that was added already isn't added again."""
        if listener not in self._added:
            self._added.append(listener)

    def remove(self, listener: Listener[T]) -> None:
        """Don't call it any more, not with what is being told either. Nothing happens where it isn't one."""
        if listener in self._added:
            self._added.remove(listener)

    def tell(self, event: T) -> None:
        """Call all of them; an ``async def`` runs as a task, begun in the same order."""
        for listener in tuple(self._added):
            if listener not in self._added:
                continue
            try:
                result = listener(event)
            except Exception as error:  # noqa: BLE001 - it's another's code, and the others are to hear
                _log_fault(error)
            else:
                if isinstance(result, Awaitable):
                    self._tasks.start(result)


async def _finish(work: Awaitable[object]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - as above
        _log_fault(error)


def _log_fault(error: Exception) -> None:
    _log.error("a listener failed: %s", type(error).__name__, exc_info=error)
