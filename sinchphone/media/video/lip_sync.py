"""How long the sound is to wait for pictures that come later than it: none where it's later itself, a bound where they never catch up.

::

    each frame: how late it was for its sound -> the median of the last second -> the delay that the sound ought to have
"""

from collections import deque
from typing import Final

_LAST_SECONDS: Final = 1.0
_LEAST_FRAMES: Final = 3
_STEP_SECONDS: Final = 0.5  # between two changes: the sound is stretched for as long
_LATE: Final = 0.025  # [s] that nobody sees,
_EARLY: Final = -0.060  # and that the sound may wait in vain
_MOST: Final = 0.400  # [s] of delay: beyond that people talk at the same time
_GONE_SECONDS: Final = 5.0  # without a picture


class LipSync:
    """Of one leg. Times in seconds of one clock."""

    def __init__(self) -> None:
        self.delay = 0.0  # that the sound is to have at least [s]
        self._late: deque[tuple[float, float]] = deque()
        self._seen_at = 0.0
        self._changed_at = float("-inf")

    def frame(self, late: float, delay: float, now: float) -> None:
        """A frame was there ``late`` seconds after its sound was heard, negative where it had to wait; the sound has that delay."""
        self._seen_at = now
        self._late.append((now, late))
        while self._late[0][0] < now - _LAST_SECONDS:
            self._late.popleft()
        if len(self._late) < _LEAST_FRAMES or now - self._changed_at < _STEP_SECONDS:
            return
        middle = sorted(each for _, each in self._late)[len(self._late) // 2]
        if middle > _LATE or (middle < _EARLY and self.delay):
            self._change(min(_MOST, max(0.0, delay + middle)), now)

    def expire(self, now: float) -> None:
        """There may be no pictures any more, for which the sound waits."""
        if self.delay and now - self._seen_at > _GONE_SECONDS:
            self._change(0.0, now)

    def _change(self, delay: float, now: float) -> None:
        self.delay, self._changed_at = delay, now
        self._late.clear()
