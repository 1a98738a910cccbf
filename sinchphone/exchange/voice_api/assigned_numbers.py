"""Which phone numbers are an application's, as its backend has said: a list, kept for whoever asks."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from sinchphone.exchange.refusals import forbidden, too_many
from sinchphone.exchange.store.store import Store, StoreError
from sinchphone.exchange.store.tables import ASSIGNED_NUMBERS

MAX_ASSIGNED: Final = 10_000  # of an application


class Capability(Enum):
    """What a number is for."""

    VOICE = "voice"
    SMS = "sms"


class AssignedNumbers:
    """By number and capability. A number is of one application for one capability."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owners: dict[tuple[str, Capability], str] = {}

    async def recall(self) -> None:
        """Know again those from before this exchange started. Raises StoreError."""
        rows = await self._store.read(ASSIGNED_NUMBERS)
        try:
            self._owners |= {(str(number), Capability(capability)): str(application) for number, capability, application in rows}
        except ValueError as error:
            raise StoreError("the exchange's store has numbers that can't be read", hint="Delete it.") from error

    def of(self, application: str) -> Iterator[tuple[str, Capability]]:
        """An application's, in the order in which they were assigned."""
        return (number for number, owner in self._owners.items() if owner == application)

    def assign(self, application: str, numbers: Iterable[str], capability: Capability) -> None:
        """Make them an application's, all or none. Raises RefusedError where one is another's."""
        wanted = [(number, capability) for number in numbers]
        if any(self._owners.get(one, application) != application for one in wanted):
            raise forbidden("numbers: one is another application's")
        if sum(owner == application for owner in self._owners.values()) + len(wanted) > MAX_ASSIGNED:
            raise too_many(f"an application has {MAX_ASSIGNED} numbers at most")
        self._owners.update(dict.fromkeys(wanted, application))
        for number, _ in wanted:
            self._store.put(ASSIGNED_NUMBERS, number, capability.value, application)

    def unassign(self, application: str, number: str, capability: Capability | None) -> bool:
        """Whether it was the application's; for ``None`` for anything."""
        wanted = [(number, one) for one in Capability if capability in (None, one)]
        gone = [one for one in wanted if self._owners.get(one) == application]
        self._remove(gone)
        return bool(gone)

    def forget(self, application: str) -> None:
        """An application has no numbers any more."""
        self._remove([one for one, owner in self._owners.items() if owner == application])

    def _remove(self, gone: list[tuple[str, Capability]]) -> None:
        for one in gone:
            del self._owners[one]
            self._store.drop(ASSIGNED_NUMBERS, one[0], one[1].value)
