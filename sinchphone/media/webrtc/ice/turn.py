"""A client of TURN servers (RFC 8656) over UDP, TCP and TLS: takes an address there, keeps it, and carries datagrams to peers and back.

::

    allocate() -> Allocation.sendto(data, peer)  --channel--> server --> peer
                  receiver.datagram_received(data, peer)  <-- server <-- peer         receiver.connection_lost() once it's over

Written on the library's messages, since its own client gives up at the second stale nonce, binds one channel a packet while a binding is
refreshed, makes a task of every packet, and knows neither IPv6 relays nor connections that don't drain.
"""

import asyncio
import hashlib
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from sinchphone.media.network.priority import RECEIVE_BUFFER_BYTES, prioritise
from sinchphone.media.network.reading import read_datagrams
from sinchphone.media.network.tcp_backlog import TcpBacklog, outstanding_bytes
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice.ice_socket import MALFORMED
from sinchphone.media.webrtc.ice.servers import Server
from sinchphone.tasks import start_task

LIFETIME_SECONDS: Final = 600  # asked for; the server says how long it gives
CHANNEL_SECONDS: Final = 240.0  # a channel lives for 600 s, the permission that its binding gives for 300 (RFC 8656 9, 12)
MAX_CHALLENGES: Final = 25  # of one request: a server may change its nonce as often as it likes, but not for ever (RFC 8489 9.2.5)
MAX_BUFFER_BYTES: Final = 32 * 1024  # that TCP didn't take yet; nothing is added to more
_CHANNEL_BYTES: Final = 4  # before each packet,
_TCP_BYTES: Final = 26  # more of headers with TCP and its time stamps than with UDP, and of padding about,
_TLS_BYTES: Final = 22  # and of a record (RFC 8446 5.2)
_REFUSED_SECONDS: Final = 60.0  # how long a peer that the server doesn't relay to isn't asked for again
_MAX_WAITING: Final = 16  # datagrams for a peer whose channel is being bound; the newest are kept
_FIRST_CHANNEL: Final = 0x4000
_LAST_CHANNEL: Final = 0x4FFF
_SHORTEST_SECONDS: Final = 2.0  # between two refreshes, whatever lifetime a server gives
_UDP: Final = 17 << 24
_FAMILY: Final = 0x0017  # REQUESTED-ADDRESS-FAMILY (RFC 8656 18.6), which the library doesn't know
_FAMILIES: Final = {socket.AF_INET: 1, socket.AF_INET6: 2}
_GOODBYE_SECONDS: Final = 0.5

_ADDED: Final = {"udp": _CHANNEL_BYTES, "tcp": _CHANNEL_BYTES + _TCP_BYTES, "tls": _CHANNEL_BYTES + _TCP_BYTES + _TLS_BYTES}

Address = tuple[str, int]


class _AllocateRequest(seam.StunMessage):
    """An Allocate request that says of which family the relayed address is to be."""

    def __init__(self, family: socket.AddressFamily | None) -> None:
        super().__init__(message_method=seam.StunMethod.ALLOCATE, message_class=seam.StunClass.REQUEST)
        self._extra = b"" if family is None else struct.pack("!HHBxxx", _FAMILY, 4, _FAMILIES[family])

    def __bytes__(self) -> bytes:
        plain = super().__bytes__()
        return plain[:2] + struct.pack("!H", len(plain) - 20 + len(self._extra)) + plain[4:20] + self._extra + plain[20:]


class _Binding(Enum):
    PENDING = "pending"
    BOUND = "bound"
    REFUSED = "refused"


@dataclass(slots=True)
class _PeerChannel:
    """The way to one peer."""

    number: int
    binding: _Binding = _Binding.PENDING
    again_at: float = 0.0  # when it's bound anew, or a refusal is forgotten
    renewing: bool = False
    waiting: deque[bytes] = field(default_factory=lambda: deque(maxlen=_MAX_WAITING))


async def allocate(
    server: Server,
    address: Address,
    receiver: asyncio.DatagramProtocol,
    *,
    family: socket.AddressFamily | None = None,
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
) -> "Allocation":
    """An address on ``server``, which is at ``address``, for ``receiver``; of that ``family``, or of the one that the server likes.
    ``context`` makes what TLS trusts, in a thread. Cancelling is safe. Raises OSError and seam.TransactionError."""
    allocation = Allocation(server, address, receiver)
    try:
        await allocation.open(family, context)
    except BaseException:
        allocation.abort()
        raise
    return allocation


class Allocation(asyncio.DatagramTransport):
    """One relayed address, as the transport of a ``seam.StunProtocol``. In one loop."""

    def __init__(self, server: Server, address: Address, receiver: asyncio.DatagramProtocol) -> None:
        super().__init__()
        self._server = server
        self._address = address
        self._receiver = receiver
        self._link: _DatagramLink | _StreamLink | None = None
        self._transactions: dict[bytes, seam.StunTransaction] = {}
        self._sent: set[bytes] = set()  # requests of those, over TCP
        self._realm: str | None = None
        self._nonce: bytes | None = None
        self._key: bytes | None = None
        self._relayed: Address | None = None
        self._mapped: Address | None = None
        self._channels: dict[Address, _PeerChannel] = {}
        self._peers: dict[int, Address] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._is_over = False

    def __repr__(self) -> str:
        return f"turn/{self._server.way}"

    # its life

    async def open(self, family: socket.AddressFamily | None, context: Callable[[], ssl.SSLContext]) -> None:
        """Connect to the server and take an address. Raises OSError and seam.TransactionError."""
        await self._connect(context)
        request = _AllocateRequest(family)
        request.attributes |= {"LIFETIME": LIFETIME_SECONDS, "REQUESTED-TRANSPORT": _UDP}
        answer = (await self._request(request)).attributes
        try:
            lifetime, self._mapped, self._relayed = answer["LIFETIME"], answer["XOR-MAPPED-ADDRESS"], answer["XOR-RELAYED-ADDRESS"]
        except KeyError as error:
            raise ConnectionError(f"the server gave no {error.args[0]}") from error
        self._beside(self._keep(lifetime), "turn-refresh")
        self._receiver.connection_made(self)

    async def _connect(self, context: Callable[[], ssl.SSLContext]) -> None:
        loop, (host, port) = asyncio.get_running_loop(), self._address
        if self._server.transport == "udp":
            transport, self._link = await loop.create_datagram_endpoint(lambda: _DatagramLink(self), remote_addr=self._address)
            read_datagrams(transport)
            return
        trust = await asyncio.to_thread(context) if self._server.tls else None
        name = self._server.host if self._server.tls else None  # for SNI and the certificate: as in the URL (RFC 6066 3: no addresses)
        _, self._link = await loop.create_connection(lambda: _StreamLink(self), host, port, ssl=trust, server_hostname=name)

    async def _keep(self, lifetime: float) -> None:
        """Refresh the allocation before its time is over (RFC 8656 8.1). Where the server takes it no longer, this is the end."""
        while True:
            await asyncio.sleep(max(_SHORTEST_SECONDS, min(lifetime - 60, lifetime * 5 / 6)))
            request = seam.StunMessage(message_method=seam.StunMethod.REFRESH, message_class=seam.StunClass.REQUEST)
            request.attributes["LIFETIME"] = LIFETIME_SECONDS
            try:
                lifetime = (await self._request(request)).attributes["LIFETIME"]
            except (seam.TransactionError, OSError, KeyError):
                self.abort()
                return

    def close(self) -> None:
        """Give the address back; ``connection_lost`` of the receiver follows, within half a second where the server doesn't answer."""
        if not self._closing:
            self._closing = True
            start_task(self._say_goodbye(), name="turn-goodbye")

    def abort(self) -> None:
        """Let go at once."""
        self._closing = True
        if self._link is not None:
            self._link.transport.abort()
        self.lost()

    def lost(self) -> None:
        """The connection to the server is gone."""
        if self._is_over:
            return
        self._is_over = self._closing = True
        for task in self._tasks:
            task.cancel()
        if self._relayed is not None:
            self._receiver.connection_lost(None)

    async def _say_goodbye(self) -> None:
        for task in self._tasks:
            task.cancel()
        request = seam.StunMessage(message_method=seam.StunMethod.REFRESH, message_class=seam.StunClass.REQUEST)
        request.attributes["LIFETIME"] = 0
        try:
            with suppress(TimeoutError, seam.TransactionError, OSError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._request(request)
        finally:
            self.abort()

    def is_closing(self) -> bool:
        """Whether nothing is sent any more."""
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``sockname``: the relayed address; ``related_address``: how the server sees us; ``relay_bytes``: what the way there adds to each
        packet; ``is_late``: whether media would wait too long there."""
        if name == "is_late":
            return isinstance(self._link, _StreamLink) and self._link.is_late
        return {"sockname": self._relayed, "related_address": self._mapped, "relay_bytes": _ADDED[self._server.way]}.get(name, default)

    def _beside(self, work: Any, name: str) -> None:
        start_task(work, name=name, among=self._tasks)

    # datagrams

    def sendto(self, data: bytes, addr: Address) -> None:  # type: ignore[override]  # the peer is always named
        """Have the server send that to a peer. The first ones wait until the server has bound a channel to it; what it doesn't relay to is
        dropped: that pair alone fails."""
        if self._closing:
            return
        now, channel = time.monotonic(), self._channels.get(addr)
        if channel is None:
            number = _FIRST_CHANNEL + len(self._channels)
            if number > _LAST_CHANNEL:
                return
            channel = self._channels[addr] = _PeerChannel(number)
            self._peers[number] = addr
            self._beside(self._bind(channel, addr), "turn-channel")
        elif channel.binding is _Binding.BOUND:
            self._send_on(channel, data)
            if now >= channel.again_at and not channel.renewing:
                channel.renewing = True
                self._beside(self._bind(channel, addr), "turn-channel")
            return
        elif channel.binding is _Binding.REFUSED:
            if now < channel.again_at:
                return
            channel.binding = _Binding.PENDING
            self._beside(self._bind(channel, addr), "turn-channel")
        channel.waiting.append(data)

    async def _bind(self, channel: _PeerChannel, peer: Address) -> None:
        """Bind a channel, or bind it anew (RFC 8656 12.2). A binding that can't be renewed stays as long as it lives."""
        request = seam.StunMessage(message_method=seam.StunMethod.CHANNEL_BIND, message_class=seam.StunClass.REQUEST)
        request.attributes |= {"CHANNEL-NUMBER": channel.number, "XOR-PEER-ADDRESS": peer}
        try:
            await self._request(request)
        except (seam.TransactionError, OSError):
            if channel.binding is _Binding.PENDING:
                channel.binding = _Binding.REFUSED
                channel.waiting.clear()
            channel.again_at = time.monotonic() + _REFUSED_SECONDS
        else:
            channel.binding, channel.again_at = _Binding.BOUND, time.monotonic() + CHANNEL_SECONDS
            while channel.waiting:
                self._send_on(channel, channel.waiting.popleft())
        finally:
            channel.renewing = False

    def _send_on(self, channel: _PeerChannel, data: bytes) -> None:
        if isinstance(self._link, _StreamLink) and self._link.is_full:
            return
        self._send(struct.pack("!HH", channel.number, len(data)) + data)

    def _send(self, data: bytes) -> None:
        if self._link is not None:
            self._link.send(data)

    def received(self, data: bytes) -> None:
        """A whole message, or a packet on a channel, of the server."""
        if len(data) >= 4 and data[0] & 0xC0 == 0x40:
            number, length = struct.unpack_from("!HH", data)
            peer = self._peers.get(number)
            if peer is not None and len(data) >= 4 + length:
                self._receiver.datagram_received(data[4 : 4 + length], peer)
            return
        with suppress(*MALFORMED):
            self._take(seam.parse_message(data))

    def _take(self, message: seam.StunMessage) -> None:
        transaction = self._transactions.get(message.transaction_id)
        if message.message_class in (seam.StunClass.RESPONSE, seam.StunClass.ERROR):
            if transaction is not None:
                transaction.response_received(message, self._address)
        elif message.message_class is seam.StunClass.INDICATION and message.message_method is seam.StunMethod.DATA:
            peer = message.attributes["XOR-PEER-ADDRESS"]
            if any(known[0] == peer[0] for known in self._channels):  # who else has no permission (RFC 8656 11.4)
                self._receiver.datagram_received(message.attributes["DATA"], peer)

    # requests

    async def _request(self, request: seam.StunMessage) -> seam.StunMessage:
        """The answer to a request, which is signed anew as often as the server wants another nonce. Raises seam.TransactionError."""
        for _ in range(MAX_CHALLENGES):
            signed, nonce = self._key is not None, self._nonce
            if self._key is not None:
                for name in ("MESSAGE-INTEGRITY", "FINGERPRINT"):
                    request.attributes.pop(name, None)
                request.attributes |= {"USERNAME": self._server.username, "REALM": self._realm, "NONCE": nonce}
                request.add_message_integrity(self._key)
            try:
                return await self._transact(request)
            except seam.TransactionFailed as error:
                if not self._takes_challenge(error.response, signed=signed):
                    raise
            request.transaction_id = seam.random_transaction_id()
        raise seam.TransactionError("the server wants another nonce again and again")

    def _takes_challenge(self, refusal: seam.StunMessage, *, signed: bool) -> bool:
        """Whether the request may go again. A 401 to what was signed is about the credentials, a 438 about the nonce alone (RFC 8489
        9.2.5)."""
        told, code = refusal.attributes, refusal.error_code
        server = self._server
        if server.username is None or server.credential is None or "NONCE" not in told:
            return False
        if code == 401 and not signed and "REALM" in told:
            self._realm = told["REALM"]
            self._key = hashlib.md5(f"{server.username}:{self._realm}:{server.credential}".encode(), usedforsecurity=False).digest()
        elif code != 438 or self._key is None:
            return False
        self._nonce = told["NONCE"]
        return True

    async def _transact(self, request: seam.StunMessage) -> seam.StunMessage:
        transaction = seam.StunTransaction(request, self._address, self, integrity_key=self._key, long_term_credential=True)
        self._transactions[request.transaction_id] = transaction
        try:
            response, _ = await transaction.run()
            return response
        finally:
            del self._transactions[request.transaction_id]
            self._sent.discard(request.transaction_id)

    def send_stun(self, message: seam.StunMessage, addr: Address) -> None:
        """For the library's transactions; nothing on a connection that is gone. Over TCP nothing is sent twice (RFC 8489 6.2.2)."""
        if self._is_over or message.transaction_id in self._sent:
            return
        if self._server.transport == "tcp":
            self._sent.add(message.transaction_id)
        self._send(bytes(message))


class _DatagramLink(asyncio.DatagramProtocol):
    """The socket to the server."""

    transport: asyncio.DatagramTransport

    def __init__(self, allocation: Allocation) -> None:
        self._allocation = allocation

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # of datagrams
        self.transport = transport
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        prioritise(opened)

    def send(self, data: bytes) -> None:
        self.transport.sendto(data)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._allocation.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._allocation.lost()


class _StreamLink(asyncio.Protocol):
    """The connection to the server: messages and channel data, each padded to four bytes."""

    transport: asyncio.Transport

    def __init__(self, allocation: Allocation) -> None:
        self._allocation = allocation
        self._buffer = bytearray()
        self._backlog = TcpBacklog()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a stream
        self.transport = transport
        prioritise(transport.get_extra_info("socket"))

    @property
    def is_full(self) -> bool:
        return self.transport.get_write_buffer_size() > MAX_BUFFER_BYTES

    @property
    def is_late(self) -> bool:
        """Whether what is sent now would wait behind too much."""
        return self._backlog.is_late(outstanding_bytes(self.transport), time.monotonic())

    def send(self, data: bytes) -> None:
        padded = data + bytes(-len(data) % 4)  # RFC 8656 12.5
        self._backlog.wrote(len(padded), time.monotonic())
        self.transport.write(padded)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            (length,) = struct.unpack_from("!H", self._buffer, 2)
            whole = (4 if self._buffer[0] & 0xC0 == 0x40 else 20) + length + -length % 4
            if len(self._buffer) < whole:
                return
            packet = bytes(self._buffer[:whole])
            del self._buffer[:whole]
            self._allocation.received(packet)

    def connection_lost(self, exc: Exception | None) -> None:
        self._allocation.lost()
