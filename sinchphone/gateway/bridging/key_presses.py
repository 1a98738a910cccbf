"""Keys that a side tells of in two ways: in the media (RFC 4733, or as tones) and by signaling (SIP INFO). Each counts once.

::

    media, signaling -> KeyPresses.counts -> True for a key that was pressed, False for one that was told of already
    signaling -> SignalledDigits -> (a moment later, unless the media has it too) -> the next digit        where the media goes its own way
"""

import asyncio
import time
from collections import deque
from enum import Enum
from typing import Final

TOLERANCE_SECONDS: Final = 1.0  # between the two ways: INFO may have to be sent again
MAX_KEPT: Final = 64
HOLD_SECONDS: Final = 1.0  # that a digit by signaling waits for the media's word


class DigitPath(Enum):
    """How a digit came."""

    MEDIA = "media"
    SIGNALING = "signaling"


class KeyPresses:
    """Tells a key that comes in two ways from a key that is pressed twice: a digit of one way is that of the other at the same time."""

    def __init__(self) -> None:
        self._alone: deque[tuple[str, DigitPath, float, float]] = deque(maxlen=MAX_KEPT)  # what came in one way only, and when: from, to

    def counts(self, digit: str, path: DigitPath, duration_ms: int, now: float) -> bool:
        """Whether that is a key of its own. ``now`` is when it was told of: at its end, mostly."""
        began = now - duration_ms / 1000
        for known in self._alone:
            other, came_by, since, until = known
            if other == digit and came_by is not path and since - TOLERANCE_SECONDS <= now and began <= until + TOLERANCE_SECONDS:
                self._alone.remove(known)
                return False
        self._alone.append((digit, path, began, now))
        return True


class SignalledDigits:
    """Digits by signaling of a side whose media is passed on before anybody can ask: each waits a moment for its double. A side that was
    found to use signaling alone is no longer waited for."""

    def __init__(self) -> None:
        self._presses = KeyPresses()
        self._waiting = asyncio.Queue[tuple[str, int, float]](MAX_KEPT)
        self._may_double = True

    def heard(self, digit: str, duration_ms: int) -> None:
        """It came in the media."""
        self._may_double = True
        self._presses.counts(digit, DigitPath.MEDIA, duration_ms, time.monotonic())

    def signalled(self, digit: str, duration_ms: int) -> None:
        """It came by signaling."""
        if not self._waiting.full():
            self._waiting.put_nowait((digit, duration_ms, time.monotonic()))

    async def next(self) -> tuple[str, int]:
        """The next that came by signaling alone, and its duration [ms]."""
        while True:
            digit, duration_ms, came_at = await self._waiting.get()
            if self._may_double:
                await asyncio.sleep(max(0.0, came_at + HOLD_SECONDS - time.monotonic()))
            if self._presses.counts(digit, DigitPath.SIGNALING, duration_ms, came_at):
                self._may_double = False
                return digit, duration_ms
