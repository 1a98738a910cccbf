"""Two UDP sockets next to each other, for RTP and RTCP, out of a range of ports (RFC 3550 11); with a bad line where one is asked for."""

import asyncio
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sinchphone.errors import NoPortError
from sinchphone.media.network.priority import prioritise
from sinchphone.media.network.reading import read_datagrams
from sinchphone.media.rtp.source_latch import Address, plain_host

if TYPE_CHECKING:
    from sinchphone.media.network.simulated_line import LineSimulator, SimulatedLine

_ATTEMPTS: Final = 64  # of the system's own choice: about every second port has its neighbour free and is even

Receive = Callable[[bytes, Address, bool], None]  # a datagram, where it came from, whether it came to the RTCP port


class SocketPair:
    """Both sockets. In the media loop only."""

    def __init__(
        self, rtp: asyncio.DatagramTransport, rtcp: asyncio.DatagramTransport, port: int, ipv6: bool, line: "LineSimulator | None" = None
    ) -> None:
        self.port: Final = port  # of RTP; RTCP's is the next
        self._rtp, self._rtcp = rtp, rtcp
        self._ipv6 = ipv6
        self._line = line

    @classmethod
    async def open(cls, host: str, port_range: tuple[int, int], receive: Receive, line: "SimulatedLine | None" = None) -> "SocketPair":
        """Bind a pair on ``host``, the first port even. ``(0, 0)``: wherever the system likes. ``line``: what happens to datagrams, both
        ways. Raises MediaError where there is none."""
        first, second = _bind_pair(host, port_range)
        port = first.getsockname()[1]
        ipv6 = first.family == socket.AF_INET6
        loop = asyncio.get_running_loop()
        simulator = _simulator(line, loop) if line is not None else None
        if simulator is not None:
            receive = _over(simulator, receive)
        try:
            rtp, _ = await loop.create_datagram_endpoint(lambda: _Receiving(receive, control=False), sock=first)
        except BaseException:
            first.close()
            second.close()
            raise
        try:
            rtcp, _ = await loop.create_datagram_endpoint(lambda: _Receiving(receive, control=True), sock=second)
        except BaseException:
            rtp.abort()
            second.close()
            raise
        read_datagrams(rtp)
        read_datagrams(rtcp)
        return cls(rtp, rtcp, port, ipv6, simulator)

    def send(self, data: bytes, to: Address, *, control: bool) -> bool:
        """Send a datagram from one of the two; whether that was possible: what a bad line loses was sent."""
        if self._line is None:
            return self._send(data, to, control)
        self._line.carry(data, lambda late: self._send(late, to, control))
        return True

    def _send(self, data: bytes, to: Address, control: bool) -> bool:
        transport = self._rtcp if control else self._rtp
        if transport.is_closing():
            return False
        host = f"::ffff:{to.host}" if self._ipv6 and "." in to.host and ":" not in to.host else to.host
        try:
            transport.sendto(data, (host, to.port))
        except (OSError, ValueError):  # an address of the other family
            return False
        return True

    def close(self) -> None:
        """Close both, without waiting for what couldn't be sent yet."""
        self._rtp.abort()
        self._rtcp.abort()


class _Receiving(asyncio.DatagramProtocol):
    def __init__(self, receive: Receive, *, control: bool) -> None:
        self._receive = receive
        self._control = control

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._receive(data, Address(plain_host(addr[0]), addr[1]), self._control)

    def error_received(self, exc: Exception) -> None:
        """A datagram of ours could not be delivered: the peer's port isn't open yet, or any more. That it is silent will show."""


def _simulator(line: "SimulatedLine", loop: asyncio.AbstractEventLoop) -> "LineSimulator":
    from sinchphone.media.network.simulated_line import LineSimulator

    return LineSimulator(line, loop)


def _over(line: "LineSimulator", receive: Receive) -> Receive:
    """The same for what came over a bad line."""

    def late(data: bytes, source: Address, control: bool) -> None:
        line.carry(data, lambda packet: receive(packet, source, control))

    return late


def _bind_pair(host: str, port_range: tuple[int, int]) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in _candidates(port_range):
        first = None
        try:
            first = _bind(family, host, port)
            bound = first.getsockname()[1]
            if bound % 2 == 0 and bound < 65_535:
                return first, _bind(family, host, bound + 1)
        except PermissionError as error:
            _close(first)
            raise NoPortError(f"no UDP port may be opened on {host}: {error.strerror}") from error
        except OSError as error:
            if first is None and port == 0:  # not this port is at fault, but the address
                raise NoPortError(
                    f"no UDP port can be opened on {host}: {error.strerror}", hint="is it an address of this machine?"
                ) from error
        _close(first)
    raise NoPortError(
        f"no pair of UDP ports is free on {host}" + (f" from {port_range[0]} to {port_range[1]}" if any(port_range) else ""),
        hint="two ports are needed for each leg: widen the range, or allow fewer calls",
    )


def _candidates(port_range: tuple[int, int]) -> Iterator[int]:
    """The ports to try: of a range all even ones, from a random one on, lest a port be used again at once."""
    first, last = port_range
    if not any(port_range):
        yield from (0 for _ in range(_ATTEMPTS))
        return
    even = range(first + first % 2, last, 2)
    start = random.randrange(len(even)) if even else 0
    yield from (even[(start + step) % len(even)] for step in range(len(even)))


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        prioritise(bound)
        if family == socket.AF_INET6:
            with suppress(OSError):  # some systems have it one way only
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


def _close(bound: socket.socket | None) -> None:
    if bound is not None:
        bound.close()
