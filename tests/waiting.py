"""Waiting for what happens by itself."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import numpy as np

from sinchphone.audio.frame import Frame, Samples
from sinchphone.tasks import start_task
from tests.instruments import is_steady

PATIENCE_S: Final = 30.0  # on a machine that others use too
CLEAR_FRAMES: Final = 5


async def until(condition: Callable[[], object]) -> None:
    """Wait until that holds; TimeoutError where it never does."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def cancelled_after(turns: int, work: Coroutine[Any, Any, object]) -> bool:
    """Cancel that after so many turns of the loop, and wait for its end; whether it was cancelled before it was over."""
    working = start_task(work, name="cancelled")
    for _ in range(turns):
        await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait([working])
    return working.cancelled()


async def until_sound(heard: Sequence[Frame], like: Callable[[Samples], bool], at: int) -> None:
    """Wait until a tenth of a second of what is heard is like that, from the frame ``at`` on; for ever, where none is.

    A machine that is busy stalls any longer stretch, for as long as it is busy.
    """
    while True:
        if len(heard) < at + CLEAR_FRAMES:
            await asyncio.sleep(0.02)
        elif like(np.concatenate(heard[at : at + CLEAR_FRAMES])):
            return
        else:
            at += 1


async def until_steady(heard: Sequence[Frame], hz: float, seconds: float = 1.0) -> None:
    """Wait until there are so many seconds of which at most a fifth is without that tone; for ever, where gaps go on."""
    while not heard or not is_steady(np.concatenate(heard), hz, seconds):
        await asyncio.sleep(0.1)
