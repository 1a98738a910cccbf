"""Where a SIP message goes or came from."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, get_args

from sinchphone.errors import NetworkError
from sinchphone.gateway.options import SipTransport
from sinchphone.hosts import join_host
from sinchphone.quick_dataclass import quick_dataclass

Transport: TypeAlias = SipTransport
TRANSPORTS: Final[Mapping[str, Transport]] = {one: one for one in get_args(Transport)}  # by what somebody asks for
LONGEST_UDP_REQUEST_BYTES: Final = 1300  # a longer request goes by TCP where the path's MTU is unknown (RFC 3261 18.1.1)


@quick_dataclass(frozen=True, slots=True)
class Hop:
    """One neighbour on the wire. ``host`` is a numeric address (IPv6 without brackets).

    ``connection`` is the id of the stream that a message came over: an answer takes the same stream and no other. ``None`` sends over
    an open connection that this side made to that neighbour, or makes one. ``server_name`` is whom a TLS certificate must name; empty:
    the address.
    """

    transport: Transport
    host: str
    port: int
    connection: int | None = None
    server_name: str = ""

    @property
    def authority(self) -> str:
        """``host:port``."""
        return join_host(self.host, self.port)

    @property
    def is_reliable(self) -> bool:
        """Whether nothing needs to be sent again for fear that it got lost."""
        return self.transport != "udp"


class TransportError(NetworkError):
    """A SIP message couldn't be given to the network (RFC 3261 8.1.3.1: to be taken like a 503)."""


Received: TypeAlias = Callable[[bytes, Hop], None]  # one whole message as it came, and its source
Failed: TypeAlias = Callable[[TransportError], None]
