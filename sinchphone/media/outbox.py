"""Carries events from the media thread to one reader on any event loop, in order."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

Event = TypeVar("Event")


class Outbox(AsyncIterator[Event], Generic[Event]):
    """A queue with one reader, which iterates over it. An ``anext`` that is cancelled takes nothing out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._reader: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._ended = False

    def put(self, event: Event) -> None:
        """The next event. Any thread, never blocks; does nothing after the end."""
        with self._lock:
            if not self._ended:
                self._waiting.append(event)
                self._wake()

    def end(self) -> None:
        """There will be no more: the reader gets what is left, then its loop ends. Any thread, may be called twice."""
        with self._lock:
            self._ended = True
            self._wake()

    def __aiter__(self) -> "Outbox[Event]":
        return self

    async def __anext__(self) -> Event:
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if self._waiting:
                    return self._waiting.popleft()
                if self._ended:
                    raise StopAsyncIteration
                bell = loop.create_future()
                self._reader = (loop, bell)
            await bell

    def _wake(self) -> None:
        if self._reader is not None:
            (loop, bell), self._reader = self._reader, None
            with suppress(RuntimeError):  # the reader's loop is closed: nobody reads any more
                loop.call_soon_threadsafe(_ring, bell)


def _ring(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)
