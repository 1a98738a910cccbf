"""How long to wait before trying again: doubling up to a limit, with jitter so that many clients don't come back at once."""

import asyncio
import random
from collections.abc import Callable

from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Backoff:
    """``jitter`` gives numbers from 0 to 1: a delay is between half and all of the nominal one."""

    first_s: float = 0.1
    longest_s: float = 15.0
    jitter: Callable[[], float] = random.random

    def delay_s(self, attempt: int) -> float:
        """The delay [s] before the next try after ``attempt`` (from 0) failed."""
        nominal_s = min(self.longest_s, self.first_s * 2.0 ** min(attempt, 32))
        return nominal_s * (0.5 + 0.5 * self.jitter())

    async def wait(self, attempt: int) -> None:
        """Sleep for ``delay_s(attempt)``."""
        await asyncio.sleep(self.delay_s(attempt))


class RetryPause:
    """The pause between two tries of one thing: cut short once the next one may succeed."""

    def __init__(self) -> None:
        self._cut = asyncio.Event()

    def begin_try(self) -> None:
        """A try begins: only what is known from now on cuts the pause after it short."""
        self._cut.clear()

    def cut(self) -> None:
        """Don't wait: neither now nor after the try that is under way."""
        self._cut.set()

    async def wait(self, delay_s: float) -> bool:
        """Wait for ``delay_s``; whether it was cut short, and the delays may begin anew."""
        try:
            async with asyncio.timeout(delay_s):
                await self._cut.wait()
        except TimeoutError:
            return False
        return True
