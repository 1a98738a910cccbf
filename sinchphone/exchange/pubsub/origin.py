"""Where a client reached us, which is where it will reach the broker too."""

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

from sinchphone.exchange.refusals import invalid
from sinchphone.hosts import join_host

if TYPE_CHECKING:
    from aiohttp import web  # takes a while to import, and who only looks for an exchange serves none


def origin_of(request: "web.Request", *, port: int | None = None) -> str:
    """``host:port`` of the request's Host header, or with another port. Raises RefusedError for a Host header that is none."""
    try:
        url = request.url
        host, given = url.raw_host, url.port
    except ValueError as error:
        raise invalid("Host: that is not a host") from error
    if not host or given is None:
        raise invalid("Host: that is not a host")
    return join_host(host, port or given)


def bare(origin: str) -> str:
    """The origin without the port that https has anyway: legacy clients take ``name:443`` for a host's name."""
    return origin.removesuffix(":443")


def address_of(transport: asyncio.BaseTransport | None) -> str:
    """``[address]:port`` of our end of a connection; empty where there is none any more."""
    found = transport.get_extra_info("sockname") if transport is not None else None
    return _written(str(found[0]), int(found[1])) if isinstance(found, tuple) else ""


async def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """The addresses that a client connects to, each as the server's ``address_of`` has it. Raises OSError for a name that nobody has."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what these reach
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(_written(str(entry[4][0]), port) for entry in found))


def _written(host: str, port: int) -> str:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return join_host(str(address), port)
