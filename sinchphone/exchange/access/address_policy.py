"""Where the exchange may be sent: the one policy for every address that it fetches from or posts to because somebody else named it.

::

    URL -> numeric host? checked as it stands      \\
        -> name -> resolver: each address checked   > AddressRefusedError, or a connection to the very address that was checked
        -> redirect: the same again                /

This machine, private networks and the like are reached only while the exchange itself listens on loopback only (who can name an
address then is on this machine), and where the operator names them; link-local and metadata addresses never.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, Final

import aiohttp
from aiohttp.abc import ResolveResult

from sinchphone.errors import SinchphoneError
from sinchphone.exchange.access.local_addresses import is_own_address
from sinchphone.hosts import comparable_host, numeric_address, unbracketed
from sinchphone.protocol.address_reach import Reach, ipv4_within, reach_of
from sinchphone.schema import read_network

_CONNECTIONS: Final = 100  # of one session
_MAX_SHOWN_CHARACTERS: Final = 100  # of a host


class AddressRefusedError(SinchphoneError):
    """The exchange isn't sent there. The text says where, and why not."""


class AddressPolicy:
    """Which addresses one exchange may be sent to."""

    def __init__(self, *, listens_on: str, inner_hosts: Iterable[str] = ()) -> None:
        """``listens_on`` is where the exchange listens; ``inner_hosts`` are names, addresses and networks that may be reached although they
        are inside."""
        self._listens_on = listens_on
        self._inner_hosts = tuple(inner_hosts)
        self._is_closed = _is_loopback(listens_on)
        self._names = {comparable_host(host) for host in self._inner_hosts}
        self._networks = [read_network(host) for host in self._inner_hosts if _is_network(host)]

    def allowing(self, *hosts: str) -> "AddressPolicy":
        """The same policy where the operator names these hosts too."""
        return AddressPolicy(listens_on=self._listens_on, inner_hosts=(*self._inner_hosts, *map(unbracketed, hosts)))

    def check(self, host: str, address: str) -> None:
        """Whether ``host``, which leads to the numeric ``address``, may be reached. Raises AddressRefusedError."""
        numeric = numeric_address(address)
        reach = Reach.FORBIDDEN if numeric is None else reach_of(numeric)
        if reach is Reach.FORBIDDEN:
            raise AddressRefusedError(f"{_shown(host)} is a link-local or metadata address, or none at all: the exchange never goes there")
        if self._is_closed or numeric is None or comparable_host(host) in self._names:
            return
        everywhere = (numeric, *ipv4_within(numeric))
        if any(one in network for network in self._networks for one in everywhere):
            return
        if reach is Reach.INSIDE or any(is_own_address(str(one)) for one in everywhere):
            raise AddressRefusedError(
                f"{_shown(host)} is on this machine or in a private network, and the exchange listens beyond loopback",
                hint="[exchange] inner_hosts names the hosts and networks that may be reached all the same",
            )

    def check_host(self, host: str) -> None:
        """Whether a host that is a number, in any spelling, may be reached; names are looked at when they are resolved. Raises
        AddressRefusedError."""
        numeric = numeric_address(host)
        if numeric is not None:
            self.check(host, str(numeric))

    def session(self, **options: Any) -> aiohttp.ClientSession:
        """A client session that goes nowhere else; ``options`` as ``aiohttp.ClientSession`` has them. Its requests raise
        AddressRefusedError."""
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, resolver=_CheckedResolver(self))
        return aiohttp.ClientSession(
            connector=connector, middlewares=(self._checked,), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, **options
        )

    async def _checked(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Looks at each request, after redirects too: numeric hosts, in any spelling, aren't asked of a resolver."""
        self.check_host(request.url.raw_host or "")
        return await handler(request)


class _CheckedResolver(aiohttp.ThreadedResolver):
    """Names as this machine resolves them, where none of their addresses is refused: the connection is made to the addresses that were
    looked at, so that a name can't lead elsewhere a moment later."""

    def __init__(self, policy: AddressPolicy) -> None:
        super().__init__()
        self._policy = policy

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """All addresses of the name. Raises OSError where there are none, AddressRefusedError where one may not be reached."""
        found = await super().resolve(host, port, family)
        for one in found:
            self._policy.check(host, one["host"])
        return found


def _is_loopback(host: str) -> bool:
    numeric = numeric_address(host)
    return comparable_host(host) == "localhost" if numeric is None else numeric.is_loopback


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _shown(host: str) -> str:
    return host if len(host) <= _MAX_SHOWN_CHARACTERS else f"{host[:_MAX_SHOWN_CHARACTERS]}…"
