"""What the rooms of an exchange ask of whoever keeps what it remembers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from typing import Any, Final, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from sinchphone.errors import ConfigError, NetworkError
from sinchphone.exchange.store.tables import Row, Table


class StoreError(ConfigError):
    """The exchange can't keep what it must remember."""


class StoreAwayError(StoreError, NetworkError):
    """It can't at the moment: whoever keeps it isn't reached, or isn't fit for it. Trying again may help."""


Changed: TypeAlias = Callable[[Row], None]
Gone: TypeAlias = Callable[[tuple[Any, ...]], None]  # the key of a row


class Store(Protocol):
    """Tables of rows. Changes are written in order, many at a time; ``settle`` says when they are."""

    async def open(self) -> None:
        """Open or make it. Raises StoreError."""

    async def read(self, table: Table) -> list[Row]:
        """All rows, in the order in which they first came; for the start, before anything is written. Raises StoreError."""

    def put(self, table: Table, *row: Any) -> None:
        """Have a row written soon, in place of the one of that key."""

    def drop(self, table: Table, *key: Any) -> None:
        """Have the row of that key forgotten soon."""

    def drop_where(self, table: Table, **equal: Any) -> None:
        """Have all rows forgotten whose columns are so."""

    async def keep(self, table: Table, *rows: Row) -> None:
        """Write these rows, and return when all are written; where they can't be, none ever is. Raises StoreError."""

    def mark(self) -> int:
        """Where what is changed from here on begins: for ``settle``. Raises StoreError where nothing is taken at present."""

    async def settle(self, since: int = 0) -> None:
        """Return when everything so far is written. Raises StoreError where what was changed after that ``mark`` couldn't be. Cancelling is
        safe."""

    def exclusive(self, application: str) -> AbstractAsyncContextManager[None]:
        """Our turn to change what depends on what is there: all that other processes changed of that application is known then, and what
        we change is written at the end. Raises StoreError."""

    async def catch_up(self) -> None:
        """Know all that other processes changed until now. Raises StoreError."""

    def follow(self, table: Table, changed: Changed, gone: Gone) -> None:
        """Tell what other processes change of a table."""

    async def close(self) -> None:
        """Write what is left and close. May be called twice."""


class Undo(ExitStack):
    """What takes back the changes that are made since it was opened, last first."""

    def __init__(self, store: Store) -> None:
        """Raises StoreError where it takes nothing at present."""
        super().__init__()
        self._store = store
        self._since = store.mark()

    async def settle(self) -> None:
        """Return when all that was changed until now is kept. Raises StoreError."""
        await self._store.settle(self._since)


_REFUSED_SECONDS: Final = 1.0  # so long who is refused waits for changes that were begun later to be taken back first
_unsettled: Final[WeakKeyDictionary[Store, list[asyncio.Event]]] = WeakKeyDictionary()  # one for each change, in the order of their begin


@asynccontextmanager
async def kept(store: Store) -> AsyncIterator[Undo]:
    """What is changed inside is written when this is left. Where it can't be, or the work inside fails or is cancelled, what was put on
    the stack takes it back, last first, in memory and in the store: who was refused finds everything as it was. Raises StoreError.

    Until then others see the change: a name is taken for them, a user who is being forgotten is unknown, a new password is the one that
    counts. That is for as long as the store takes to refuse, and none of it is told to anybody as done.

    Of several changes that are refused together the last is taken back first too: it may have been made on top of another.
    Every change that somebody asks for goes through here. What the exchange notes by itself (who registered, which messages a device
    has, what a call cost) is written behind: on a full disk calls go on."""
    undo, over = Undo(store), asyncio.Event()
    changes = _unsettled.setdefault(store, [])
    changes.append(over)
    try:
        yield undo
        await undo.settle()
    except StoreError:
        try:
            await _wait_for(changes[changes.index(over) + 1 :])
        finally:
            undo.close()
        over.set()
        with suppress(StoreError):  # a store that takes nothing has nothing that must be taken back
            await store.settle()
        raise
    except BaseException:
        undo.close()
        raise
    finally:
        changes.remove(over)
        over.set()


async def _wait_for(changes: Iterable[asyncio.Event]) -> None:
    """Until they are over, for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REFUSED_SECONDS):
            for over in changes:
                await over.wait()
