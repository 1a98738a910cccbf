"""This machine's own addresses, as the kernel routes."""

import asyncio
import ipaddress
import socket
from typing import Final

from sinchphone.hosts import IpAddress, is_address, numeric_address, unbracketed
from sinchphone.protocol.address_reach import ipv4_within

LOOPBACK: Final = "127.0.0.1"
_THIS_HOST: Final = (ipaddress.IPv4Network("0.0.0.0/8"), ipaddress.IPv6Network("::/128"))  # RFC 1122 3.2.1.3, RFC 4291 2.5.2
_SOMEWHERE: Final = ("192.0.2.1", 9)  # RFC 5737: nobody; nothing is sent there


def local_address(towards: tuple[str, int] = _SOMEWHERE) -> str:
    """Our address on the way to another one; the loopback address where there is no way."""
    with socket.socket(socket.AF_INET6 if ":" in towards[0] else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(towards)
        except OSError:
            return LOOPBACK
        return str(probe.getsockname()[0])


def is_own_address(host: str) -> bool:
    """Whether that is an IP address of this machine."""
    return is_address(host) and local_address((host, _SOMEWHERE[1])) == host


def is_this_machine(address: str) -> bool:
    """Whether the kernel takes what is sent to that numeric address for this machine: loopback, "this host" (0.0.0.0/8, ``::``), or an
    address of its own, also inside an IPv6 address."""
    numeric = numeric_address(address)
    if numeric is None:
        return False
    return any(_is_ours(one) for one in (numeric, *ipv4_within(numeric)))


def _is_ours(address: IpAddress) -> bool:
    return address.is_loopback or any(address in network for network in _THIS_HOST) or is_own_address(str(address))


async def address_towards(target: str | None) -> str:
    """Our address from which a host can be reached: loopback for what is on this machine, and for ``None``."""
    if target is None:
        return LOOPBACK
    try:
        found = await asyncio.get_running_loop().getaddrinfo(unbracketed(target), _SOMEWHERE[1])
    except OSError:
        return LOOPBACK if target == "localhost" else local_address()
    addresses = [entry[4][0] for entry in found]
    first = ipaddress.ip_address(str(addresses[0]).partition("%")[0])
    return LOOPBACK if first == ipaddress.ip_address(LOOPBACK) else local_address((str(first), _SOMEWHERE[1]))
