"""Which process of an exchange has which room: the one that opened it, for as long as somebody is in it.

::

    claim -> our turn at the store -> nobody's: ours, a row -> everybody knows
                                   -> another's: its name   -> whoever wants to enter is handed on to it
    the last one leaves -> no row         a process is gone -> its rooms are nobody's
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from sinchphone.exchange.store.store import Store, StoreError
from sinchphone.exchange.store.tables import ROOM_OWNERS, Row
from sinchphone.tasks import start_task

CLAIM_SECONDS: Final = 15.0  # for which a room stays ours where nobody enters

_Room = tuple[str, str]  # the application's key, the room's id


class RoomOwners:
    """One process's end of it. ``process`` is its name. Without a store there is only one process."""

    def __init__(self, store: Store | None = None, process: str = "") -> None:
        self.process = process
        self._store = store
        self._owners: dict[_Room, str] = {}
        self._claimed_at: dict[_Room, float] = {}  # of ours (monotonic)
        self._occupied: set[_Room] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tell_lost: Callable[[str, str], None] | None = None

    async def join(self, lost: Callable[[str, str], None] | None = None) -> None:
        """Know whose the rooms are. ``lost`` is told of each room (application, id) that became another's,
        since others took us for dead. Raises StoreError."""
        self._tell_lost = lost
        if self._store is not None:
            for row in await self._store.read(ROOM_OWNERS):
                self._came(row)
            self._store.follow(ROOM_OWNERS, self._came, self._went)

    async def claim(self, application: str, room: str) -> str | None:
        """The other process that has the room; ``None``: it's ours from now on, until it's empty again. Raises StoreError."""
        key = (application, room)
        if self._store is None:
            return None
        if self._owners.get(key) != self.process:
            async with self._store.exclusive(application):
                owner = self._owners.get(key)
                if owner not in (None, self.process):
                    return owner
                self._owners[key] = self.process
                self._store.put(ROOM_OWNERS, application, room, self.process)
                self._claimed(key)  # also where the turn can't be ended, or nobody waits for that
        self._claimed(key)
        return None

    def _claimed(self, key: _Room) -> None:
        self._claimed_at[key] = time.monotonic()
        asyncio.get_running_loop().call_later(CLAIM_SECONDS, self._look, key)

    def elsewhere(self, application: str, room: str) -> str | None:
        """The other process that has the room; ``None`` where nobody has it, or we do."""
        owner = self._owners.get((application, room))
        return None if owner == self.process else owner

    def opened(self, application: str, room: str) -> None:
        """Somebody is in a room of ours."""
        self._occupied.add((application, room))

    def emptied(self, application: str, room: str) -> None:
        """Nobody is in it any more: it's nobody's, unless somebody is about to enter."""
        self._occupied.discard((application, room))
        self._look((application, room))

    def bury(self, application: str, process: str) -> None:
        """A process is gone: its rooms are nobody's."""
        for key, owner in list(self._owners.items()):
            if self._store is not None and key[0] == application and owner == process:
                del self._owners[key]
                self._store.drop(ROOM_OWNERS, *key)

    def _look(self, key: _Room) -> None:
        """Give it up where nobody is in it nor about to enter."""
        is_claimed = time.monotonic() - self._claimed_at.get(key, float("-inf")) < CLAIM_SECONDS
        if self._store is not None and not is_claimed and key not in self._occupied and self._owners.get(key) == self.process:
            self._claimed_at.pop(key, None)
            del self._owners[key]
            self._store.drop(ROOM_OWNERS, *key)

    def _came(self, row: Row) -> None:
        application, room, process = row
        if process != self.process:
            ours = self._owners.get((application, room)) == self.process
            self._owners[application, room] = process
            if ours:
                self._lose((application, room))

    def _went(self, key: tuple[Any, ...]) -> None:
        room = (key[0], key[1])
        if self._owners.get(room) == self.process:  # by others; or it's what we did ourselves a moment ago, and did anew
            start_task(self._see_whose(room), name="look whose a room is", among=self._tasks)
        else:
            self._owners.pop(room, None)

    async def _see_whose(self, room: _Room) -> None:
        assert self._store is not None, "somebody tells"
        try:
            await self._store.catch_up()
            rows = await self._store.read(ROOM_OWNERS)
        except StoreError:
            return  # what is there is read anew when it's back
        if (*room, self.process) not in rows and self._owners.get(room) == self.process:
            del self._owners[room]
            self._lose(room)

    def _lose(self, room: _Room) -> None:
        self._claimed_at.pop(room, None)
        if self._tell_lost is not None:
            self._tell_lost(*room)
