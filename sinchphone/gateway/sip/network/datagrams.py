"""SIP over UDP: one socket, and what the network says about datagrams that nobody took."""

import asyncio
import socket
import struct
import sys
from collections import deque
from typing import Final

from sinchphone.gateway.sip.network.hop import Failed, Hop, Received, TransportError

_FIRST: Final = ord("!")  # what a message may begin with: a token
_LAST: Final = ord("~")
_REMEMBERED: Final = 256  # the datagrams sent last: a refusal (ICMP) that comes later finds no sender
_LONGEST_BYTES: Final = 65_507  # what IPv4 leaves of a datagram

# Linux: ICMP errors of a socket without a peer are told only to whom asks for them (ip(7), IP_RECVERR).
_ERRORS: Final = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_ERROR_QUEUE: Final = 0x2000  # MSG_ERRQUEUE
_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")  # struct sock_extended_err
_FROM_ICMP: Final = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6


class Datagrams(asyncio.DatagramProtocol):
    """One UDP socket. ``received`` gets each datagram that may be a message."""

    def __init__(self, sock: socket.socket, received: Received) -> None:
        self._socket = sock  # bound; asyncio's own view of it can't read the queue of errors
        self._received = received
        self._transport: asyncio.DatagramTransport | None = None
        self._sent: deque[tuple[str, int, Failed]] = deque(maxlen=_REMEMBERED)
        self._error: Exception | None = None

    async def open(self) -> None:
        """Start to read."""
        if sys.platform == "linux":
            level, option = _ERRORS[self._socket.family]
            self._socket.setsockopt(level, option, 1)
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=self._socket)

    def close(self) -> None:
        """Stop reading; forget whom to tell."""
        self._sent.clear()
        if self._transport is not None:
            self._transport.close()
        else:
            self._socket.close()

    def send(self, data: bytes, hop: Hop, failed: Failed | None) -> None:
        """Send; ``failed`` hears if the other host says soon that nobody listens there. Raises TransportError."""
        if self._transport is None or self._transport.is_closing():
            raise TransportError("the SIP port is closed")
        if len(data) > _LONGEST_BYTES:
            raise TransportError("the SIP message is too long for UDP")
        self._read_refusals()  # one that waits would fail the next datagram, whoever it is for
        if failed is not None:
            self._sent.append((hop.host, hop.port, failed))
        self._error = None
        self._transport.sendto(data, (hop.host, hop.port))
        if self._error is not None:
            if failed is not None and self._sent:
                self._sent.pop()
            raise TransportError("that address can't be reached")

    def datagram_received(self, data: bytes, addr: tuple[str, int] | tuple[str, int, int, int]) -> None:
        """Called by the event loop. Keep-alives (line ends, zeros, STUN) are no messages."""
        if data and _FIRST <= data[0] <= _LAST:
            self._received(data, Hop("udp", addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Called by the event loop: the socket has something to complain about, of now or of earlier."""
        self._error = exc
        self._read_refusals()

    def _read_refusals(self) -> None:
        if sys.platform != "linux":
            return
        while True:
            try:
                _, ancillary, _, address = self._socket.recvmsg(0, 512, _ERROR_QUEUE)
            except OSError:
                return  # nothing more
            if any(len(content) >= _EXTENDED_ERROR.size and _is_refusal(content) for _, _, content in ancillary):
                self._refused(address[0], address[1])

    def _refused(self, host: str, port: int) -> None:
        """Nobody listens there, says the network: tell who sent something there (RFC 3261 18.4)."""
        concerned = [failed for to, at, failed in self._sent if (to, at) == (host, port)]
        self._sent = deque((one for one in self._sent if one[:2] != (host, port)), maxlen=_REMEMBERED)
        for failed in concerned:
            asyncio.get_running_loop().call_soon(failed, TransportError(f"no SIP server listens at port {port} there"))


def _is_refusal(content: bytes) -> bool:
    origin = _EXTENDED_ERROR.unpack_from(content)[1]
    return origin in _FROM_ICMP
