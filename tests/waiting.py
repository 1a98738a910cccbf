"""Waiting for what happens by itself."""

import asyncio
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 30.0  # on a machine that others use too


async def until(condition: Callable[[], object]) -> None:
    """Wait until that holds; TimeoutError where it never does."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)
