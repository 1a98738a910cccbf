"""Which phone numbers are an application's, as its backend has said: a list, kept for whoever asks."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from enum import Enum
from typing import Any, Final

from sinchphone.exchange.refusals import forbidden, too_many
from sinchphone.exchange.store.store import Store, StoreError, kept
from sinchphone.exchange.store.tables import ASSIGNED_NUMBERS, Row

MAX_ASSIGNED: Final = 10_000  # of an application


class Capability(Enum):
    """What a number is for."""

    VOICE = "voice"
    SMS = "sms"


class AssignedNumbers:
    """By number and capability. A number is of one application for one capability."""

    def __init__(self, store: Store, applications: Iterable[str]) -> None:
        """``applications``: the keys of all."""
        self._store = store
        self._applications: Sequence[str] = sorted(applications)
        self._owners: dict[tuple[str, Capability], str] = {}

    async def recall(self) -> None:
        """Know again those from before this exchange started. Raises StoreError."""
        try:
            for row in await self._store.read(ASSIGNED_NUMBERS):
                self._came(row)
        except ValueError as error:
            raise StoreError("the exchange's store has numbers that can't be read", hint="delete it") from error
        self._store.follow(ASSIGNED_NUMBERS, self._came, self._went)

    def of(self, application: str) -> Iterator[tuple[str, Capability]]:
        """An application's, in the order in which they were assigned."""
        return (number for number, owner in self._owners.items() if owner == application)

    async def assign(self, application: str, numbers: Iterable[str], capability: Capability) -> None:
        """Make them an application's, all or none. Raises RefusedError where one is another's, and StoreError."""
        wanted = [(number, capability) for number in numbers]
        async with kept(self._store) as undo, self._exclusive():
            new = [one for one in dict.fromkeys(wanted) if one not in self._owners]
            undo.callback(self._take_back, application, new)
            self._assign(application, wanted)

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        """Nobody else assigns numbers, of whatever application; the turns are taken in one order everywhere."""
        async with AsyncExitStack() as turns:
            for application in self._applications:
                await turns.enter_async_context(self._store.exclusive(application))
            yield

    def _assign(self, application: str, wanted: Sequence[tuple[str, Capability]]) -> None:
        if any(self._owners.get(one, application) != application for one in wanted):
            raise forbidden("numbers: one is another application's")
        if len({*self.of(application), *wanted}) > MAX_ASSIGNED:
            raise too_many(f"an application has {MAX_ASSIGNED} numbers at most")
        self._put(application, wanted)

    def _put(self, application: str, wanted: Sequence[tuple[str, Capability]]) -> None:
        self._owners.update(dict.fromkeys(wanted, application))
        for number, capability in wanted:
            self._store.put(ASSIGNED_NUMBERS, application, number, capability.value)

    async def unassign(self, application: str, number: str, capability: Capability | None) -> bool:
        """Whether it was the application's; for ``None`` for anything. Raises StoreError."""
        wanted = [(number, one) for one in Capability if capability in (None, one)]
        async with kept(self._store) as undo, self._store.exclusive(application):
            gone = [one for one in wanted if self._owners.get(one) == application]
            self._forget(application, gone, undo)
        return bool(gone)

    def forget(self, application: str, undo: ExitStack) -> None:
        """An application has no numbers any more, unless it's undone."""
        self._forget(application, list(self.of(application)), undo)

    def _forget(self, application: str, gone: Sequence[tuple[str, Capability]], undo: ExitStack) -> None:
        undo.callback(self._put_back, application, gone)
        self._remove(gone)

    def _take_back(self, application: str, new: list[tuple[str, Capability]]) -> None:
        self._remove([one for one in new if self._owners.get(one) == application])

    def _put_back(self, application: str, gone: Sequence[tuple[str, Capability]]) -> None:
        self._put(application, [one for one in gone if one not in self._owners])

    def _remove(self, gone: Sequence[tuple[str, Capability]]) -> None:
        for one in gone:
            self._store.drop(ASSIGNED_NUMBERS, self._owners.pop(one), one[0], one[1].value)

    def _came(self, row: Row) -> None:
        application, number, capability = row
        self._owners[str(number), Capability(capability)] = str(application)

    def _went(self, key: tuple[Any, ...]) -> None:
        application, number, capability = key
        if self._owners.get(one := (number, Capability(capability))) == application:
            del self._owners[one]
