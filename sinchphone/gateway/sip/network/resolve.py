"""Which servers a SIP URI leads to, in the order to try them (RFC 3263; RFC 2782 for weights).

::

    numeric host -> one hop          host with port, or without a dot -> A, AAAA
    host alone   -> NAPTR -> SRV -> A, AAAA; where there's no NAPTR: SRV of each transport; where there's no SRV: A, AAAA, default port

What DNS doesn't know may be in this machine's own list of hosts.
"""

import asyncio
import ipaddress
import random
import socket
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from sinchphone.errors import NetworkError, NoServerError
from sinchphone.gateway.sip.network.hop import Hop, Transport
from sinchphone.hosts import SIP_PORTS, is_address, unbracketed
from sinchphone.quick_dataclass import quick_dataclass

_SERVICES: Final[dict[str, Transport]] = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}
_PREFIXES: Final[dict[Transport, str]] = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
_NO_NAME: Final = (dns.exception.SyntaxError, dns.name.NameTooLong, dns.name.IDNAException, UnicodeError)  # what can't be one in DNS
_MOST_HOPS: Final = 8  # each may take seconds to fail
_MOST_RECORDS: Final = 32  # of one answer
_QUESTION_SECONDS: Final = 3.0
_SECONDS: Final = 10.0  # for everything that one name needs


class Dns(Protocol):
    """What is asked for records: dnspython's asynchronous resolver, or a test's own."""

    async def resolve(self, qname: str, rdtype: str) -> "Sequence[object] | dns.resolver.Answer":
        """The records of that type. Raises dns.exception.DNSException where there are none."""
        ...


@quick_dataclass(frozen=True, slots=True)
class _Server:
    name: str
    port: int
    transport: Transport


class Resolver:
    """Finds SIP servers. ``families`` are the versions of IP that we have (4, 6), the preferred one first."""

    def __init__(self, dns_: Dns | None = None, *, families: Sequence[int] = (4,), chance: Callable[[], float] = random.random) -> None:
        self._dns = dns_
        self._is_foreign = dns_ is not None
        self._families = tuple(families)
        self._chance = chance

    async def resolve(self, host: str, port: int | None, transport: Transport | None, *, secure: bool = False) -> list[Hop]:
        """The hops to try, in that order; at most eight.

        ``transport`` and ``port`` are what the URI says, ``secure`` whether it's a ``sips`` URI: TLS then, and nothing else. Certificates
        must name ``host``, whatever servers DNS names (RFC 5922). Raises NoServerError where there's no server, NetworkError where no name
        server says; cancelling it is safe.
        """
        if secure:
            if transport == "udp":
                raise NetworkError("a sips address can't be reached over UDP")
            transport = "tls"
        numeric = unbracketed(host)
        if is_address(numeric):
            return [_numeric(numeric, port, transport or "udp")]
        try:
            async with asyncio.timeout(_SECONDS):
                hops = await self._find(host.rstrip("."), port, transport)
        except TimeoutError as error:
            raise NetworkError(f"the name server didn't say in time where {host} is") from error
        if not hops:
            raise NoServerError(f"there is no SIP server at {host}", hint="check the name, or give an address")
        return hops[:_MOST_HOPS]

    async def _find(self, host: str, port: int | None, transport: Transport | None) -> list[Hop]:
        if port is not None:
            return await self._hops([_Server(host, port, transport or "udp")], host)
        servers: list[_Server] | None = None
        untold: NetworkError | None = None
        if "." in host:
            try:
                servers = await self._services(host, transport)
            except NetworkError as error:  # it may still know addresses
                untold = error
        if servers is None:
            default = transport or "udp"
            servers = [_Server(host, SIP_PORTS[default], default)]
        hops = await self._hops(servers, host)
        if not hops and untold is not None:
            raise untold
        return hops

    async def _services(self, host: str, transport: Transport | None) -> list[_Server] | None:
        """What NAPTR and SRV say; None where they say nothing, [] where they say that there's no such service."""
        if transport is not None:
            return await self._srv(_PREFIXES[transport] + host, transport)
        named = await self._naptr(host)
        names = named or [(_PREFIXES[one] + host, one) for one in ("udp", "tcp", "tls")]
        found = [await self._srv(name, one) for name, one in names]
        if all(one is None for one in found):
            return None
        return [server for one in found for server in one or ()]

    async def _naptr(self, host: str) -> list[tuple[str, Transport]]:
        """The names of services, in the order that the domain wants (RFC 3263 4.1)."""
        records = [one for one in await self._ask(host, "NAPTR") if isinstance(one, NAPTR)]
        wanted: list[tuple[str, Transport]] = []
        for record in sorted(records, key=lambda one: (one.order, one.preference)):
            transport = _SERVICES.get(record.service.decode("ascii", "replace").lower())
            if transport is not None and record.flags.lower() == b"s" and record.replacement != dns.name.root:
                wanted.append((record.replacement.to_text(omit_final_dot=True), transport))
        return wanted

    async def _srv(self, name: str, transport: Transport) -> list[_Server] | None:
        records = [one for one in await self._ask(name, "SRV") if isinstance(one, SRV)]
        if not records:
            return None
        if len(records) == 1 and records[0].target == dns.name.root:
            return []  # "decidedly not available at this domain" (RFC 2782)
        ordered = _in_turn(records, self._chance)
        return [_Server(one.target.to_text(omit_final_dot=True), one.port, transport) for one in ordered]

    async def _hops(self, servers: Sequence[_Server], domain: str) -> list[Hop]:
        """Raises NetworkError where none is found, and no name server says so of one at least."""
        hops: list[Hop] = []
        untold: NetworkError | None = None
        for server in servers:
            if len(hops) >= _MOST_HOPS:
                break
            try:
                hops += [_hop(one, server.port, server.transport, domain) for one in await self._addresses(server.name)]
            except NetworkError as error:
                untold = error
        if not hops and untold is not None:
            raise untold
        return list(dict.fromkeys(hops))

    async def _addresses(self, name: str) -> list[str]:
        """The addresses of one host, by the families' order; none where nobody knows it. Raises NetworkError where no name server says."""
        found: list[str] = []
        untold: NetworkError | None = None
        if "." in name:
            try:
                for family in self._families:
                    records = await self._ask(name, "A" if family == 4 else "AAAA")
                    found += [one.address for one in records if isinstance(one, A | AAAA)]
            except NetworkError as error:
                untold = error
        found = found or await self._own_hosts(name)
        if not found and untold is not None:
            raise untold
        return found

    async def _own_hosts(self, name: str) -> list[str]:
        """What this machine itself says about a name: "localhost" and the like."""
        if self._is_foreign:
            return []
        try:
            known = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            return []
        addresses = dict.fromkeys(str(one[4][0]) for one in known)
        return [one for family in self._families for one in addresses if ipaddress.ip_address(one).version == family]

    async def _ask(self, name: str, kind: str) -> list[object]:
        """The records; none where the name or the kind isn't there. Raises NetworkError where no name server says."""
        try:
            return list(await self._server().resolve(name, kind))[:_MOST_RECORDS]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, *_NO_NAME):
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise NetworkError("the name server doesn't answer", hint="check the network, or give an address instead of a name") from error

    def _server(self) -> Dns:
        """Made when first needed: without a name server configured, addresses still work."""
        if self._dns is None:
            try:
                self._dns = asynchronous = dns.asyncresolver.Resolver()
                asynchronous.lifetime = _QUESTION_SECONDS
            except dns.exception.DNSException as error:
                raise NetworkError("this machine has no name server", hint="give an address instead of a name") from error
        return self._dns


def _in_turn(records: Sequence[SRV], chance: Callable[[], float]) -> list[SRV]:
    """By priority; of the same priority by lot, weighted (RFC 2782: those of weight 0 first in the running order)."""
    ordered: list[SRV] = []
    for priority in sorted({one.priority for one in records}):
        left = sorted((one for one in records if one.priority == priority), key=lambda one: one.weight)
        while left:
            drawn = chance() * sum(one.weight for one in left)
            for one in left:
                drawn -= one.weight
                if drawn <= 0:
                    break
            ordered.append(one)
            left.remove(one)
    return ordered


def _numeric(host: str, port: int | None, transport: Transport) -> Hop:
    return _hop(host, SIP_PORTS[transport] if port is None else port, transport, "")


def _hop(address: str, port: int, transport: Transport, domain: str) -> Hop:
    return Hop(transport, address, port, server_name=domain if transport == "tls" else "")
