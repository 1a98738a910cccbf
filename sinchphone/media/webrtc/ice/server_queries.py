"""What STUN and TURN servers give one ICE connection: reflexive candidates and relays (RFC 8445 5.1.1.2).

::

    servers that are known, and those that come --> STUN: every socket asks      --> on_reflexive(candidate)
                                               `--> TURN: UDP first, a moment later TCP and TLS --> on_relayed(protocol)
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final

from sinchphone.errors import ConfigError
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.port import PortOptions
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice.resolver import resolve
from sinchphone.media.webrtc.ice.servers import Server, parse_servers, unusable_urls
from sinchphone.media.webrtc.ice.turn import allocate
from sinchphone.tasks import start_task
from sinchphone.tls import client_context, why_tls_failed

GATHER_SECONDS: Final = 2.0  # for all servers together; the offer doesn't wait for them, only the end of candidates does
_PATIENCE_SECONDS: Final = {"udp": 0.0, "tcp": 0.15, "tls": 0.3}  # for better ways to the same TURN server: UDP carries sound best
COMPONENT: Final = 1  # RTCP is multiplexed
_PREFERENCES: Final = {"udp": 65_535, "tcp": 40_000, "tls": 30_000}  # of relays by the way to them (RFC 8445 5.1.2.1)
_REFUSALS: Final = {  # RFC 8656 18.1, 19: 401 is about the credentials, 486 and 508 about the server's own limits
    401: "refused the credentials",
    403: "forbids it",
    440: "has no address of that family",
    441: "refused the credentials",
    486: "has no more addresses for that user",
    508: "has no more addresses",
}

_log = logging.getLogger(__name__)


class ServerQueries:
    """One round of questions. ``run`` it once."""

    def __init__(
        self,
        options: PortOptions,
        addresses: Sequence[str],
        sockets: Sequence[seam.StunProtocol],
        on_reflexive: Callable[[seam.Candidate], None],
        on_relayed: Callable[[seam.StunProtocol], None],
        make_socket: Callable[[], seam.StunProtocol],
    ) -> None:
        """``addresses``: this machine's; ``sockets``: on them, where the peer may reach us directly; ``make_socket`` makes what a relay
        gives its datagrams to."""
        self._families = {_family(each) for each in addresses}
        self._options = options
        self._sockets = sockets
        self._on_reflexive = on_reflexive
        self._on_relayed = on_relayed
        self._make_socket = make_socket
        self._outcomes: dict[Server, str] = {}  # of TURN servers: why one gave no address; empty where it gave one
        self._relayed_by: set[tuple[str, str | None]] = set()  # hosts and users
        self._asking: set[asyncio.Task[None]] = set()

    async def run(self) -> str:
        """Ask all servers at once, none for longer than GATHER_SECONDS. Why no TURN server gave an address, where there was one."""
        coming = self._options.more_servers
        try:
            self._ask(self._options.ice_servers)
            if coming is not None:
                self._ask(await coming.get())
            if self._asking:
                await asyncio.wait(self._asking, timeout=GATHER_SECONDS)
        finally:
            for task in self._asking:
                task.cancel()
        if not self._outcomes or not all(self._outcomes.values()):
            return ""
        return ", ".join(dict.fromkeys(f"{server.name} {why}" for server, why in self._outcomes.items()))

    def _ask(self, given: Iterable[IceServer]) -> None:
        for url in unusable_urls(given := tuple(given)):
            _log.warning("an ICE server's URL can't be used: %.100r", url)
        servers = parse_servers(given)
        if not self._options.relay_only:
            for server in (each for each in servers if not each.relay):
                self._start(self._ask_stun(server), "stun-server")
        relays = sorted((each for each in servers if each.relay), key=_group_of)
        for _, group in groupby(relays, _group_of):
            alike = list(group)
            soonest = min(_PATIENCE_SECONDS[each.way] for each in alike)
            for server in alike:
                self._outcomes[server] = "didn't answer"
                self._start(self._ask_turn(server, _PATIENCE_SECONDS[server.way] - soonest), "turn-server")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._asking.add(start_task(work, name=name))

    # STUN

    async def _ask_stun(self, server: Server) -> None:
        """A server that fails is no reason to give up the others."""
        try:
            addresses = await resolve(server.host, server.port)
        except OSError as error:
            _log.info("%s", error)
            return
        pairs = [(each, address) for address in addresses for each in self._sockets if _same_family(each.local_candidate.host, address[0])]
        await asyncio.gather(*(self._reflect(*pair) for pair in pairs), return_exceptions=True)

    async def _reflect(self, protocol: seam.StunProtocol, server: tuple[str, int]) -> None:
        """Learn from a STUN server how a socket is seen from outside."""
        request = seam.StunMessage(message_method=seam.StunMethod.BINDING, message_class=seam.StunClass.REQUEST)
        response, _ = await protocol.request(request, server)
        host, port = response.attributes["XOR-MAPPED-ADDRESS"]
        base = protocol.local_candidate
        self._on_reflexive(
            seam.Candidate(
                foundation=seam.candidate_foundation("srflx", "udp", base.host),
                component=COMPONENT,
                transport="udp",
                priority=seam.candidate_priority(COMPONENT, "srflx", preference_of(base.host)),
                host=host,
                port=port,
                type="srflx",
                related_address=base.host,
                related_port=base.port,
            )
        )

    # TURN

    async def _ask_turn(self, server: Server, patience_s: float) -> None:
        await asyncio.sleep(patience_s)
        if (server.host, server.username) in self._relayed_by:
            self._outcomes.pop(server)
            return
        try:
            ways = _ways(await resolve(server.host, server.port), self._families)
        except OSError:
            self._outcomes[server] = "has no address"
            return
        outcomes = await asyncio.gather(*(self._allocate(server, *way) for way in ways))
        self._outcomes[server] = "" if "" in outcomes else outcomes[0]

    async def _allocate(self, server: Server, address: tuple[str, int], family: socket.AddressFamily | None) -> str:
        """Take an address there (RFC 8656). Why nothing came of it; nothing where something did."""
        protocol = self._make_socket()
        try:
            await allocate(server, address, protocol, family=family, context=partial(client_context, self._options.ca_file))
        except (seam.TransactionError, ConfigError, OSError, ValueError) as error:
            return why_no_relay(error, server)
        self._relayed_by.add((server.host, server.username))
        protocol.local_candidate = self._candidate(protocol.transport, server)
        self._on_relayed(protocol)
        return ""

    def _candidate(self, transport: asyncio.DatagramTransport, server: Server) -> seam.Candidate:
        host, port = transport.get_extra_info("sockname")
        related = transport.get_extra_info("related_address")
        if self._options.relay_only:  # nothing of ours is told (RFC 9429 3.5.3, RFC 8839 5.1)
            related = ("0.0.0.0" if ":" not in host else "::", 9)  # noqa: S104 - bound to nothing
        return seam.Candidate(
            foundation=seam.candidate_foundation("relay", "udp", host),
            component=COMPONENT,
            transport="udp",
            priority=seam.candidate_priority(COMPONENT, "relay", _PREFERENCES[server.way]),
            host=host,
            port=port,
            type="relay",
            related_address=related[0],
            related_port=related[1],
        )


def preference_of(host: str) -> int:
    """Loopback last: a real path, where there is one, is worth more (RFC 8445 5.1.2.1)."""
    return 1 if ipaddress.ip_address(host).is_loopback else 65_535


def _group_of(server: Server) -> tuple[str, str]:
    return server.host, server.username or ""


def _ways(
    addresses: Sequence[tuple[str, int]], ours: set[socket.AddressFamily]
) -> list[tuple[tuple[str, int], socket.AddressFamily | None]]:
    """From which addresses of a server which families of relays are asked for: over IPv6 one of IPv6, and where we have no IPv4 ourselves
    the server's usual one too, which reaches peers that have nothing else. ``ours``: of this machine's addresses."""
    usable = [address for address in addresses if _family(address[0]) in ours] or list(addresses)
    ways: list[tuple[tuple[str, int], socket.AddressFamily | None]] = []
    for address in usable:
        if _family(address[0]) is socket.AF_INET6:
            ways.append((address, socket.AF_INET6))
        if _family(address[0]) is socket.AF_INET or len(usable) == 1:
            ways.append((address, None))
    return ways


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _same_family(one: str, other: str) -> bool:
    return _family(one) is _family(other)


def why_no_relay(error: Exception, server: Server) -> str:
    """Why a TURN server gave no address, in words that follow its name."""
    if isinstance(error, seam.TransactionError):
        return _refusal(error)
    if isinstance(error, ConfigError):
        return f"can't be asked: {error}"
    tls = why_tls_failed(error, connecting=server.tls)
    return "can't be reached" if tls is None else f"can't be trusted: {tls.reason}"


def _refusal(error: seam.TransactionError) -> str:
    """What a TURN server said, in words."""
    code = 0 if error.response is None else error.response.error_code or 0
    return _REFUSALS.get(code, f"refused (error {code})" if code else "didn't answer")
