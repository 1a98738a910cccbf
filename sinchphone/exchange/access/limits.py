"""How much anybody may ask for and hold: allowances that are used up and come back with time, and shares (pure)."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

MAX_ASKERS = 4096  # of those who asked last

Who = TypeVar("Who", bound=Hashable)
Thing = TypeVar("Thing", bound=Hashable)


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
        if len(self._left) > MAX_ASKERS:
            self._left.popitem(last=False)
        return taken

    def _left_of(self, who: Who, now: float) -> float:
        left, at = self._left.get(who, (self._most, now))
        return min(self._most, left + max(0.0, now - at) * self._a_second)


class Shares(Generic[Thing]):
    """Things in the order in which they came, each of an owner: so many of one, so many in all. Where that's full, the oldest of whoever
    has the most goes."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._owned: dict[str, dict[Thing, None]] = {}  # oldest first; an OrderedDict takes three times as much
        self._owners: dict[Thing, str] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, thing: Thing) -> bool:
        return thing in self._owners

    def owner_count(self, owner: str) -> int:
        """How many things an owner has."""
        return len(self._owned.get(owner, ()))

    def add(self, thing: Thing, owner: str) -> list[Thing]:
        """Take a thing in; what has to go for it. Who has too much gives up something of their own, whoever has the most where all do."""
        self._owned.setdefault(owner, {})[thing] = None
        self._owners[thing] = owner
        gone = []
        while self.owner_count(owner) > self._most_of_one:
            gone.append(self._oldest(owner))
        while len(self._owners) > self._most:
            gone.append(self.oldest_of_most())
        return gone

    def oldest_of_most(self) -> Thing:
        """The oldest of whoever has the most, which is gone now."""
        return self._oldest(max(self._owned, key=self.owner_count))

    def touch(self, thing: Thing) -> None:
        """A thing counts as new again."""
        if thing in self._owners:
            owned = self._owned[self._owners[thing]]
            owned[thing] = owned.pop(thing)

    def remove(self, thing: Thing) -> None:
        """A thing is gone; it may have been before."""
        owner = self._owners.pop(thing, None)
        if owner is not None:
            del self._owned[owner][thing]
            if not self._owned[owner]:
                del self._owned[owner]

    def _oldest(self, owner: str) -> Thing:
        thing = next(iter(self._owned[owner]))
        self.remove(thing)
        return thing
