"""SIP's sockets: one address for UDP and TCP, TLS beside it (RFC 3261 18, RFC 5626 4.4.1).

::

    send(message, hop) -> the socket of that family | the hop's connection | one that leads there -> failed(error), perhaps, later
    socket, connection -> one whole message -> received(message, hop to answer to)
"""

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

from sinchphone.errors import ConfigError, NetworkError
from sinchphone.exchange.options import Certificate
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.tls import server_context
from sinchphone.gateway.sip.network.datagrams import Datagrams
from sinchphone.gateway.sip.network.hop import Failed, Hop, Received, TransportError
from sinchphone.gateway.sip.network.streams import StreamConnections, StreamLimits
from sinchphone.protocol.sip.framing import FramingLimits
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tls import client_context

_TRIES: Final = 20  # for a port that is free for UDP, TCP and TLS
_QUEUE_BYTES: Final = 1024 * 1024  # of datagrams that wait to be read: a flood shouldn't crowd others out at once
_DISCARD: Final = 9  # a port to ask the way to: nothing is sent there


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """Where an agent listens. Port 0 takes a free one (the same for UDP and TCP)."""

    hosts: tuple[str, ...] = ("127.0.0.1",)  # numeric, at most one of IPv4 and one of IPv6; "0.0.0.0" and "::" for every address
    port: int = 0
    certificate: Certificate | None = None  # listens with TLS too
    tls_port: int | None = None  # None: the port above the other one; 0: a free one
    ca_files: tuple[Path, ...] = ()  # the authorities of servers' certificates (PEM), beside the system's
    public_address: str | None = None  # an address or name by which others than this machine reach us, where that isn't ours
    connections: int = 1_000
    connections_per_source: int = 32
    idle_seconds: float = 900.0
    connect_seconds: float = 8.0  # less than timer B (32 s), so that the next address of the same name has its turn

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        families = [_family(host) for host in self.hosts]
        if not families or None in families or len(set(families)) != len(families):
            raise ConfigError("SIP listens at one IPv4 address, one IPv6 address or one of each", hint="give addresses, not names")
        for port in (self.port, self.tls_port or 0):
            if not 0 <= port <= 65_535:
                raise ConfigError(f"{port} is not a port", hint="ports go from 1 to 65535")
        if min(self.connections, self.connections_per_source, self.idle_seconds, self.connect_seconds) <= 0:
            raise ConfigError("the limits of SIP connections must be more than 0")


class SipTransports:
    """Every socket of one agent. ``received`` is called in the event loop with each whole message; it must not wait and not raise."""

    def __init__(self, options: TransportOptions, received: Received, record: EventRecord | None = None) -> None:
        """``record`` is told of every message. Raises ConfigError for certificates that can't be used."""
        self._options = options
        self._record = record or EventRecord(is_on=False)
        self._received = received = self._recorded(received)
        limits = StreamLimits(
            framing=FramingLimits(),
            connections=options.connections,
            per_source=options.connections_per_source,
            idle_seconds=options.idle_seconds,
            connect_seconds=options.connect_seconds,
            origins={one.version: host for host in options.hosts if not (one := ipaddress.ip_address(host)).is_unspecified},
        )
        self._streams = StreamConnections(limits, received, client_context(*options.ca_files))
        self._shown = server_context(options.certificate) if options.certificate is not None else None
        self._datagrams: dict[int, Datagrams] = {}  # by family
        self._servers: list[asyncio.Server] = []
        self._port = 0
        self._tls_port: int | None = None

    async def start(self) -> None:
        """Listen. Raises NetworkError where an address can't be had."""
        sockets = self._bind()
        try:
            for plain in sockets.datagram:
                self._datagrams[plain.family] = Datagrams(plain, self._received)
                await self._datagrams[plain.family].open()
            for stream in sockets.stream:
                await self._listen(stream, None)
            for stream in sockets.secure:
                await self._listen(stream, self._shown)
        except BaseException:
            sockets.close()
            await self.close()
            raise
        self._streams.start()

    async def close(self) -> None:
        """Close every socket; what waits to be written has a moment. May be called twice."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        await self._streams.close()
        for one in self._datagrams.values():
            one.close()
        await asyncio.sleep(0)  # the event loop lets go of the sockets

    @property
    def port(self) -> int:
        """Where UDP and TCP listen; 0 before the start."""
        return self._port

    @property
    def tls_port(self) -> int | None:
        """Where TLS listens."""
        return self._tls_port

    def send(self, data: bytes, hop: Hop, failed: Failed | None = None) -> None:
        """Send a message; never waits, never raises.

        ``failed`` is called later, at most once, where the network doesn't take it: no such connection any more, refused, not trusted,
        unreachable, too slow, or closed by the other side before anything came back. It may come after the transaction is over.
        """
        self._record.sip(data, hop.transport, (hop.host, hop.port), self._own(hop), is_ours=True)
        try:
            family = _family(hop.host)
            if family is None:
                raise TransportError("a SIP hop needs an address")
            if hop.is_reliable:
                self._streams.send(data, hop, failed)
            elif family in self._datagrams:
                self._datagrams[family].send(data, hop, failed)
            else:
                raise TransportError("SIP doesn't listen with that version of IP")
        except TransportError as error:
            if failed is not None:
                asyncio.get_running_loop().call_soon(failed, error)

    def address(self, hop: Hop) -> tuple[str, int]:
        """Where that neighbour reaches us by its transport: for Via and Contact (host, port).

        Raises TransportError where there's no such way, such as IPv6 without an IPv6 address of ours.
        """
        host, port = self.local_address(hop)
        public = self._options.public_address
        if (
            public is None
            or ipaddress.ip_address(hop.host.partition("%")[0]).is_loopback
            or _family(public) not in (None, _family(hop.host))
        ):
            return host, port
        return public, port

    def local_address(self, hop: Hop) -> tuple[str, int]:
        """The same, but the address that this machine itself has (numeric). Raises TransportError."""
        family = _family(hop.host)
        ours = next((host for host in self._options.hosts if _family(host) == family), None)
        if family is None or ours is None:
            raise TransportError("SIP doesn't listen with that version of IP")
        port = (self._tls_port or self._port) if hop.transport == "tls" else self._port
        return (_local_address(family, hop.host) if ipaddress.ip_address(ours).is_unspecified else ours), port

    def _recorded(self, received: Received) -> Received:
        if not self._record.is_on:
            return received

        def record(data: bytes, hop: Hop) -> None:
            if data.strip():  # no keep-alive
                self._record.sip(data, hop.transport, (hop.host, hop.port), self._own(hop), is_ours=False)
            received(data, hop)

        return record

    def _own(self, hop: Hop) -> tuple[str, int]:
        """Where we listen."""
        return self._options.hosts[0], (self._tls_port or self._port) if hop.transport == "tls" else self._port

    def _bind(self) -> "_Sockets":
        """Every socket, at ports that are free. Raises NetworkError."""
        for last in range(_TRIES - 1, -1, -1):
            sockets = _Sockets([], [], [])
            try:
                self._bind_all(sockets)
            except OSError as error:
                sockets.close()
                if self._options.port or error.errno != errno.EADDRINUSE or not last:
                    raise _unable(error, self._options.hosts, self._options.port) from error
            else:
                return sockets
        raise AssertionError("the last try returns or raises")

    def _bind_all(self, sockets: "_Sockets") -> None:
        self._port = self._options.port
        for host in self._options.hosts:
            sockets.datagram.append(_bound(socket.SOCK_DGRAM, host, self._port))
            self._port = sockets.datagram[0].getsockname()[1]
            sockets.stream.append(_bound(socket.SOCK_STREAM, host, self._port))
        if self._shown is None:
            return
        self._tls_port = self._port + 1 if self._options.tls_port is None else self._options.tls_port
        for host in self._options.hosts:
            sockets.secure.append(_bound(socket.SOCK_STREAM, host, self._tls_port))
            self._tls_port = sockets.secure[0].getsockname()[1]

    async def _listen(self, bound: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: self._streams.accept(context), sock=bound))


@quick_dataclass(frozen=True, slots=True)
class _Sockets:
    datagram: list[socket.socket]
    stream: list[socket.socket]
    secure: list[socket.socket]

    def close(self) -> None:
        for one in (*self.datagram, *self.stream, *self.secure):
            one.close()


def _bound(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """A socket at that address. Raises OSError."""
    family = _family(host)
    sock = socket.socket(family or socket.AF_INET, kind)
    try:
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM and os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.SOCK_DGRAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE_BYTES)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=1024)
def _family(host: str) -> socket.AddressFamily | None:
    """The family of a numeric address; None for a name."""
    try:
        return socket.AF_INET if ipaddress.ip_address(host).version == 4 else socket.AF_INET6
    except ValueError:
        return None


def _local_address(family: socket.AddressFamily, host: str) -> str:
    """Our address on the way to ``host``. Raises TransportError."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, _DISCARD))
        except OSError as error:
            raise TransportError("there's no way to that address") from error
        return str(probe.getsockname()[0])


def _unable(error: OSError, hosts: tuple[str, ...], port: int) -> NetworkError:
    where = f"{' and '.join(hosts)}, port {port or 'of its choice'}"
    match error.errno:
        case errno.EADDRINUSE:
            return NetworkError(f"another program uses {where}", hint="stop it, or choose another port for SIP")
        case errno.EACCES:
            return NetworkError(f"this user may not listen at {where}", hint="choose a port from 1024 on")
        case code:
            return NetworkError(f"SIP can't listen at {where}: {os.strerror(code or 0)}", hint="check SIP's addresses and port")
