"""What the programs at the ends of a measured call share that write JSON lines. The standard library alone."""

import asyncio
import json
import sys
import time
from typing import Any

_BUSY_EVERY_S = 0.5


def tell(**what: Any) -> None:
    """From any thread: one write for a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def milliseconds() -> float:
    """The clock that all ends share."""
    return 1000 * time.monotonic()


async def be_busy(seconds: float) -> None:
    """Do something else in this loop, again and again."""
    while True:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        await asyncio.sleep(_BUSY_EVERY_S - seconds)
