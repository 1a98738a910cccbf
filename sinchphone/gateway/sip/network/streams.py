"""SIP over TCP and TLS: the connections of one agent, those it made and those that were made to it.

::

    accepted: limits -> (TLS handshake) -> framer -> received(message, hop with the connection's id)
    made:     connect (TLS: name checked) -> what waited is written -> as above; used again for the same neighbour
"""

import asyncio
import contextlib
import ipaddress
import itertools
import logging
import os
import ssl
from collections import Counter, deque
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias, cast

from sinchphone.errors import INSECURE, RemoteProtocolError
from sinchphone.gateway.sip.network.hop import Failed, Hop, Received, TransportError
from sinchphone.protocol.sip.framing import PONG, FramingLimits, Ping, StreamFramer
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task
from sinchphone.tls import why_tls_failed

_HANDSHAKE_SECONDS: Final = 8.0
_MESSAGE_SECONDS: Final = 32.0  # for the rest of a message that has begun
_FLUSH_SECONDS: Final = 1.0  # for what isn't written yet
_LONGEST_WAITING_BYTES: Final = 1024 * 1024  # written by us, not taken by the peer

_logger = logging.getLogger(__name__)

_REMEMBERED: Final = 1024  # senders, of what the peer hasn't reacted to

_Waiting: TypeAlias = tuple[bytes, Failed | None]


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What the connections of an agent may be."""

    framing: FramingLimits
    connections: int
    per_source: int  # of those that were made to us
    idle_seconds: float
    connect_seconds: float
    origins: Mapping[int, str]  # by version of IP: the address that connections are made from


class StreamConnections:
    """All connections. ``received`` gets each whole message; ``trust`` is the context for the servers that we call."""

    def __init__(self, limits: StreamLimits, received: Received, trust: ssl.SSLContext) -> None:
        self.limits = limits
        self.received = received
        self._trust = trust
        self._ids = itertools.count(1)
        self._open: dict[int, StreamConnection] = {}
        self._made: dict[Hop, StreamConnection] = {}
        self._sources: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def accept(self, context: ssl.SSLContext | None) -> "StreamConnection":
        """The protocol for a connection that is made to us; with a context it begins with a TLS handshake."""
        return StreamConnection(self, next(self._ids), None, context)

    def send(self, data: bytes, hop: Hop, failed: Failed | None) -> None:
        """Send over the hop's connection, or over one that leads there. Raises TransportError."""
        if self._closed:
            raise TransportError("the SIP port is closed")
        if hop.connection is not None:
            stream = self._open.get(hop.connection)
            if stream is None:
                raise TransportError("the connection is gone")
        else:
            stream = self._made.get(hop) or self._connect(hop)
        stream.send(data, failed)

    def _connect(self, hop: Hop) -> "StreamConnection":
        if len(self._open) >= self.limits.connections:
            raise TransportError("there are too many connections")
        stream = StreamConnection(self, next(self._ids), hop, None)
        self._open[stream.id] = self._made[hop] = stream
        self.own(self._reach(stream, hop), f"sip connect {stream.id}")
        return stream

    async def _reach(self, stream: "StreamConnection", hop: Hop) -> None:
        """Connect within the time for it; what waits hears why, if it doesn't come to that."""
        more: dict[str, Any] = {}
        if hop.transport == "tls":
            more |= {"ssl": self._trust, "server_hostname": hop.server_name or hop.host}
        origin = self.limits.origins.get(ipaddress.ip_address(hop.host).version)
        if origin is not None:
            more["local_addr"] = (origin, 0)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                await loop.create_connection(lambda: stream, hop.host, hop.port, **more)
        except TimeoutError:
            stream.fail(TransportError("it took too long to connect"))
        except OSError as error:
            stream.fail(_why_not_reached(error, hop))

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task that ends with the streams."""
        start_task(work, name=name, among=self._tasks)

    def admit(self, stream: "StreamConnection", source: str) -> bool:
        """Whether one more connection from there is taken."""
        if self._closed or len(self._open) >= self.limits.connections or self._sources[source] >= self.limits.per_source:
            return False
        self._sources[source] += 1
        self._open[stream.id] = stream
        return True

    def forget(self, stream: "StreamConnection", source: str | None) -> None:
        """A connection is over."""
        if self._open.pop(stream.id, None) is not None and source is not None:
            self._sources[source] -= 1
            self._sources += Counter()  # drops the zeros
        if stream.key is not None and self._made.get(stream.key) is stream:
            del self._made[stream.key]

    def start(self) -> None:
        """Watch over connections that say nothing."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for stream in list(self._open.values()):
            stream.check(now)
        self._sweep = loop.call_later(min(5.0, self.limits.idle_seconds / 4), self.start)

    async def close(self) -> None:
        """End every connection; what isn't written yet has a moment."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for task in self._tasks:
            task.cancel()
        endings = [stream.close() for stream in list(self._open.values())]
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if endings:
            await asyncio.wait(endings, timeout=_FLUSH_SECONDS)
        for stream in list(self._open.values()):
            stream.abort()
        if endings:
            await asyncio.wait(endings, timeout=_FLUSH_SECONDS)


def _why_not_reached(error: OSError, hop: Hop) -> TransportError:
    tls = why_tls_failed(error, connecting=hop.transport == "tls")
    if tls is not None:
        return TransportError(f"{INSECURE}: {tls.reason}", hint=tls.hint)
    return TransportError(os.strerror(error.errno).lower() if error.errno else "no connection")


class StreamConnection(asyncio.Protocol):
    """One connection. ``key`` is the hop that we made it for; None where it was made to us."""

    def __init__(self, streams: StreamConnections, id_: int, key: Hop | None, context: ssl.SSLContext | None) -> None:
        self.id = id_
        self.key = key
        self._streams = streams
        self._context = context
        self._framer = StreamFramer(streams.limits.framing)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._hop = replace(key, connection=id_) if key is not None else None
        self._source: str | None = None  # where it was made from
        self._waiting: deque[_Waiting] = deque()  # as long as it isn't connected
        self._early = bytearray()  # decrypted while the handshake's end isn't known to us
        self._unanswered: deque[Failed] = deque(maxlen=_REMEMBERED)  # since something came
        self._heard_at = self._loop.time()
        self._began_at: float | None = None  # a message that isn't whole
        self._over: asyncio.Future[None] = self._loop.create_future()

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, by us or to us; in the latter case not yet with TLS."""
        stream = cast(asyncio.Transport, transport)
        if self.key is not None:
            self._begin(stream)
            return
        address = stream.get_extra_info("peername")
        if not address or not self._streams.admit(self, address[0]):
            _logger.debug("a SIP connection too many is refused")
            stream.abort()
            return
        self._source = address[0]
        self._hop = Hop("tcp" if self._context is None else "tls", address[0], address[1], self.id)
        if self._context is None:
            self._begin(stream)
        else:
            stream.pause_reading()  # the first bytes are the handshake's
            self._streams.own(self._shake_hands(stream, self._context), f"sip handshake {self.id}")

    def data_received(self, data: bytes) -> None:
        """Cut what comes into messages; a stream that can't be understood is closed."""
        self._heard_at = self._loop.time()
        if self._transport is None:
            self._early += data
            return
        if not self._transport.get_write_buffer_size():
            self._unanswered.clear()
        try:
            framed = self._framer.push(data)
        except RemoteProtocolError as error:
            _logger.debug("a SIP connection is closed: %s", error)
            self.abort()
            return
        began_at = self._heard_at if framed or self._began_at is None else self._began_at
        self._began_at = None if self._framer.is_between_messages else began_at
        for one in framed:
            if isinstance(one, Ping):
                with contextlib.suppress(TransportError):
                    self.send(PONG, None)
            elif self._hop is not None:
                self._streams.received(one, self._hop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Over, whoever ended it. With TLS 1.3 the other side may say only now that it doesn't want us."""
        tls = why_tls_failed(exc) if exc is not None else None
        if tls is not None:
            self.fail(TransportError(f"{INSECURE}: {tls.reason}", hint=tls.hint))
        else:
            self.fail(TransportError("the connection was closed before an answer came"))

    # The streams call these.

    def send(self, data: bytes, failed: Failed | None) -> None:
        """Write now or when connected. Raises TransportError."""
        if self._over.done():
            raise TransportError("the connection is gone")
        if self._transport is None:
            self._waiting.append((data, failed))
            if sum(len(one) for one, _ in self._waiting) > _LONGEST_WAITING_BYTES:
                self._waiting.pop()
                raise TransportError("too much waits to be sent")
            return
        if self._transport.is_closing():
            raise TransportError("the connection is gone")
        if failed is not None:
            self._unanswered.append(failed)
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _LONGEST_WAITING_BYTES:
            self.abort()

    def fail(self, error: TransportError) -> None:
        """It's over: tell everybody who sent something that may not have arrived."""
        if self._over.done():
            return
        self._over.set_result(None)
        self._streams.forget(self, self._source)
        concerned = [failed for _, failed in self._waiting if failed is not None] + list(self._unanswered)
        self._waiting.clear()
        self._unanswered.clear()
        for failed in concerned:
            self._loop.call_soon(failed, error)

    def check(self, now: float) -> None:
        """Close it if nothing was said for too long, or a message has been begun and never ended."""
        if self._transport is None:
            return
        if self._began_at is not None and now - self._began_at > _MESSAGE_SECONDS:
            self.abort()
        elif now - self._heard_at > self._streams.limits.idle_seconds:
            self._transport.close()

    def close(self) -> "asyncio.Future[None]":
        """End it when all is written; the future is done when it's over."""
        if self._transport is not None:
            self._transport.close()
        else:
            self.fail(TransportError("the SIP port is closed"))
        return self._over

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()
        self.fail(TransportError("the connection was ended"))

    async def _shake_hands(self, plain: asyncio.Transport, context: ssl.SSLContext) -> None:
        secure: asyncio.Transport | None = None
        try:
            secure = await self._loop.start_tls(plain, self, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_SECONDS)
        except (OSError, ValueError) as error:
            _logger.debug("no TLS with a SIP peer: %s", type(error).__name__)
        finally:
            if secure is None:
                plain.abort()
                self.fail(TransportError("no TLS"))
        if secure is not None and not self._over.done():
            self._begin(secure)

    def _begin(self, transport: asyncio.Transport) -> None:
        """Connected for good: write what waited, read what was early."""
        if self._over.done():
            transport.abort()
            return
        self._transport = transport
        waiting, self._waiting = self._waiting, deque()
        for data, failed in waiting:
            with contextlib.suppress(TransportError):  # closed meanwhile: connection_lost tells
                self.send(data, failed)
        if self._early:
            early, self._early = bytes(self._early), bytearray()
            self.data_received(early)
