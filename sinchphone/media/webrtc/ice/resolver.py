"""Names of machines -> addresses: servers by the system's resolver, ``.local`` names of peers by multicast DNS. Both beside the loop."""

import asyncio
import ipaddress
import re
import secrets
import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype

MDNS_GROUP: Final = ("224.0.0.251", 5353)  # RFC 6762 3
LOCAL_SECONDS: Final = 1.5  # for one name: machines on the same link answer within milliseconds, sleeping ones not at all
_ASK_AGAIN_SECONDS: Final = (0.0, 0.25, 0.75)  # UDP loses datagrams, and Wi-Fi multicast ones more often (RFC 6762 5.2: intervals grow)
_ADDRESSES: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)
_LOCAL_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}\.local\.?")  # all that browsers make: <uuid>.local
_MAX_DATAGRAM_BYTES: Final = 9000  # RFC 6762 17


async def resolve(host: str, port: int) -> list[tuple[str, int]]:
    """A name's first address of each family, IPv4 before IPv6; at least one. Raises OSError.

    In a daemon thread: a name server that doesn't answer must not keep the program from ending, as the loop's executor would.
    """
    with suppress(ValueError):
        return [(str(ipaddress.ip_address(host)), port)]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str]) -> None:
        if answer.done():
            return
        if addresses:
            answer.set_result(addresses)
        else:
            answer.set_exception(OSError(f"{host} has no address"))

    def look_up() -> None:
        found: dict[int, str] = {}
        with suppress(OSError, UnicodeError):
            for entry in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
                found.setdefault(entry[0], str(entry[4][0]))
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, sorted(found.values(), key=lambda each: ":" in each))

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    return [(address, port) for address in await answer]


def is_local_name(host: str) -> bool:
    """Whether it is a name that only the link knows (RFC 6762 3), as browsers put it into candidates to hide addresses."""
    return _LOCAL_NAME.fullmatch(host) is not None


async def resolve_local(name: str, interfaces: Iterable[str], *, seconds: float = LOCAL_SECONDS) -> str | None:
    """The address of a ``.local`` name, by one-shot multicast queries (RFC 6762 5.1) out of each of ``interfaces`` (our own IPv4
    addresses); ``None`` where nobody answers in time. Raises nothing but CancelledError."""
    loop = asyncio.get_running_loop()
    asking = _Asking(name, loop.create_future())
    transports: list[asyncio.DatagramTransport] = []
    with ExitStack() as opened:
        for address in interfaces:
            transport = await _open(asking, address)
            if transport is not None:
                opened.callback(transport.close)
                transports.append(transport)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await asking.ask(transports)
    return None


async def _open(asking: "_Asking", address: str) -> asyncio.DatagramTransport | None:
    """A socket that sends to the group out of one interface. Its port is not 5353, so answers come to it alone (RFC 6762 6.7)."""
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        plain.bind((address, 0))
        plain.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        plain.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, struct.pack("b", 1))
        plain.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: asking, sock=plain)
    except OSError:  # no IPv4 address, or one without multicast
        plain.close()
        return None
    return transport


class _Asking(asyncio.DatagramProtocol):
    """One question and the first answer to it."""

    def __init__(self, name: str, answer: "asyncio.Future[str]") -> None:
        self._name = dns.name.from_text(name.rstrip("."))
        self._answer = answer
        self._id = secrets.randbits(16)
        self._queries = [dns.message.make_query(self._name, kind, flags=0, id=self._id).to_wire() for kind in _ADDRESSES]

    async def ask(self, transports: Sequence[asyncio.DatagramTransport]) -> str:
        before = 0.0
        for at in _ASK_AGAIN_SECONDS:
            with suppress(TimeoutError):
                async with asyncio.timeout(at - before):
                    return await asyncio.shield(self._answer)
            before = at
            for transport in transports:
                for query in self._queries:
                    transport.sendto(query, MDNS_GROUP)
        return await self._answer

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Anybody on the link may answer, and lie: the checks of ICE then find nobody, or the one who knows the password."""
        if self._answer.done() or len(data) > _MAX_DATAGRAM_BYTES:
            return
        try:
            message = dns.message.from_wire(data, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError, struct.error):
            return
        if message.flags & dns.flags.QR and message.id in (0, self._id):
            answers = (found for found in message.answer if found.name == self._name and found.rdtype in _ADDRESSES)
            address = next((one for found in answers for item in found if (one := _address(item)) is not None), None)
            if address is not None:
                self._answer.set_result(address)

    def error_received(self, exc: Exception) -> None:
        """No way out of that interface; another one may have one."""


def _address(item: dns.rdata.Rdata) -> str | None:
    """Also of an answer with the cache-flush bit, whose class the library doesn't know (RFC 6762 10.2), so that any length may come."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(item.to_generic().data))
    return None
