"""The ICE agent: aioice's, with local trickle, a first check without a pause, and a consent that only watches (RFC 8445).

::

    sockets --STUN--> checks, consent        gather() -> on_candidate(host), … then in the background srflx, relay, None
        |----DTLS--> recv()  (bounded queue; from addresses that proved to be the peer's)
        `----SRTP--> on_media(datagram)      no task, no queue
"""

import asyncio
import ipaddress
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVarTuple

from sinchphone.media.port import PortOptions
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.servers import Server, parse_servers

GATHER_SECONDS: Final = 2.0  # for all servers together; the offer doesn't wait for them, only the end of candidates does
CHECK_SECONDS: Final = 0.02  # between two checks (Ta, RFC 8445 14.2: 5 ms or more)
MAX_REMOTE_CANDIDATES: Final = 64
MAX_PACKET_BYTES: Final = 1500  # of SRTP and SRTCP: pylibsrtp takes no more
_MAX_QUEUED: Final = 64  # DTLS datagrams; a handshake is about six
_MAX_UNPROVEN: Final = 8  # addresses whose DTLS datagrams are kept until they are known to be the peer's,
_MAX_KEPT: Final = 8  # and datagrams of each
_CONSENT_RETRIES: Final = 1  # a consent check gives up after 1.5 s
_CLOSE_SECONDS: Final = 1.0
_COMPONENT: Final = 1  # RTCP is multiplexed
_RECEIVE_BUFFER_BYTES: Final = 256 * 1024
_MALFORMED: Final = (ValueError, KeyError, IndexError, AssertionError, struct.error)  # what aioice's STUN parser lets out

Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """What a peer's checks must prove to know (RFC 8445 5.3)."""

    ufrag: str
    password: str


class IceSocket(seam.StunProtocol):
    """One local address: tells STUN, DTLS and SRTP apart by the first byte (RFC 7983)."""

    receiver: "IceConnection"

    def __init__(self, receiver: "IceConnection") -> None:
        super().__init__(receiver)
        self.mapped: dict[tuple[str, int], tuple[str, int]] = {}  # how each peer address saw this socket

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Anything that is none of the three, or broken, is dropped: anybody can send it."""
        if not data or isinstance(data, str):
            return
        first = data[0]
        if 127 < first < 192:
            self.receiver.media_received(data)
        elif 19 < first < 64:
            self.receiver.dtls_received(data, (addr[0], addr[1]))
        elif first < 4:
            with suppress(*_MALFORMED):
                super().datagram_received(data, addr)

    async def request(
        self, request: seam.StunMessage, addr: tuple[str, int], integrity_key: bytes | None = None, retransmissions: int | None = None
    ) -> tuple[seam.StunMessage, tuple[str, int]]:
        """A STUN transaction; keeps the mapped address of the answer."""
        response, source = await super().request(request, addr, integrity_key, retransmissions)
        mapped = response.attributes.get("XOR-MAPPED-ADDRESS")
        if mapped is not None:
            self.mapped[addr] = mapped
        return response, source


class IceConnection(seam.Connection):
    """One leg's ICE. Lives in one event loop. Callbacks must not raise."""

    def __init__(
        self,
        options: PortOptions,
        credentials: IceCredentials,
        *,
        on_candidate: Callable[[seam.Candidate | None], None],
        on_media: Callable[[bytes], None],
        on_consent: Callable[[], None],
    ) -> None:
        policy = seam.TransportPolicy.RELAY if options.relay_only else seam.TransportPolicy.ALL
        super().__init__(
            ice_controlling=True, transport_policy=policy, local_username=credentials.ufrag, local_password=credentials.password
        )
        self._options = options
        self._on_candidate = on_candidate
        self._on_media = on_media
        self._on_consent = on_consent
        self._gathering: asyncio.Task[None] | None = None
        self._gathered = False
        self._progress = asyncio.Event()
        self._proven: set[tuple[str, int]] = set()  # addresses that showed that they know a password of this connection
        self._unproven: dict[tuple[str, int], list[bytes]] = {}  # DTLS datagrams from others

    # gathering

    async def gather_candidates(self) -> None:
        """Open a socket for each local address and report its candidate; ask the servers in the background. Takes a millisecond or two."""
        if self._local_candidates_start:
            return
        self._local_candidates_start = True
        if not self._options.relay_only:
            for address in self._addresses():
                await self._open(address)
        self._local_candidates_end = True
        if not self._closing:  # closed meanwhile
            self._gathering = asyncio.create_task(self._ask_servers(), name="ice-servers")

    def _addresses(self) -> list[str]:
        """The loopback addresses are among them where they are wanted or nothing else is there."""
        addresses = seam.get_host_addresses(self._use_ipv4, self._use_ipv6)
        usable = [each for each in dict.fromkeys(addresses) if not ipaddress.ip_address(each).is_link_local]
        routed = [each for each in usable if not ipaddress.ip_address(each).is_loopback]
        return [*routed, "127.0.0.1", "::1"] if self._options.loopback or not routed else routed

    async def _open(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.create_datagram_endpoint(lambda: IceSocket(self), local_addr=(address, 0))
        except OSError:  # the address went away, or IPv6 is switched off
            return
        if self._closing:  # closed meanwhile
            transport.close()
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = seam.Candidate(
            foundation=seam.candidate_foundation("host", "udp", host),
            component=_COMPONENT,
            transport="udp",
            priority=seam.candidate_priority(_COMPONENT, "host", _preference(host)),
            host=host,
            port=port,
            type="host",
        )
        self._add_local(protocol.local_candidate, protocol)

    async def _ask_servers(self) -> None:
        """All STUN and TURN servers at once, none for longer than GATHER_SECONDS; then the end of candidates."""
        servers = parse_servers(self._options.ice_servers)
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await asyncio.gather(*(_quietly(self._ask, server) for server in servers))
        self._gathered = True
        self._on_candidate(None)
        if self._early_checks_done and not self._check_list_done:
            self._check_list_maybe_fail()
            self._progress.set()

    async def _ask(self, server: Server) -> None:
        address = await resolve(server.host, server.port)
        if server.relay:
            await self._allocate(server, address)
        elif not self._options.relay_only:
            sockets = [each for each in self._protocols if _same_family(each.local_candidate.host, address[0])]
            await asyncio.gather(*(_quietly(self._reflect, each, address) for each in sockets))

    async def _reflect(self, protocol: seam.StunProtocol, server: tuple[str, int]) -> None:
        """Learn from a STUN server how a socket is seen from outside (RFC 8445 5.1.1.2)."""
        request = seam.StunMessage(message_method=seam.StunMethod.BINDING, message_class=seam.StunClass.REQUEST)
        response, _ = await protocol.request(request, server)
        host, port = response.attributes["XOR-MAPPED-ADDRESS"]
        base = protocol.local_candidate
        if any((each.host, each.port) == (host, port) for each in self._local_candidates):
            return  # redundant (RFC 8445 5.1.3): there is no NAT
        candidate = seam.Candidate(
            foundation=seam.candidate_foundation("srflx", "udp", base.host),
            component=_COMPONENT,
            transport="udp",
            priority=seam.candidate_priority(_COMPONENT, "srflx", _preference(base.host)),
            host=host,
            port=port,
            type="srflx",
            related_address=base.host,
            related_port=base.port,
        )
        self._add_local(candidate, None)

    async def _allocate(self, server: Server, address: tuple[str, int]) -> None:
        """Take an address on a TURN server (RFC 8656)."""
        candidate, protocol = await seam.relayed_candidate(
            component=_COMPONENT,
            hide_related_address=self._options.relay_only,
            protocol_factory=lambda: IceSocket(self),
            turn_server=(server.host, server.port) if server.tls else address,
            turn_username=server.username,
            turn_password=server.credential,
            turn_ssl=server.tls,
            turn_transport=server.transport,
        )
        if self._closing or self._check_list_done:
            await protocol.close()
        else:
            self._add_local(candidate, protocol)

    def _add_local(self, candidate: seam.Candidate, protocol: seam.StunProtocol | None) -> None:
        self._local_candidates.append(candidate)
        if protocol is not None:
            self._protocols.append(protocol)
            for remote in self._remote_candidates:
                self._pair_remote_candidate(remote)
            self.sort_check_list()
            self._progress.set()
        self._on_candidate(candidate)

    # checks

    async def connect(self) -> None:
        """Find a pair that works. Raises ConnectionError when no pair is left; waits for ever while candidates may still come."""
        for remote in self._remote_candidates:
            self._pair_remote_candidate(remote)
        self.sort_check_list()
        self._unfreeze_initial()
        for early in self._early_checks:
            self.check_incoming(*early)
        self._early_checks.clear()
        self._early_checks_done = True
        while self._check_periodic():
            self._progress.clear()
            await self._pause()
        result = await self._check_list_state.get() if self._check_list else None
        for pair in self._check_list:
            if pair.task is not None:
                pair.task.cancel()
        if result != seam.ICE_COMPLETED:
            raise ConnectionError("no pair of candidates works")
        self._query_consent_task = asyncio.create_task(self.query_consent(), name="ice-consent")

    async def _pause(self) -> None:
        """Until the next check is due, or there is something new: a candidate, or the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await self._progress.wait()

    def check_complete(self, pair: seam.CandidatePair) -> None:
        """As in the library; the loop of ``connect`` hears of it at once."""
        if pair.state is seam.CandidatePair.State.SUCCEEDED:
            self._prove(pair.remote_addr)
        super().check_complete(pair)
        self._progress.set()

    def check_incoming(self, message: seam.StunMessage, addr: tuple[str, int], protocol: seam.StunProtocol) -> None:
        """A check with the right password: its address becomes a remote candidate, as long as there aren't too many."""
        known = any((each._network_host, each.port) == addr for each in self._remote_candidates)
        if "PRIORITY" not in message.attributes or not (known or len(self._remote_candidates) < MAX_REMOTE_CANDIDATES):
            return
        super().check_incoming(message, addr, protocol)
        self._prove(addr)

    def _add_remote_candidate(self, remote_candidate: seam.Candidate, network_host: str) -> None:
        if len(self._remote_candidates) < MAX_REMOTE_CANDIDATES:
            super()._add_remote_candidate(remote_candidate, network_host)
            self._progress.set()

    def _remote_candidates_expected(self) -> bool:
        """Also while our own are still gathered: the list is not complete, so it can't fail yet."""
        return super()._remote_candidates_expected() or not self._gathered

    async def add(self, text: str | None) -> None:
        """A remote candidate as in ``a=candidate``; ``None`` ends them.

        What can't be used is ignored: TCP, RTCP's own component, mDNS names (the peer behind one becomes peer-reflexive).
        """
        if self._remote_candidates_end:
            return
        if text is None:
            if self._remote_candidates:  # of a peer that gives none we wait for the checks: it becomes peer-reflexive
                await self.add_remote_candidate(None)
                self._progress.set()
            return
        with suppress(ValueError):
            candidate = seam.Candidate.from_sdp(text.removeprefix("a=").removeprefix("candidate:"))
            ipaddress.ip_address(candidate.host)
            if candidate.transport.lower() == "udp" and candidate.component == _COMPONENT and 0 < candidate.port < 65536:
                await self.add_remote_candidate(candidate)

    # after the checks

    async def query_consent(self) -> None:
        """Ask the peer again and again whether it still wants us (RFC 7675); each yes goes to ``on_consent``."""
        interval = min(5.0, self._options.lost_after_s / 4)
        while self.remote_password is not None:
            await asyncio.sleep(interval * random.uniform(0.8, 1.2))
            pair = self._nominated.get(_COMPONENT)
            if pair is None:
                return
            request = self.build_request(pair, nominate=False)
            with suppress(seam.TransactionError):
                await pair.protocol.request(request, pair.remote_addr, self.remote_password.encode(), _CONSENT_RETRIES)
                self._on_consent()

    def dtls_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A DTLS datagram: anybody could end the handshake by a forged alert, so only the peer is listened to.

        Its first ones may overtake the check that proves its address: a few are kept.
        """
        if addr in self._proven:
            self._enqueue(data)
        elif addr in self._unproven or len(self._unproven) < _MAX_UNPROVEN:
            kept = self._unproven.setdefault(addr, [])
            if len(kept) < _MAX_KEPT:
                kept.append(data)

    def data_received(self, data: bytes, component: int) -> None:
        """What the library can't read as STUN: nothing of use, since DTLS and SRTP don't get to it."""

    def _prove(self, addr: tuple[str, int]) -> None:
        """From now on the address is the peer's."""
        self._proven.add(addr)
        for data in self._unproven.pop(addr, ()):
            self._enqueue(data)

    def _enqueue(self, data: bytes) -> None:
        """For ``recv``; dropped while nobody reads (DTLS sends again)."""
        if self._queue.qsize() < _MAX_QUEUED:
            self._queue.put_nowait((data, _COMPONENT))

    def media_received(self, data: bytes) -> None:
        """An SRTP or SRTCP datagram; one that is too long is dropped."""
        if len(data) <= MAX_PACKET_BYTES:
            self._on_media(data)

    def send_media(self, data: bytes) -> bool:
        """Send at once; ``False`` where there is no pair (any more)."""
        pair = self._nominated.get(_COMPONENT)
        if pair is None:
            return False
        pair.protocol.transport.sendto(data, pair.remote_addr)
        return True

    @property
    def pair_type(self) -> str:
        """The type of the local candidate in use: host, srflx, prflx or relay."""
        pair = self._nominated[_COMPONENT]
        local = pair.local_candidate
        if local.type != "host" or not isinstance(pair.protocol, IceSocket):
            return local.type
        seen_as = pair.protocol.mapped.get(pair.remote_addr, (local.host, local.port))
        if seen_as == (local.host, local.port):
            return "host"
        reflexive = any((each.host, each.port) == seen_as for each in self._local_candidates)
        return "srflx" if reflexive else "prflx"

    async def close(self) -> None:
        """Close all sockets. A TURN server that doesn't answer is not waited for."""
        self._closing = True  # at once: gathering may be under way
        if self._gathering is not None:
            self._gathering.cancel()
            await asyncio.wait([self._gathering])
        closing = asyncio.ensure_future(super().close())
        self._progress.set()
        await asyncio.wait([closing], timeout=_CLOSE_SECONDS)


async def resolve(host: str, port: int) -> tuple[str, int]:
    """The first address of a name, IPv4 before IPv6. Raises OSError.

    In a daemon thread: a name server that doesn't answer must not keep the program from ending, as the loop's executor would.
    """
    with suppress(ValueError):
        return str(ipaddress.ip_address(host)), port
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def settle(address: str | None) -> None:
        if answer.done():
            return
        if address is None:
            answer.set_exception(OSError(f"{host} has no address"))
        else:
            answer.set_result(address)

    def look_up() -> None:
        found: list[str] = []
        with suppress(OSError, UnicodeError):
            found = sorted(
                (str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)), key=lambda each: ":" in each
            )
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, found[0] if found else None)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    return await answer, port


async def _quietly(ask: Callable[[*Arguments], Coroutine[Any, Any, None]], *arguments: *Arguments) -> None:
    """One server that fails is no reason to give up the others: there are other candidates, or the call fails by its own timer."""
    with suppress(OSError, ValueError, KeyError, seam.TransactionError):
        await ask(*arguments)


def _preference(host: str) -> int:
    """Loopback last: a real path, where there is one, is worth more (RFC 8445 5.1.2.1)."""
    return 1 if ipaddress.ip_address(host).is_loopback else 65_535


def _same_family(one: str, other: str) -> bool:
    return ipaddress.ip_address(one).version == ipaddress.ip_address(other).version
