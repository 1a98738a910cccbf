"""SIP phones as the processes of an exchange tell each other of them: a row a user, with each phone and whose connection leads to it.

::

    REGISTER here -> turn -> put -> everybody knows          a process is gone -> bury -> its phones aren't registered any more
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeAlias

from sinchphone.exchange.store.store import Store
from sinchphone.exchange.store.tables import PHONES, Row

PROCESS: Final = "process"  # the member that says whose connection leads to a phone; null where nobody's is needed

Phone: TypeAlias = dict[str, Any]  # JSON
PhonesChanged: TypeAlias = Callable[[str, Sequence[Phone]], None]  # a user, and all their phones


class SharedNames(Protocol):
    """What all processes have under a name, and whose they are."""

    async def agree(self, name: str, value: str) -> str:
        """This, where none had anything. Raises StoreError."""

    async def use_once(self, application: str, name: str, seconds: float) -> bool:
        """Whether no process has used that name within so long; it has from now on. Raises StoreError."""


class PhoneRows:
    """The rows as one process sees them. ``process`` is its name."""

    def __init__(self, store: Store, names: SharedNames, process: str) -> None:
        self.process = process
        self.agree: Callable[[str, str], Awaitable[str]] = names.agree
        self.use_once: Callable[[str, str, float], Awaitable[bool]] = names.use_once
        self._store = store
        self._changed: PhonesChanged = lambda user, phones: None
        self._buried: Callable[[], None] = lambda: None

    async def join(self, application: str, changed: PhonesChanged, buried: Callable[[], None]) -> None:
        """Tell which phones there are, and from now on what others change; ``buried``: when they took us for dead. Raises StoreError."""

        def came(row: Row) -> None:
            key, user, text = row
            if key == application:
                changed(user, json.loads(text))

        for row in await self._store.read(PHONES):
            came(row)
        self._store.follow(PHONES, came, lambda key: changed(key[1], ()) if key[0] == application else None)
        self._changed, self._buried = changed, buried

    def turn(self, application: str) -> AbstractAsyncContextManager[None]:
        """Our turn to change them: all that others changed is known. Raises StoreError."""
        return self._store.exclusive(application)

    def put(self, application: str, user: str, phones: Sequence[Phone]) -> None:
        """All phones of a user; in a turn."""
        if phones:
            self._store.put(PHONES, application, user, json.dumps(phones))
        else:
            self._store.drop(PHONES, application, user)

    async def bury(self, application: str, process: str) -> None:
        """A process is gone: nobody reaches the phones whose connections it held. Raises StoreError."""
        async with self._store.exclusive(application):
            for key, user, text in await self._store.read(PHONES):
                phones = json.loads(text)
                left = [one for one in phones if one[PROCESS] != process]
                if key == application and len(left) < len(phones):
                    self.put(application, user, left)
                    self._changed(user, left)

    def taken_for_dead(self) -> None:
        """The others have buried us."""
        self._buried()
