"""STUN and TURN servers of a call: some are known before it, others come while it is set up, and later ones take the place of old ones."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field

from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


class IceServerList:
    """Servers that come from elsewhere, shared by all ports of one call. Whoever asks for them ``put``s them, from any thread; the
    ports wait for them in the media loop, each time they gather. ``expect`` has them wait anew, for others in the place of the old ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: tuple[IceServer, ...] | None = None
        self._waiting: list[Callable[[tuple[IceServer, ...]], object]] = []

    def expect(self) -> None:
        """From now on who asks waits for the next ones."""
        with self._lock:
            self._servers = None

    def put(self, servers: tuple[IceServer, ...]) -> None:
        """These are the servers."""
        with self._lock:
            self._servers = servers
            waiting, self._waiting = self._waiting, []
        for give in waiting:
            with suppress(RuntimeError):  # its loop is closed
                give(servers)

    async def get(self) -> tuple[IceServer, ...]:
        """The servers, as soon as they are there. Cancelling is safe."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._servers is not None:
                return self._servers
            coming: asyncio.Future[tuple[IceServer, ...]] = loop.create_future()

            def settle(servers: tuple[IceServer, ...]) -> None:
                if not coming.done():
                    coming.set_result(servers)

            def give(servers: tuple[IceServer, ...]) -> None:
                loop.call_soon_threadsafe(settle, servers)

            self._waiting.append(give)
        try:
            return await coming
        finally:
            with self._lock:
                if give in self._waiting:
                    self._waiting.remove(give)
