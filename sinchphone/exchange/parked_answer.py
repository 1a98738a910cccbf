"""A long poll's answer, which goes through the middlewares before it's known what it says: while it waits, no coroutine is kept of those
that led to it, and after a while nothing but the request's text.

::

    route -> ParkedAnswer -> middlewares, which leave work for its end -> aiohttp prepares it: it waits -> the answer proper -> sent
                                                                            | quiet for seconds
                                                                            v
                        connection alone, with the request's text -> it rings -> the request is served from the beginning, at once
"""

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from sinchphone.exchange.access.connections import ConnectionGuard
from sinchphone.exchange.pubsub.polling import Waiting

AtEnd = Callable[[web.StreamResponse | None], None]  # the answer; none where the client went away
Park = Callable[[asyncio.BaseTransport | None, Waiting, float], bool]  # for so many seconds; whether it's done


class Parking:
    """Where polls of a server's connections are parked, and found again."""

    def __init__(self, guard: ConnectionGuard) -> None:
        self.park: Park = guard.park
        self._guard = guard

    def take(self, transport: asyncio.BaseTransport | None) -> Waiting | None:
        """The poll of the request that came over this connection, where it was parked."""
        parked = self._guard.take_parked(transport)
        return parked if isinstance(parked, Waiting) else None


class ParkedAnswer(web.StreamResponse):
    """Has no status, headers or body of its own."""

    def __init__(self, waiting: Waiting, seconds: float, write: Callable[[], web.Response], park: Park, quiet_seconds: float) -> None:
        """``write`` makes the answer when it's rung, ``seconds`` from now at the latest; after ``quiet_seconds`` it's parked. Nothing of
        aiohttp's response is made."""
        self._waiting = waiting
        self._write = write
        self._seconds = seconds
        self._park = park
        self._quiet_seconds = min(quiet_seconds, seconds)
        self._at_end: tuple[AtEnd, ...] = ()
        self._answer: web.Response | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_parked = False

    def at_end(self, work: AtEnd) -> None:
        """Do something with the answer when it's there."""
        self._at_end = (*self._at_end, work)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Wait, and begin to send the answer."""
        if self._answer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._quiet_seconds, self._is_quiet, request.transport)
            try:
                await self._waiting.rung
                self._answer = self._write()
            finally:
                self._timer.cancel()
                if not self._is_parked:
                    self._end()
        return await self._answer.prepare(request)

    def _is_quiet(self, transport: asyncio.BaseTransport | None) -> None:
        left = self._seconds - self._quiet_seconds
        self._is_parked = self._park(transport, self._waiting, left)  # cancels ``prepare``
        if not self._is_parked:
            self._timer = asyncio.get_running_loop().call_later(left, self._waiting.set)

    def _end(self) -> None:
        self._waiting.end(broke_off=self._answer is None)
        for work in self._at_end:
            work(self._answer)

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
