"""How far inside an IP address lies: everybody's, ours or our network's, or one that nobody may be sent to. Pure.

::

    8.8.8.8                                  OUTSIDE
    127.0.0.1, 10.0.0.1, fd12::1             INSIDE      this machine, private and shared networks
    169.254.169.254, fe80::1, 0.0.0.0        FORBIDDEN   link-local, a cloud's metadata, nowhere

An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4, Teredo, ISATAP) lies as far inside as either of the two.
"""

import ipaddress
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, TypeAlias

from sinchphone.hosts import IpAddress

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reach(IntEnum):
    """The higher, the further inside."""

    OUTSIDE = 0
    INSIDE = 1
    FORBIDDEN = 2


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


_FORBIDDEN: Final = _networks(
    "0.0.0.0/8",  # "this host": the kernel connects to loopback (RFC 1122 3.2.1.3)
    "169.254.0.0/16",  # link-local, and most clouds' metadata
    "224.0.0.0/4",
    "240.0.0.0/4",
    "100.100.100.200/32",  # metadata: Alibaba Cloud
    "168.63.129.16/32",  # Azure
    "192.0.0.192/32",  # Oracle Cloud
    "::/128",
    "fe80::/10",
    "ff00::/8",
    "fd00:ec2::/32",  # metadata, name servers and clock: AWS
    "fd20:ce::254/128",  # metadata: Google Cloud
)
_INSIDE: Final = _networks(
    "127.0.0.0/8",
    "10.0.0.0/8",  # RFC 1918
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",  # RFC 6598
    "192.0.0.0/24",  # RFC 6890
    "192.0.2.0/24",  # RFC 5737
    "198.51.100.0/24",
    "203.0.113.0/24",
    "198.18.0.0/15",  # RFC 2544
    "::1/128",
    "fc00::/7",  # RFC 4193
    "fec0::/10",
    "64:ff9b:1::/48",  # RFC 8215
    "100::/64",  # RFC 6666
    "2001:db8::/32",  # RFC 3849
)
_COMPATIBLE, _NAT64 = _networks("::/96", "64:ff9b::/96")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)  # RFC 5214 6.1


def reach_of(address: IpAddress) -> Reach:
    """How far inside that address lies."""
    return max(map(_plain_reach, (address, *ipv4_within(address))))


def ipv4_within(address: IpAddress) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address may lead to: a kernel's own mapping, or a translator or tunnel on the way."""
    if not isinstance(address, ipaddress.IPv6Address):
        return
    number = int(address)
    last = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    is_compatible = address in _COMPATIBLE and number > 1
    if is_compatible or address in _NAT64 or address in _INSIDE_NAT64 or (number >> 32 & 0xFFFFFFFF) in _ISATAP:
        yield last


_INSIDE_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")


def _plain_reach(address: IpAddress) -> Reach:
    if any(address in network for network in _FORBIDDEN):
        return Reach.FORBIDDEN
    return Reach.INSIDE if any(address in network for network in _INSIDE) else Reach.OUTSIDE
