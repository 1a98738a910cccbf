"""How much a socket of media reads at once."""

import asyncio
from typing import Any, Final

_MAX_DATAGRAM_BYTES: Final = 8192  # longer than any that is of use; what is longer is cut, and then fits nothing


def read_datagrams(transport: asyncio.BaseTransport) -> None:
    """Have the transport read datagrams of packets: asyncio makes room for 256 KiB before each, which takes 20 us and more."""
    opened: Any = transport
    if getattr(opened, "max_size", 0) > _MAX_DATAGRAM_BYTES:  # of asyncio's own transports
        opened.max_size = _MAX_DATAGRAM_BYTES
