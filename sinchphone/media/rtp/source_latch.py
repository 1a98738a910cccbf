"""Whose packets are the peer's, and where ours go: a phone behind NAT sends from another address than it says (RFC 4961).

The first packet that comes from an address which signaling vouches for fixes the source; then only it is heard. Who isn't vouched for is
never heard, and after the first seconds nobody takes the source's place but by a new description: so a stranger can't steal the stream.
A stream that goes on from another port of the same host (a NAT that forgot it) moves, where its packets prove that they are its own; one
under SRTP that has stopped moves to any host, since its packets prove it by their key.
"""

import ipaddress
from functools import lru_cache
from typing import Final

from sinchphone.quick_dataclass import quick_dataclass

_OPEN_SECONDS: Final = 5.0  # after a description; later, only the very address that it names


@quick_dataclass(frozen=True, slots=True)
class Address:
    """Where a datagram comes from or goes to; ``host`` as ``plain_host`` writes it."""

    host: str
    port: int


@lru_cache(maxsize=1024)  # it's asked for each datagram
def plain_host(host: str) -> str:
    """An IP address in one spelling: no zone, no IPv4 in IPv6. Anything else as it is."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


class SourceLatch:
    """For one socket. ``vouched`` is the host that the peer's signaling comes from, if its sound may come from there."""

    def __init__(self, vouched: str | None = None) -> None:
        self._vouched = None if vouched is None else plain_host(vouched)
        self._signalled: Address | None = None
        self._source: Address | None = None
        self._fixed = False
        self._open_until = 0.0

    def trust_source(self, host: str) -> None:
        """The peer's signaling turned out to come from that host."""
        self._vouched = plain_host(host)

    @property
    def destination(self) -> Address | None:
        """Where ours go: to where the peer's come from, before that to where its description says. ``None``: not known."""
        return self._source or self._signalled

    def announce(self, signalled: Address, now: float, *, anew: bool) -> None:
        """The peer's description says where it is. ``anew``: in an offer of its own, or an answer to a later one of ours, and so it may
        be somewhere else even if it says the same (NAT); until its next packet ours go where they went."""
        moved = signalled != self._signalled
        self._signalled = signalled
        if moved:
            self._source = None
        if moved or anew or not self._fixed:
            self._fixed = False
            self._open_until = now + _OPEN_SECONDS

    def admits(self, source: Address, now: float) -> bool:
        """Whether a packet from there may be the peer's."""
        if self._signalled is None:
            return False
        if self._fixed and source == self._source:
            return True
        if source == self._signalled:
            return not self._fixed or now < self._open_until
        if self._fixed or now >= self._open_until:
            return False
        return source.host in (self._signalled.host, self._vouched)

    def may_move_to(self, source: Address) -> bool:
        """Whether packets from there may be those of the stream that was heard, if they prove it."""
        return self._fixed and self._source is not None and source.host == self._source.host

    def fix(self, source: Address) -> None:
        """A packet that was admitted turned out to be the peer's."""
        self._source, self._fixed = source, True
