"""What was told, for any number of readers: each gets every event in order from when it subscribed, the oldest are forgotten."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class EventLog(Generic[T]):
    """Keeps what some reader has not had yet, at most the last ``limit`` events: an event may hold a whole call. For the loop's thread."""

    def __init__(self, limit: int) -> None:
        self._kept: deque[T] = deque(maxlen=limit)
        self._count = 0  # of all that were told
        self._read = 0  # of those that a reader had
        self._ended = False
        self._changed = asyncio.Event()
        self._readers: WeakSet[EventReader[T]] = WeakSet()

    def put(self, event: T) -> None:
        """Tell one more."""
        self._kept.append(event)
        self._count += 1
        self._wake()

    def end(self) -> None:
        """There will be no more: readers end when they have read what there is."""
        self._ended = True
        self._wake()

    def read(self) -> "EventReader[T]":
        """A reader, subscribed from now on. It begins with what no other has read yet, and misses what it leaves unread for too long:
        the oldest of more than ``limit`` events."""
        reader = EventReader(self, self._read)
        self._readers.add(reader)
        return reader

    async def after(self, at: int) -> tuple[T, int]:
        """The event number ``at``, or the oldest later one that is kept, and the number of the next; waits for it. Cancelling is safe.
        Raises StopAsyncIteration where there will be none."""
        while True:
            first = self._count - len(self._kept)
            at = max(at, first)
            if at < self._count:
                self._read = max(self._read, at + 1)
                return self._kept[at - first], at + 1
            if self._ended:
                raise StopAsyncIteration
            await self._changed.wait()

    def forget(self) -> None:
        """Let go of what every reader that is still there has had. Who comes later begins after it."""
        needed = min((reader.at for reader in self._readers), default=self._read)
        while self._kept and self._count - len(self._kept) < min(needed, self._read):
            self._kept.popleft()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class EventReader(AsyncIterator[T]):
    """One reader. Waiting for its next event may be cancelled, and gone on with."""

    def __init__(self, log: EventLog[T], at: int) -> None:
        self._log = log
        self.at = at  # the number of its next event

    async def __anext__(self) -> T:
        event, self.at = await self._log.after(self.at)
        self._log.forget()
        return event
