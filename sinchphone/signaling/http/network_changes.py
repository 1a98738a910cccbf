"""Tells that this machine's network has changed: a link, an address or a route has come or gone (rtnetlink(7), Linux alone)."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from typing import Final

QUIET_S: Final = 0.2  # a link that comes up brings its addresses and routes one after the other
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE: linux/rtnetlink.h
_NETLINK_MESSAGE_BYTES: Final = 8_192  # at most, of what is told unasked

_log = logging.getLogger(__name__)


async def network_changes() -> AsyncGenerator[None, None]:
    """Yields after each change, once for those of QUIET_S. Ends at once where the system doesn't tell. Whoever breaks off the iteration
    closes it (``contextlib.aclosing``)."""
    try:
        heard = _subscribe()
    except (AttributeError, OSError) as error:  # another system, or one that allows it to nobody
        _log.debug("the system doesn't tell of changes of its network: %s", error)
        return
    with heard:
        while True:
            await _next(heard)
            await asyncio.sleep(QUIET_S)
            _forget(heard)
            yield


def _subscribe() -> socket.socket:
    heard = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        heard.setblocking(False)
        heard.bind((0, _GROUPS))
    except BaseException:
        heard.close()
        raise
    return heard


async def _next(heard: socket.socket) -> None:
    try:
        await asyncio.get_running_loop().sock_recv(heard, _NETLINK_MESSAGE_BYTES)
    except OSError as error:  # ENOBUFS: so many that some got lost
        _log.debug("changes of the network got lost: %s", error)


def _forget(heard: socket.socket) -> None:
    """What came with the first one. Bounded: a machine whose routes change without end is told of in its turn."""
    for _ in range(1000):
        try:
            heard.recv(_NETLINK_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            _log.debug("changes of the network got lost: %s", error)
