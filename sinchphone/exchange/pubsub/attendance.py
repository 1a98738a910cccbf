"""At which channels somebody listens at which process of an exchange: told to the others, but not each poll of it.

::

    began, ended -> after a moment without another poll -> a row of this process -> every other: Broker.heard_elsewhere
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, TypeAlias

from sinchphone.exchange.pubsub.broker import BROKEN_SECONDS, Broker
from sinchphone.exchange.store.store import Store
from sinchphone.exchange.store.tables import LISTENING, Row

SETTLED_SECONDS: Final = 1.0  # who polls again at once hasn't gone

_FOREVER: Final = -1.0  # infinity, as JSON has none
_Key: TypeAlias = tuple[str, str, str]  # application, network, channel


class SharedAttendance:
    """This process's end of it: ``process`` is its name. ``recall`` before somebody listens."""

    def __init__(self, store: Store, process: str) -> None:
        self._broker: Broker | None = None  # who serves those that listen here
        self._store = store
        self._process = process
        self._told: set[_Key] = set()
        self._ended: dict[_Key, tuple[float, float]] = {}  # when the last poll did: by the loop's clock, and the wall's

    @property
    def _served(self) -> Broker:
        assert self._broker is not None, "recalled before somebody listens"
        return self._broker

    async def recall(self, broker: Broker) -> None:
        """Know where somebody listens, and tell ``broker`` of it from now on. Raises StoreError."""
        self._broker = broker
        for row in await self._store.read(LISTENING):
            self._came(row)
        self._store.follow(LISTENING, self._came, self._went)

    def began(self, application: str, network: str, channel: str) -> None:
        """Somebody waits for the channel's messages here."""
        key = (application, network, channel)
        if key not in self._told:
            self._told.add(key)
            self._store.put(LISTENING, application, self._process, network, channel, _FOREVER, 0)

    def expected(self, application: str, network: str, channel: str, now: float) -> None:
        """Somebody is about to."""
        if (application, network, channel) not in self._told:
            self._put_end(application, network, channel, now, broke_off=False)

    def ended(self, application: str, network: str, channel: str, now: float, *, broke_off: bool) -> None:
        """Nobody does any more; they may be back in a moment, or closed their connection."""
        if broke_off:
            self._tell(application, network, channel, now, broke_off=True)
            return
        key, loop = (application, network, channel), asyncio.get_running_loop()
        if key not in self._ended:
            loop.call_later(SETTLED_SECONDS, partial(self._look, key))
        self._ended[key] = (loop.time(), now)

    def left(self, application: str, network: str, channel: str, elsewhere: Iterable[str]) -> None:
        """They said goodbye, also for these processes."""
        self._told.discard((application, network, channel))
        for process in (self._process, *elsewhere):
            self._store.drop(LISTENING, application, process, network, channel)

    async def bury(self, application: str, process: str, now: float) -> None:
        """A process is gone: nobody listens there any more. Raises StoreError."""
        for row in await self._store.read(LISTENING):
            if row[:2] == (application, process) and row[4] == _FOREVER:
                ended = (*row[:4], now, 0)
                self._came(ended)
                self._store.put(LISTENING, *ended)
                self._drop_later(*row[:4])

    def _look(self, key: _Key) -> None:
        """Tell that nobody listens any more, where nobody has for long enough."""
        loop, (ended_at, until) = asyncio.get_running_loop(), self._ended[key]
        rest = ended_at + SETTLED_SECONDS - loop.time()
        if rest > 0 and not self._served.is_polled(*key[1:]):
            loop.call_later(rest, partial(self._look, key))
            return
        del self._ended[key]
        self._tell(*key, until, broke_off=False)

    def _tell(self, application: str, network: str, channel: str, until: float, *, broke_off: bool) -> None:
        key = (application, network, channel)
        if key in self._told and not self._served.is_polled(network, channel):
            self._told.discard(key)
            self._put_end(application, network, channel, until, broke_off=broke_off)

    def _put_end(self, application: str, network: str, channel: str, until: float, *, broke_off: bool) -> None:
        self._store.put(LISTENING, application, self._process, network, channel, until, int(broke_off))
        self._drop_later(application, self._process, network, channel)

    def _drop_later(self, application: str, process: str, network: str, channel: str) -> None:
        """When it makes no difference any more."""

        def drop() -> None:
            if process != self._process or (application, network, channel) not in self._told:
                self._store.drop(LISTENING, application, process, network, channel)

        asyncio.get_running_loop().call_later(BROKEN_SECONDS + SETTLED_SECONDS, drop)

    def _came(self, row: Row) -> None:
        application, process, network, channel, until, broke_off = row
        if process != self._process:
            self._served.heard_elsewhere(network, channel, process, float("inf") if until < 0 else until, broke_off=bool(broke_off))
        elif until >= 0 and (application, network, channel) in self._told:  # others took us for dead
            self._store.put(LISTENING, application, process, network, channel, _FOREVER, 0)

    def _went(self, key: tuple[Any, ...]) -> None:
        application, process, network, channel = key
        if process != self._process:
            self._served.left_elsewhere(network, channel, process)
        else:
            self._told.discard((application, network, channel))
            self._served.dismiss(network, channel)
