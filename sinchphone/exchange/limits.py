"""How much anybody may ask for: allowances that are used up and come back with time (pure)."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

MAX_REMEMBERED = 4096  # of those who asked last

Who = TypeVar("Who", bound=Hashable)


class Allowances(Generic[Who]):
    """An allowance for each who asks: ``most`` at once, ``a_second`` more as time goes by. ``now`` is in seconds of any clock."""

    def __init__(self, most: float, a_second: float) -> None:
        self._most = most
        self._a_second = a_second
        self._left: OrderedDict[Who, tuple[float, float]] = OrderedDict()  # how much, at what time

    def has(self, who: Who, now: float) -> bool:
        """Whether something is left."""
        return self._left_of(who, now) >= 1

    def take(self, who: Who, now: float) -> bool:
        """Use some; False where nothing is left."""
        left = self._left_of(who, now)
        taken = left >= 1
        self._left[who] = (left - 1 if taken else left, now)
        self._left.move_to_end(who)
        if len(self._left) > MAX_REMEMBERED:
            self._left.popitem(last=False)
        return taken

    def _left_of(self, who: Who, now: float) -> float:
        left, at = self._left.get(who, (self._most, now))
        return min(self._most, left + max(0.0, now - at) * self._a_second)
