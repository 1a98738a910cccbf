"""Which STUN and TURN servers can be used from here, and what kind of NAT they see: for people who look for what's wrong, not for calls.

Mapping behaviour as in RFC 5780 4.3 where a server names another address of its own, else by comparing what two servers see.
"""

import asyncio
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final

from sinchphone.errors import ConfigError
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice.ice_socket import MALFORMED
from sinchphone.media.webrtc.ice.resolver import resolve
from sinchphone.media.webrtc.ice.server_queries import why_no_relay
from sinchphone.media.webrtc.ice.servers import Server, parse_servers
from sinchphone.media.webrtc.ice.turn import Address, allocate
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tls import client_context

PROBE_SECONDS: Final = 4.0  # for one server
_RETRANSMISSIONS: Final = 2


class NatKind(Enum):
    """How this machine is seen from outside, over UDP."""

    NONE = "no NAT"
    SAME_MAPPING = "a NAT with the same mapping for all (endpoint-independent)"
    SYMMETRIC = "a symmetric NAT"
    UNKNOWN = "a NAT"  # nothing to compare with
    BLOCKED = "UDP is blocked"
    UNTRIED = "not tried"  # there is no server that could tell


@quick_dataclass(frozen=True, slots=True)
class ServerReport:
    """One server: empty ``why_not`` where it does what it's for, in ``took_s``."""

    server: Server
    why_not: str
    took_s: float


@quick_dataclass(frozen=True, slots=True)
class NetworkReport:
    """What was found. ``seen_as``: this machine's addresses as servers see them."""

    servers: tuple[ServerReport, ...]
    nat: NatKind
    seen_as: tuple[str, ...]


async def probe_network(servers: Iterable[IceServer], ca_file: Path | None = None) -> NetworkReport:
    """Ask all of them at once, none for longer than PROBE_SECONDS. Cancelling is safe."""
    known = parse_servers(servers)
    udp = [server for server in known if server.transport == "udp"]
    sockets: dict[bool, _Socket] = {}  # one a family: what several servers see of the same one can be compared
    try:
        for six, host in ((False, "0.0.0.0"), (True, "::")):  # noqa: S104 - they only ask
            with suppress(OSError):
                sockets[six] = await _Socket.open(host)
        asked = await asyncio.gather(*(_ask(sockets, server) for server in udp))
        reports = await asyncio.gather(*(_use(server, ca_file) for server in known if server.relay))
    finally:
        for opened in sockets.values():
            opened.transport.close()
    plain = [ServerReport(server, found.why_not, found.took_s) for server, found in zip(udp, asked, strict=True) if not server.relay]
    seen = [found for found in asked if found.mapped]
    kind = NatKind.UNTRIED if not udp else (_kind_of(seen) if seen else NatKind.BLOCKED)
    addresses = dict.fromkeys(f"{host}" for found in seen for host, _ in found.mapped)
    return NetworkReport((*plain, *reports), kind, tuple(addresses))


@quick_dataclass(frozen=True, slots=True)
class _Seen:
    """What one server sees of a socket: first asked where it is, then at its other address where it has one."""

    mapped: tuple[Address, ...]
    local: Address
    why_not: str
    took_s: float


async def _ask(sockets: dict[bool, "_Socket"], server: Server) -> _Seen:
    begun, found, local = time.monotonic(), list[Address](), ("", 0)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            address = (await resolve(server.host, server.port))[0]
            asker = sockets[":" in address[0]]
            local = asker.local_to(address)
            response = await asker.ask(address)
            took = time.monotonic() - begun
            found.append(response.attributes["XOR-MAPPED-ADDRESS"])
            other = response.attributes.get("OTHER-ADDRESS")
            if other is not None and other[0] != address[0] and (":" in other[0]) == (":" in address[0]):
                found.append((await asker.ask(other)).attributes["XOR-MAPPED-ADDRESS"])
            return _Seen(tuple(found), local, "", took)
    except (TimeoutError, seam.TransactionError):
        return _Seen(tuple(found), local, "" if found else "didn't answer", time.monotonic() - begun)
    except (OSError, KeyError, ValueError):
        return _Seen(tuple(found), local, "" if found else "can't be reached", time.monotonic() - begun)


async def _use(server: Server, ca_file: Path | None) -> ServerReport:
    """Take an address on a TURN server, and give it back."""
    begun, why = time.monotonic(), "didn't answer"
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            address = (await resolve(server.host, server.port))[0]
            taken = await allocate(server, address, asyncio.DatagramProtocol(), context=partial(client_context, ca_file))
            taken.close()
            why = ""
    except (seam.TransactionError, ConfigError, OSError, ValueError) as error:  # a TimeoutError is an OSError
        why = why if isinstance(error, TimeoutError) else why_no_relay(error, server)
    return ServerReport(server, why, time.monotonic() - begun)


def _kind_of(seen: list[_Seen]) -> NatKind:
    if all(one.mapped[0] == one.local for one in seen):
        return NatKind.NONE
    by_local: dict[Address, set[Address]] = {}
    compared = 0
    for one in seen:
        by_local.setdefault(one.local, set()).update(one.mapped)
        compared += len(one.mapped)
    if any(len(mapped) > 1 for mapped in by_local.values()):
        return NatKind.SYMMETRIC
    return NatKind.SAME_MAPPING if compared > len(by_local) else NatKind.UNKNOWN


class _Socket(asyncio.DatagramProtocol):
    """Asks several servers from one port."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self._transactions: dict[bytes, seam.StunTransaction] = {}

    @classmethod
    async def open(cls, host: str) -> "_Socket":
        _, opened = await asyncio.get_running_loop().create_datagram_endpoint(cls, local_addr=(host, 0))
        return opened

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # of datagrams
        self.transport = transport

    def local_to(self, address: Address) -> Address:
        """Our own address as this machine would send from it to ``address``."""
        with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM) as routed:
            routed.connect(address)
            return str(routed.getsockname()[0]), int(self.transport.get_extra_info("sockname")[1])

    async def ask(self, address: Address) -> seam.StunMessage:
        request = seam.StunMessage(message_method=seam.StunMethod.BINDING, message_class=seam.StunClass.REQUEST)
        transaction = seam.StunTransaction(request, address, self, retransmissions=_RETRANSMISSIONS)
        self._transactions[request.transaction_id] = transaction
        try:
            return (await transaction.run())[0]
        finally:
            del self._transactions[request.transaction_id]

    def send_stun(self, message: seam.StunMessage, addr: Address) -> None:
        self.transport.sendto(bytes(message), addr)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            message = seam.parse_message(data)
        except MALFORMED:
            return
        if message.transaction_id in self._transactions:
            self._transactions[message.transaction_id].response_received(message, (addr[0], addr[1]))
