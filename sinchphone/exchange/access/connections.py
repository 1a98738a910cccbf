"""Which connections are open: so many of one address, so many in all; the oldest idle one goes first, and it's logged.

::

    accepted -> idle -> request with its whole body -> served -> idle -> ...
                  ^ silence, half a head, half a body: no more than that
"""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from sinchphone.exchange.access.limits import Shares

MOST: Final = 1_000
TLS_SECONDS: Final = 10.0  # for the handshake
SILENT_SECONDS: Final = 75.0  # without a request
LOG_SECONDS: Final = 60.0

_logger = logging.getLogger(__name__)


class Connection(Hashable, Protocol):
    """What can be closed (a protocol of asyncio)."""

    address: str

    def abort(self) -> None:
        """Close it at once."""


@dataclass(slots=True)
class Connections:
    """The open connections of one server. Pure but for its log; ``now`` is in seconds of a steady clock."""

    most: int
    most_of_one: int
    idle: Shares[Connection] = field(init=False)
    served: Shares[Connection] = field(init=False)
    closed: int = 0
    _logged_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.idle = Shares(self.most, self.most_of_one)
        self.served = Shares(self.most, self.most_of_one)

    def open(self, connection: Connection, now: float) -> None:
        """A connection was accepted: nothing came over it yet."""
        self._abort(self.idle.add(connection, connection.address), now)
        while len(self.idle) + len(self.served) > self.most:
            crowded = self.idle if len(self.idle) > 1 else self.served
            self._abort([crowded.oldest_of_most()], now)

    def serve(self, connection: Connection, now: float) -> None:
        """A whole request came over it."""
        if connection in self.idle:
            self.idle.remove(connection)
            self._abort(self.served.add(connection, connection.address), now)

    def rest(self, connection: Connection, now: float) -> None:
        """The request was answered."""
        if connection in self.served:
            self.served.remove(connection)
            self._abort(self.idle.add(connection, connection.address), now)

    def close(self, connection: Connection) -> None:
        """It's gone."""
        self.idle.remove(connection)
        self.served.remove(connection)

    def _abort(self, connections: list[Connection], now: float) -> None:
        for connection in connections:
            connection.abort()
        self.closed += len(connections)
        if connections and now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            _logger.warning("too many connections, most of them of %s: the oldest idle ones are closed", connections[-1].address)


class _Counted(asyncio.Protocol):
    """A connection of the server, counted from the moment that it's accepted."""

    __slots__ = ("_guard", "_inner", "_transport", "address")

    def __init__(self, inner: web.RequestHandler, guard: "ConnectionGuard") -> None:
        self._inner = inner
        self._guard = guard
        self._transport: asyncio.BaseTransport | None = None
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._inner.connection_made(transport)
        self._guard.accepted(self, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._guard.lost(self, self._transport)
        self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> None:
        self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def abort(self) -> None:
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()


class ConnectionGuard:
    """Counts a server's connections and closes what is too much. ``middleware`` and ``site`` are to be used with one another."""

    def __init__(self, most: int | None = None) -> None:
        """``most`` connections; where it isn't given as many as this process may well have."""
        most = most or _most()
        self.connections = Connections(most, most)
        self._answered_at = time.monotonic()
        self._counted: dict[asyncio.BaseTransport, _Counted] = {}

    def accepted(self, connection: _Counted, transport: asyncio.BaseTransport) -> None:
        """A connection is there."""
        self._counted[transport] = connection
        self.connections.open(connection, time.monotonic())

    def lost(self, connection: _Counted, transport: asyncio.BaseTransport) -> None:
        """A connection is gone."""
        self._counted.pop(transport, None)
        self.connections.close(connection)

    def began(self, request: web.Request) -> None:
        """A request came; while its body doesn't, the connection counts as idle."""
        connection = self._counted.get(request.transport) if request.transport is not None else None
        if connection is not None and request.content.is_eof():
            self.connections.serve(connection, time.monotonic())

    def ended(self, transport: asyncio.BaseTransport | None) -> None:
        """It was answered."""
        connection = self._counted.get(transport) if transport is not None else None
        if connection is not None:
            self.connections.rest(connection, time.monotonic())
        self._answered_at = time.monotonic()

    def idle_seconds(self, now: float) -> float:
        """How long ago the last request was answered, at ``time.monotonic()``; 0 while one is served."""
        return 0.0 if len(self.connections.served) else now - self._answered_at

    def counted(self, server: Callable[[], web.RequestHandler]) -> Callable[[], asyncio.Protocol]:
        """A factory of protocols that are counted."""
        return lambda: _Counted(server(), self)


class GuardedSite(web.SockSite):
    """Serves at a socket that listens as ``web.SockSite`` does, with connections that are counted and handshakes that end."""

    def __init__(
        self, runner: web.AppRunner, listening: socket.socket, guard: ConnectionGuard, *, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(runner, listening, ssl_context=tls)
        self._guard = guard

    async def start(self) -> None:
        """Serve."""
        await web.BaseSite.start(self)
        assert self._runner.server is not None, "the runner was set up"
        self._server = await asyncio.get_running_loop().create_server(
            self._guard.counted(self._runner.server),
            sock=self._sock,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=TLS_SECONDS if self._ssl_context is not None else None,
        )


def _most() -> int:
    """Half of the descriptors that this process may have: files, sockets of calls and the like need theirs."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(16, min(MOST, soft // 2))
