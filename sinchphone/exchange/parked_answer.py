"""A long poll's answer, which goes through the middlewares before it's known what it says: while it waits, no coroutine is kept of those
that led to it.

::

    route -> ParkedAnswer -> middlewares, which leave work for its end -> aiohttp prepares it: it waits -> the answer proper -> sent
"""

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from sinchphone.exchange.pubsub.polling import Waiting

AtEnd = Callable[[web.StreamResponse | None], None]  # the answer; none where the client went away


class ParkedAnswer(web.StreamResponse):
    """Has no status, headers or body of its own."""

    def __init__(self, waiting: Waiting, seconds: float, write: Callable[[], web.Response]) -> None:
        """``write`` makes the answer when it's rung, ``seconds`` from now at the latest. Nothing of aiohttp's response is made."""
        self._waiting = waiting
        self._write = write
        self._seconds = seconds
        self._at_end: tuple[AtEnd, ...] = ()
        self._answer: web.Response | None = None

    def at_end(self, work: AtEnd) -> None:
        """Do something with the answer when it's there."""
        self._at_end = (*self._at_end, work)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Wait, and begin to send the answer."""
        if self._answer is None:
            timer = asyncio.get_running_loop().call_later(self._seconds, self._waiting.set)
            try:
                await self._waiting.rung
                self._answer = self._write()
            finally:
                timer.cancel()
                self._waiting.end(broke_off=self._answer is None)
                for work in self._at_end:
                    work(self._answer)
        return await self._answer.prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the rest of it."""
        assert self._answer is not None, "it was prepared"
        await self._answer.write_eof(data)

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection may be used again."""
        return self._answer.keep_alive if self._answer is not None else None


def at_end(response: web.StreamResponse, work: AtEnd) -> None:
    """Do something with a response, when it's there."""
    if isinstance(response, ParkedAnswer):
        response.at_end(work)
    else:
        work(response)
