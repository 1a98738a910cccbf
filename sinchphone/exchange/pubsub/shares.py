"""Shares of what is limited: so much for each owner, so much in all; where that's full, the oldest of whoever has the most goes (pure)."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class Shares(Generic[Thing]):
    """Things in the order in which they came, each of an owner."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._owned: dict[str, OrderedDict[Thing, None]] = {}
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
        self._owned.setdefault(owner, OrderedDict())[thing] = None
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
            self._owned[self._owners[thing]].move_to_end(thing)

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
