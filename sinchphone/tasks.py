"""The one place that makes tasks which belong to no ``asyncio.TaskGroup``."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

Result = TypeVar("Result")

_running: set[asyncio.Task[Any]] = set()


def start_task(work: Coroutine[Any, Any, Result], *, name: str, among: set[asyncio.Task[Result]] | None = None) -> asyncio.Task[Result]:
    """Run ``work`` beside what runs now, on the running loop. Use a ``TaskGroup`` where the work ends before the function that starts it.

    The caller owns the task: it awaits it, or cancels and awaits it when it closes. It is kept from the garbage collector until it's
    done (the loop itself doesn't), so the caller need not hold it for that. ``name`` is what logs and tracebacks call it; ``among`` has
    the task as long as it runs.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_running.discard)
    if among is not None:
        among.add(task)
        task.add_done_callback(among.discard)
    return task


async def close_in_turn(*steps: Callable[[], Awaitable[object]]) -> None:
    """Take each step after the one before, however that one ended: where it raised, or was cancelled, the later ones are taken all the
    same, and the last of what was raised is raised at the end."""
    async with AsyncExitStack() as stack:
        for step in reversed(steps):
            stack.push_async_callback(step)


async def cancel_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel these and wait until they are over, however they end. The collection may lose them meanwhile."""
    ending = tuple(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending)
