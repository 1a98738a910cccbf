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
MAX_PARKED_BYTES: Final = 2_048  # of a request that is parked
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


class ParkedPoll(Protocol):
    """A long poll that waits although nobody serves its request any more."""

    rung: "asyncio.Future[None]"

    def set(self) -> None:
        """Have it answered."""

    def end(self, *, broke_off: bool = False) -> None:
        """It waits no more. ``broke_off``: the client went away."""


class _Counted(asyncio.Protocol):
    """A connection of the server, counted from the moment that it's accepted. While a poll that it brought is parked nobody serves it:
    what served it (parser, tasks, the request as objects, some 13 KiB) is let go of, and made again from the request's text."""

    __slots__ = ("_guard", "_inner", "_make", "_parked", "_request", "_timer", "_transport", "address")

    def __init__(self, make: Callable[[], web.RequestHandler], guard: "ConnectionGuard") -> None:
        self._make = make
        self._inner: web.RequestHandler | None = None
        self._guard = guard
        self._transport: asyncio.BaseTransport | None = None
        self._request = b""  # what came last, where it's one whole request without a body
        self._parked: ParkedPoll | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._serve(transport)
        self._guard.accepted(self, transport)

    def _serve(self, transport: asyncio.BaseTransport) -> web.RequestHandler:
        inner = self._inner = self._make()
        inner.connection_made(transport)
        return inner

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._guard.lost(self, self._transport)
        if self._timer is not None:
            self._timer.cancel()
        if self._inner is not None:
            self._inner.connection_lost(error)
        self._transport = None
        if (parked := self.take()) is not None:
            parked.end(broke_off=True)

    def data_received(self, data: bytes) -> None:
        if self._inner is None:
            self._wake()
        assert self._inner is not None, "somebody serves it"
        is_whole = len(data) <= MAX_PARKED_BYTES and data.startswith(b"GET ") and data.find(b"\r\n\r\n") == len(data) - 4
        self._request = data if is_whole and not self._guard.is_served(self) else b""
        self._inner.data_received(data)

    def eof_received(self) -> None:
        if self._inner is not None:
            self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def abort(self) -> None:
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()

    def park(self, poll: ParkedPoll, seconds: float) -> bool:
        """Let go of what serves the request until the poll rings, in so many seconds at the latest. False where that's not possible."""
        inner = self._inner
        if inner is None or not self._request or poll.rung.done() or self._transport is None or self._transport.is_closing():
            return False
        loop = asyncio.get_running_loop()
        self._inner, self._parked = None, poll
        inner.transport = None  # it stays open
        inner.connection_lost(None)  # cancels the task that serves, and with it the future that this one awaits
        poll.rung = loop.create_future()
        poll.rung.add_done_callback(self._rung)
        self._timer = loop.call_later(seconds, poll.set)
        return True

    @property
    def is_parked(self) -> bool:
        """Whether a poll is, or was just now."""
        return self._parked is not None

    def take(self) -> ParkedPoll | None:
        """The poll that was parked, for who answers it now."""
        parked, self._parked = self._parked, None
        return parked

    def _rung(self, rung: "asyncio.Future[None]") -> None:
        if self._inner is None and self._transport is not None and not self._transport.is_closing():
            self._wake()

    def _wake(self) -> None:
        """Have the request served from the beginning; it finds its poll."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        assert self._transport is not None, "it's open"
        self._serve(self._transport).data_received(self._request)


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
            if (unasked := connection.take()) is not None:  # its request was answered otherwise
                unasked.end()
            self.connections.rest(connection, time.monotonic())
        self._answered_at = time.monotonic()

    def is_served(self, connection: _Counted) -> bool:
        """Whether a request is under way over it."""
        return connection in self.connections.served

    def park(self, transport: asyncio.BaseTransport | None, poll: ParkedPoll, seconds: float) -> bool:
        """Let go of what serves a poll until it rings, in so many seconds at the latest. False where that's not possible."""
        connection = self._counted.get(transport) if transport is not None else None
        return connection is not None and connection.park(poll, seconds)

    def is_woken(self, transport: asyncio.BaseTransport | None) -> bool:
        """Whether a request that comes over a connection is that of a poll which was parked."""
        connection = self._counted.get(transport) if transport is not None else None
        return connection is not None and connection.is_parked

    def take_parked(self, transport: asyncio.BaseTransport | None) -> ParkedPoll | None:
        """The poll that was parked, for who serves its request again."""
        connection = self._counted.get(transport) if transport is not None else None
        return connection.take() if connection is not None else None

    def idle_seconds(self, now: float) -> float:
        """How long ago the last request was answered, at ``time.monotonic()``; 0 while one is served."""
        return 0.0 if len(self.connections.served) else now - self._answered_at

    def counted(self, server: Callable[[], web.RequestHandler]) -> Callable[[], asyncio.Protocol]:
        """A factory of protocols that are counted."""
        return lambda: _Counted(server, self)


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
