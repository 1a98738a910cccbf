"""How many measured values were at most each of some bounds, and their sum (pure)."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate


class Histogram:
    """Values by size. Noted in one thread; any other may read it, and may miss the latest value."""

    def __init__(self, bounds: Iterable[float]) -> None:
        """``bounds`` rise; what is above the last is counted too."""
        self.bounds = tuple(bounds)
        self.sum = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def note(self, value: float) -> None:
        """One more value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[int]:
        """How many values were at most each bound; the last number is of all."""
        return list(accumulate(self._counts))
