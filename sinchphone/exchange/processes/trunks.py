"""The trunk as the processes of an exchange tell each other of it: which of them has its registration, and how many calls each carries.

::

    claim -> our turn -> nobody's: ours, a row -> REGISTER -> registered: the row says by which Contact -> everybody knows
    release, or a process is gone -> bury -> nobody's -> another one claims it

The lease is that a process lives: it's told so twice a second, and who isn't heard of any more is buried within some 2 s.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from sinchphone.exchange.store.store import Store
from sinchphone.exchange.store.tables import TRUNKS, Row
from sinchphone.quick_dataclass import quick_dataclass

_LINES: Final = "trunk-calls"


class SharedCounts(Protocol):
    """Numbers that each process has, and that together aren't more than is allowed. ``name`` is what is counted."""

    async def tell(self, application: str, name: str, own: int, most: int | None = None) -> bool:
        """Ours is ``own`` from now on; where all together would be more than ``most``, it's one less and False. Raises StoreError."""

    async def forget(self, application: str, name: str, process: str) -> None:
        """A process has none any more. Raises StoreError."""


@quick_dataclass(frozen=True, slots=True)
class TrunkHolder:
    """``process`` has the registration, or had it where it's empty. ``contact``: the URI that it registered, and hasn't withdrawn;
    ``addresses``: from where the trunk has granted registrations; ``is_registered``: whether it has granted this one."""

    process: str = ""
    contact: str = ""
    addresses: tuple[str, ...] = ()
    is_registered: bool = False


class TrunkRows:
    """The trunk of each application as one process sees it. ``process`` is its name."""

    def __init__(self, store: Store, counts: SharedCounts, process: str, is_reached: Callable[[], bool]) -> None:
        """``is_reached``: whether the others know that this process lives."""
        self.process = process
        self._store = store
        self._counts = counts
        self._is_reached = is_reached
        self._holders: dict[str, TrunkHolder] = {}
        self._followers: list[Callable[[], None]] = []
        self._revived: list[Callable[[], None]] = []

    async def join(self) -> None:
        """Know who has it, and from now on all that changes. Raises StoreError."""
        for row in await self._store.read(TRUNKS):
            self._came(row)
        self._store.follow(TRUNKS, self._came, self._went)

    def follow(self, changed: Callable[[], None]) -> None:
        """Tell when another process has changed something."""
        self._followers.append(changed)

    def holder(self, application: str) -> TrunkHolder:
        """Who has the registration."""
        return self._holders.get(application, TrunkHolder())

    def is_ours(self, application: str) -> bool:
        """Whether this process has it."""
        return self.holder(application).process == self.process

    def may_register(self, application: str) -> bool:
        """The same, and the others know that it lives: else one of them may have it by now."""
        return self._is_reached() and self.is_ours(application)

    async def claim(self, application: str) -> TrunkHolder | None:
        """Have it from now on: who had it before; ``None`` where another process has it. Raises StoreError."""
        async with self._store.exclusive(application):
            before = self.holder(application)
            if before.process not in ("", self.process):
                return None
            self._put(application, TrunkHolder(self.process, before.contact, before.addresses))
        return before

    async def registered(self, application: str, contact: str, address: str) -> None:
        """We are registered by that Contact, as that address grants; nothing happens where it isn't ours any more. Raises StoreError."""
        holder = self.holder(application)
        said = TrunkHolder(self.process, contact, tuple(sorted({*holder.addresses, address})), is_registered=True)
        if said == holder:
            return
        async with self._store.exclusive(application):
            if self.is_ours(application):
                self._put(application, said)

    async def release(self, application: str, *, withdrawn: bool) -> None:
        """Let another process have it; ``withdrawn``: our Contact isn't registered any more. Raises StoreError."""
        async with self._store.exclusive(application):
            if self.is_ours(application):
                holder = self.holder(application)
                self._put(application, TrunkHolder("", "" if withdrawn else holder.contact, holder.addresses))

    async def count(self, application: str, own: int, most: int | None = None) -> bool:
        """We carry ``own`` calls; where all processes together would carry more than ``most``, one less and False. Raises StoreError."""
        return await self._counts.tell(application, _LINES, own, most)

    def revived(self, revived: Callable[[], None]) -> None:
        """Tell when the others had taken us for dead, and have forgotten our calls."""
        self._revived.append(revived)

    async def bury(self, application: str, process: str) -> None:
        """A process is gone: it has no calls, and what it had may be claimed. Raises StoreError."""
        await self._counts.forget(application, _LINES, process)
        if self.holder(application).process != process:
            return
        async with self._store.exclusive(application):
            holder = self.holder(application)
            if holder.process == process:
                self._put(application, TrunkHolder("", holder.contact, holder.addresses))
        self._tell()

    def taken_for_dead(self) -> None:
        """The others have buried us."""
        for revived in self._revived:
            revived()

    def _put(self, application: str, holder: TrunkHolder) -> None:
        self._holders[application] = holder
        self._store.put(TRUNKS, application, holder.process, holder.contact, json.dumps(holder.addresses), holder.is_registered)

    def _came(self, row: Row) -> None:
        application, process, contact, addresses, is_registered = row
        self._holders[application] = TrunkHolder(process, contact, tuple(json.loads(addresses)), is_registered=is_registered)
        self._tell()

    def _went(self, key: Sequence[Any]) -> None:
        self._holders.pop(key[0], None)
        self._tell()

    def _tell(self) -> None:
        for changed in self._followers:
            changed()
