"""This machine's addresses, and sockets that have one."""

import ipaddress
import socket
import time
from functools import lru_cache
from typing import Final

from sinchphone.media.webrtc import seam

_RECENT_SECONDS: Final = 0.5  # an address that comes or goes later than that is for the path's watch, which restarts ICE

_looked: tuple[float, tuple[str, ...]] | None = None  # when, and what there was


def usable_addresses() -> tuple[str, ...]:
    """This machine's addresses that a peer may reach: neither loopback nor link-local ones. Takes 0.2 ms."""
    global _looked  # noqa: PLW0603  one machine
    addresses = dict.fromkeys(seam.get_host_addresses(use_ipv4=True, use_ipv6=True))
    usable = tuple(each for each in addresses if _is_usable(each))
    _looked = time.monotonic(), usable
    return usable


def recent_addresses() -> tuple[str, ...]:
    """The same, as somebody saw them a moment ago: the ports of a call, one for each device, are opened in a row."""
    looked = _looked
    return usable_addresses() if looked is None or time.monotonic() - looked[0] > _RECENT_SECONDS else looked[1]


@lru_cache(maxsize=64)
def _is_usable(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_link_local or parsed.is_loopback)


def bound_socket(address: str) -> socket.socket:
    """A UDP socket with that address: asyncio would look it up in a task first. Raises OSError."""
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.bind((address, 0))
    except BaseException:
        opened.close()
        raise
    return opened
