"""How many calls the trunk carries at a time, over all processes where several have it together."""

import asyncio
import logging
from typing import Final, Protocol

from sinchphone.exchange.store.store import StoreError
from sinchphone.gateway.call_facts import Failure
from sinchphone.tasks import start_task

COUNT_AGAIN_SECONDS: Final = 1.0

_log: Final = logging.getLogger(__name__)


class SharedLines(Protocol):
    """What other processes know of our calls."""

    async def count(self, own: int, most: int | None = None) -> bool:
        """We carry so many; where all would carry more than ``most``, one less and False. Raises StoreError."""


class TrunkLines:
    """Of one process."""

    def __init__(self, most: int, shared: SharedLines | None = None) -> None:
        """``most`` calls at a time, in both directions; ``shared``: where other processes carry some of them."""
        self.calls = 0  # here
        self._most = most
        self._shared = shared
        self._asking = asyncio.Lock()  # who says last is right
        self._telling: asyncio.Task[None] | None = None

    async def take(self) -> Failure | None:
        """Use a line, for a call in either direction, until ``release``; why not, where none is free. Cancelling is safe."""
        if self._shared is None:
            return self._take_here()
        async with self._asking:
            try:
                is_free = await self._shared.count(self.calls + 1, self._most)
            except StoreError as error:
                self.tell()
                return Failure(503, f"the lines of the trunk can't be counted: {error}")
            except asyncio.CancelledError:
                self.tell()
                raise
            self.calls += is_free
        return None if is_free else self._full()

    def release(self) -> None:
        """A call is over."""
        self.calls = max(0, self.calls - 1)
        self.tell()

    def tell(self) -> None:
        """Have the others know how many we carry, soon."""
        if self._shared is not None and (self._telling is None or self._telling.done()):
            self._telling = start_task(self._tell(self._shared), name="count calls of the trunk")

    async def close(self) -> None:
        """Calls are over by then. May be called twice."""
        shared, self._shared = self._shared, None
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait((self._telling,))
        if shared is not None:
            try:
                await shared.count(0)
            except StoreError as error:
                _log.info("the others count our calls over the trunk for a moment longer: %s", error)

    def _take_here(self) -> Failure | None:
        if self.calls >= self._most:
            return self._full()
        self.calls += 1
        return None

    def _full(self) -> Failure:
        return Failure(503, f"all {self._most} lines of the trunk are in use")

    async def _tell(self, shared: SharedLines) -> None:
        told = -1
        while told != self.calls:
            async with self._asking:
                told = self.calls
                try:
                    await shared.count(told)
                    continue
                except StoreError:
                    told = -1
            await asyncio.sleep(COUNT_AGAIN_SECONDS)
