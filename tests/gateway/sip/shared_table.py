"""A store that several processes share, without one: in memory, told at once."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

from sinchphone.exchange.processes.phones import PhoneRows
from sinchphone.exchange.store.store import Changed, Gone, StoreError
from sinchphone.exchange.store.tables import Row, Table


class SharedTable:
    """What all have."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, tuple[Any, ...]], Row] = {}
        self.followers: dict[str, tuple[OneStore, Changed, Gone]] = {}
        self.turn = asyncio.Lock()
        self.processes: dict[str, PhoneRows] = {}
        self.agreed: dict[str, str] = {}
        self.used: set[str] = set()
        self.is_reached = True
        self.answers = asyncio.Event()  # what is asked, else it waits
        self.answers.set()

    def phones(self, process: str) -> PhoneRows:
        """As that process sees them."""
        if process not in self.processes:
            one: Any = OneStore(self, process)
            self.processes[process] = PhoneRows(one, one, process)
        return self.processes[process]


class OneStore:
    """One process's end of it."""

    def __init__(self, shared: SharedTable, process: str) -> None:
        self.shared = shared
        self.process = process

    async def agree(self, name: str, value: str) -> str:
        return self.shared.agreed.setdefault(name, value)

    async def use_once(self, application: str, name: str, seconds: float) -> bool:
        await self.shared.answers.wait()
        if not self.shared.is_reached:
            raise StoreError("it isn't reached")
        is_first = name not in self.shared.used
        self.shared.used.add(name)
        return is_first

    async def read(self, table: Table) -> list[Row]:
        return [row for (name, _), row in self.shared.rows.items() if name == table.name]

    def put(self, table: Table, *row: Any) -> None:
        self.shared.rows[table.name, row[: len(table.key)]] = row
        for process, (store, changed, _) in self.shared.followers.items():
            if store is not self:
                assert process != self.process
                changed(row)

    def drop(self, table: Table, *key: Any) -> None:
        if self.shared.rows.pop((table.name, key), None) is not None:
            for store, _, gone in self.shared.followers.values():
                if store is not self:
                    gone(key)

    def exclusive(self, application: str) -> AbstractAsyncContextManager[None]:
        return self.shared.turn

    def follow(self, table: Table, changed: Changed, gone: Gone) -> None:
        self.shared.followers[self.process] = (self, changed, gone)
