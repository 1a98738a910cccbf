"""A queue: asynchronous work of one kind, done one after the other in the order it was asked for, beside the caller."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from sinchphone.errors import SinchphoneError

Work: TypeAlias = Callable[[], Awaitable[None]]


MAX_AHEAD: Final = 256  # that wait to be done, before whoever asks for more on another's behalf should leave it


class SerialQueue:
    """``put`` never waits; ``run`` does the work. An error that we raise on purpose goes to ``on_error``, and the queue goes on."""

    def __init__(self, on_error: Callable[[SinchphoneError], None]) -> None:
        self._queue: asyncio.Queue[Work] = asyncio.Queue()
        self._on_error = on_error

    def put(self, work: Work) -> None:
        """Have that done after everything that was put before."""
        self._queue.put_nowait(work)

    async def run(self) -> None:
        """Do the work until cancelled."""
        while True:
            work = await self._queue.get()
            try:
                await work()
            except SinchphoneError as error:
                self._on_error(error)
            finally:
                self._queue.task_done()

    @property
    def is_full(self) -> bool:
        """Whether ``MAX_AHEAD`` wait to be done."""
        return self._queue.qsize() >= MAX_AHEAD

    async def drain(self, seconds: float) -> bool:
        """Wait until everything is done, at most that long; whether it was."""
        try:
            async with asyncio.timeout(seconds):
                await self._queue.join()
        except TimeoutError:
            return False
        return True
