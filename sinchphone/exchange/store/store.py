"""What the rooms of an exchange ask of whoever keeps what it remembers."""

from typing import Any, Protocol

from sinchphone.errors import ConfigError
from sinchphone.exchange.store.tables import Row, Table


class StoreError(ConfigError):
    """The exchange can't keep what it must remember."""


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

    async def settle(self) -> None:
        """Return when everything so far is written. Raises StoreError. Cancelling is safe."""

    async def close(self) -> None:
        """Write what is left and close. May be called twice."""
