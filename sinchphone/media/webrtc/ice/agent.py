"""The ICE agent: aioice's, with local trickle, a first check without a pause, and a consent that only watches (RFC 8445).

::

    sockets --STUN--> checks, consent        gather() -> on_candidate(host), … then in the background srflx, relay, None
        |----DTLS--> on_dtls(datagram)       from addresses that proved to be the peer's
        `----SRTP--> on_media(datagram)
"""

import asyncio
import ipaddress
import math
import random
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol

from sinchphone.errors import RELAY_ONLY
from sinchphone.hosts import join_host
from sinchphone.media.network.priority import RECEIVE_BUFFER_BYTES, prioritise
from sinchphone.media.network.reading import read_datagrams
from sinchphone.media.port import PortOptions
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice.ice_socket import IceSocket
from sinchphone.media.webrtc.ice.local_addresses import bound_socket, recent_addresses
from sinchphone.media.webrtc.ice.resolver import is_local_name, resolve_local
from sinchphone.media.webrtc.ice.server_queries import COMPONENT, ServerQueries, preference_of
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import cancel_all, start_task

CHECK_SECONDS: Final = 0.02  # between two checks (Ta, RFC 8445 14.2: 5 ms or more)
MAX_REMOTE_CANDIDATES: Final = 64
MAX_PACKET_BYTES: Final = 1500  # of SRTP and SRTCP: pylibsrtp takes no more
_MAX_NAMES: Final = 8  # of candidates that are looked up; a browser gives one name for each of its addresses
_MAX_UNPROVEN: Final = 8  # addresses whose DTLS datagrams are kept until they are known to be the peer's,
_MAX_KEPT: Final = 8  # and datagrams of each
_CONSENT_SECONDS: Final = 0.8  # between two consent checks,
_CONSENT_AGAIN_SECONDS: Final = 0.5  # and after one that isn't answered another: a dead path has ignored six packets and more after 4 s
_CONSENT_SURE_SECONDS: Final = 4.0  # while the peer tells of packets of ours: what RFC 7675 5.1 asks for is 4 to 6 s
_CLOSE_SECONDS: Final = 1.0


class RoundTripWatch(Protocol):
    """Who measures the path by how long its checks take."""

    def check_in(self) -> float:
        """How long until a check should be sent [s]; infinite where none is needed."""

    def checked(self, path: object) -> int:
        """A check goes out over ``path``; its number."""

    def answered(self, number: int) -> None:
        """The answer to that one has come."""


@quick_dataclass(frozen=True, slots=True)
class IceListener:
    """Who is told what happens on one connection. Nothing here may raise."""

    candidate: Callable[[seam.Candidate | None], None]  # one of ours; None: no more
    media: Callable[[bytes], None]  # an SRTP or SRTCP datagram, of whomever
    dtls: Callable[[bytes], None]  # a DTLS datagram of the peer's
    consent: Callable[[], None]  # the peer still wants us
    receives: Callable[[], bool]  # whether the peer has told of packets that came over this connection since this was asked before
    broken: Callable[[], None]  # the socket in use is gone
    no_relay: Callable[[str], None]  # TURN servers were given, and none of them took us: why
    round_trips: Callable[[], RoundTripWatch | None]  # who measures this path; None where it isn't the one in use


@quick_dataclass(frozen=True, slots=True)
class IceCredentials:
    """What a peer's checks must prove to know (RFC 8445 5.3)."""

    ufrag: str
    password: str


class IceConnection(seam.Connection):
    """One leg's ICE. Lives in one event loop."""

    def __init__(self, options: PortOptions, credentials: IceCredentials, listener: IceListener) -> None:
        policy = seam.TransportPolicy.RELAY if options.relay_only else seam.TransportPolicy.ALL
        super().__init__(
            ice_controlling=True, transport_policy=policy, local_username=credentials.ufrag, local_password=credentials.password
        )
        self._options = options
        self._listener = listener
        self._gathering: asyncio.Task[None] | None = None
        self._gathered = False
        self.why_nowhere = ""  # it may use relays alone, and has none
        self.gathered_from: tuple[str, ...] = ()  # this machine's addresses when the sockets were opened, loopback left out
        self._asking: set[asyncio.Task[None]] = set()  # consent checks, and names of candidates
        self._unnamed = 0  # candidates whose names are being looked up
        self._ended = False  # the peer has no more candidates
        self._refusing = False
        self._broken = False  # the socket of the pair in use is gone
        self._found_a_pair = asyncio.Event()
        self._progress = asyncio.Event()
        self._proven: set[tuple[str, int]] = set()  # addresses that showed that they know a password of this connection
        self._unproven: dict[tuple[str, int], list[bytes]] = {}  # DTLS datagrams from others

    # gathering

    async def gather_candidates(self) -> None:
        """Open a socket for each local address and report its candidate; ask the servers in the background. Takes a millisecond or two."""
        if self._local_candidates_start:
            return
        self._local_candidates_start = True
        self.gathered_from = recent_addresses()
        if not self._options.relay_only:
            for protocol in await asyncio.gather(*(self._open(address) for address in self._addresses())):
                if protocol is not None:
                    self._add_local(protocol.local_candidate, paired=True)
        self._local_candidates_end = True
        if not self._closing:  # closed meanwhile
            self._gathering = start_task(self._ask_servers(), name="ice-servers")

    def _addresses(self) -> list[str]:
        """The loopback addresses are among them where they are wanted or nothing else is there."""
        routed = self.gathered_from
        return [*routed, "127.0.0.1", "::1"] if self._options.loopback or not routed else [*routed]

    def _new_socket(self) -> IceSocket:
        return IceSocket(self, self.media_received, self.dtls_received)

    async def _open(self, address: str) -> seam.StunProtocol | None:
        """A socket with that address; it's told of when all of them are there, since whoever hears of one is woken for it."""
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.create_datagram_endpoint(self._new_socket, sock=bound_socket(address))
        except OSError:  # the address went away, or IPv6 is switched off
            return None
        if self._closing:  # closed meanwhile
            transport.close()
            return None
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        prioritise(opened)
        read_datagrams(transport)
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = seam.Candidate(
            foundation=seam.candidate_foundation("host", "udp", host),
            component=COMPONENT,
            transport="udp",
            priority=seam.candidate_priority(COMPONENT, "host", preference_of(host)),
            host=host,
            port=port,
            type="host",
        )
        self._protocols.append(protocol)
        return protocol

    async def _ask_servers(self) -> None:
        """All STUN and TURN servers at once, none for longer than GATHER_SECONDS; then the end of candidates."""
        local = [each for each in self._protocols if each.local_candidate.type == "host"]
        queries = ServerQueries(self._options, self.gathered_from, local, self._reflexive, self._relayed, self._new_socket)
        why_none = await queries.run()
        self._gathered = True
        self._listener.candidate(None)
        if why_none:
            self._listener.no_relay(why_none)
        if self._options.relay_only and not self._local_candidates:
            self._check_list_done = True  # there is nowhere to go from: connect() fails at once
            self.why_nowhere = f"{RELAY_ONLY}, and none {'gave an address' if why_none else 'is known'}"
        if self._early_checks_done and not self._check_list_done:
            self._check_list_maybe_fail()
        self._progress.set()

    def _reflexive(self, candidate: seam.Candidate) -> None:
        """How a server sees one of our sockets."""
        if not any((each.host, each.port) == (candidate.host, candidate.port) for each in self._local_candidates):
            self._add_local(candidate, paired=False)  # else it's redundant (RFC 8445 5.1.3): there is no NAT

    def _relayed(self, protocol: seam.StunProtocol) -> None:
        """An address on a TURN server."""
        if self._closing or self._check_list_done:
            protocol.transport.close()
        else:
            self._protocols.append(protocol)
            self._add_local(protocol.local_candidate, paired=True)

    def _add_local(self, candidate: seam.Candidate, *, paired: bool) -> None:
        self._local_candidates.append(candidate)
        if paired:
            for remote in self._remote_candidates:
                self._pair_remote_candidate(remote)
            self.sort_check_list()
            self._progress.set()
        self._listener.candidate(candidate)

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
        self._query_consent_task = start_task(self.query_consent(), name="ice-consent")

    async def _pause(self) -> None:
        """Until the next check is due, or there is something new: a candidate, or the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await self._progress.wait()

    def check_complete(self, pair: seam.CandidatePair) -> None:
        """As in the library; the loop of ``connect`` hears of it at once."""
        if pair.state is seam.CandidatePair.State.SUCCEEDED:
            self._prove(pair.remote_addr)
            self._found_a_pair.set()
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

    def _pair_remote_candidate(self, remote_candidate: seam.Candidate) -> None:
        """As in the library, for what gets here: one component, UDP alone, addresses and no names."""
        is_ipv6 = ":" in remote_candidate._network_host
        for protocol in self._protocols:
            if (":" in protocol.local_candidate.host) is is_ipv6 and self._find_pair(protocol, remote_candidate) is None:
                self._check_list.append(seam.CandidatePair(protocol, remote_candidate))

    def _remote_candidates_expected(self) -> bool:
        """Also while our own are still gathered: the list is not complete, so it can't fail yet."""
        return super()._remote_candidates_expected() or not self._gathered

    async def add(self, text: str | None) -> None:
        """A remote candidate as in ``a=candidate``; ``None`` ends them. Never waits: a ``.local`` name is looked up aside.

        What can't be used is ignored: TCP, RTCP's own component, names that nobody answers to (the peer may still turn out peer-reflexive).
        """
        if self._ended:
            return
        if text is None:
            self._ended = bool(self._remote_candidates) or self._unnamed > 0  # a peer that gives none becomes peer-reflexive
            await self._end_of_remote()
            return
        with suppress(ValueError):
            candidate = seam.Candidate.from_sdp(text.removeprefix("a=").removeprefix("candidate:"))
            if candidate.transport.lower() != "udp" or candidate.component != COMPONENT or not 0 < candidate.port < 65536:
                return
            if is_local_name(candidate.host):
                self._look_up(candidate)
                return
            ipaddress.ip_address(candidate.host)
            await self.add_remote_candidate(candidate)

    async def _end_of_remote(self) -> None:
        if self._ended and not self._unnamed and not self._remote_candidates_end:
            await self.add_remote_candidate(None)
            self._progress.set()

    def _look_up(self, candidate: seam.Candidate) -> None:
        """With relays only the peer's own addresses are of no use, and a query would tell the link about the call."""
        if self._options.relay_only or self._unnamed >= _MAX_NAMES or self._closing:
            return
        self._unnamed += 1
        self._beside(self._add_named(candidate), "ice-name")

    async def _add_named(self, candidate: seam.Candidate) -> None:
        try:
            interfaces = [each.local_candidate.host for each in self._protocols if each.local_candidate.type == "host"]
            address = await resolve_local(candidate.host, dict.fromkeys(interfaces))
        finally:
            self._unnamed -= 1
        if address is not None and not self._closing and not self._remote_candidates_end:
            candidate.host = address
            await self.add_remote_candidate(candidate)
        await self._end_of_remote()

    def _beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        start_task(work, name=name, among=self._asking)

    # after the checks

    async def query_consent(self) -> None:
        """Ask the peer again and again whether it still wants us (RFC 7675); each yes is told. An answer may take longer than the pause.

        While its reports say that packets of ours come, the path is known to work: then it's asked seldom. Where the path is measured by
        round trips, it's asked whenever one is needed.
        """
        interval = min(_CONSENT_SECONDS, self._options.lost_after_s / 4)
        asked_at, look_at = -math.inf, time.monotonic() + _varied(interval)
        while True:
            await asyncio.sleep(max(0.0, min(look_at - time.monotonic(), self._check_in())))
            pair = self._nominated.get(COMPONENT)
            if pair is None or self._broken:
                return
            now = time.monotonic()
            if self._check_in() <= 0:
                asked_at, look_at = now, now + _varied(interval)
                self._measure(pair)
            elif now >= look_at:
                look_at = now + _varied(interval)
                if math.isinf(self._check_in()) and (not self._listener.receives() or now - asked_at >= _CONSENT_SURE_SECONDS):
                    asked_at = now
                    self._beside(self._ask_consent(pair), "ice-consent-check")

    def measure(self) -> None:
        """Send a check now where round trips tell of this path and one is due: before a queue can stand there."""
        pair = self._nominated.get(COMPONENT)
        if pair is not None and not self._broken and self._check_in() <= 0:
            self._measure(pair)

    def _check_in(self) -> float:
        watch = self._listener.round_trips() if self.remote_password is not None else None
        return math.inf if watch is None else watch.check_in()

    def _measure(self, pair: seam.CandidatePair) -> None:
        """Ask for consent once, and tell how long the answer takes."""
        watch = self._listener.round_trips()
        assert watch is not None, "it was asked when a check is due"
        number = watch.checked((pair.protocol.id, pair.remote_addr))

        def answered() -> None:
            self._listener.consent()
            if self._listener.round_trips() is watch:
                watch.answered(number)

        self._ask_once(pair, answered)

    async def _ask_consent(self, pair: seam.CandidatePair) -> None:
        """Ask, and once more where no answer comes soon; those that come later count too (RFC 7675 5.1)."""
        confirmed = asyncio.Event()

        def answered() -> None:
            confirmed.set()
            self._listener.consent()

        self._ask_once(pair, answered)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CONSENT_AGAIN_SECONDS):
                await confirmed.wait()
                return
        self._ask_once(pair, answered)

    def _ask_once(self, pair: seam.CandidatePair, answered: Callable[[], None]) -> None:
        password, protocol = self.remote_password, pair.protocol
        assert isinstance(protocol, IceSocket), "all sockets are ours"
        if password is not None:
            protocol.ask_once(self.build_request(pair, nominate=False), pair.remote_addr, password.encode(), answered)

    async def found_a_pair(self) -> None:
        """Wait for the first pair that works; maybe it isn't the one that the peer chooses."""
        await self._found_a_pair.wait()

    def refuse(self, *, refusing: bool = True) -> None:
        """From now on tell the peer that this path is over, should it check it.

        libwebrtc then lets go of it at once and takes the new one; where its checks just stay unanswered, it may stay for seconds.
        """
        self._refusing = refusing

    def request_received(self, message: seam.StunMessage, addr: tuple[str, int], protocol: seam.StunProtocol) -> None:
        """A check of anybody."""
        if self._refusing and not self._closing:
            self.respond_error(message, addr, protocol, (400, "Bad Request"))
        else:
            super().request_received(message, addr, protocol)

    def protocol_lost(self, protocol: seam.StunProtocol) -> None:
        """A socket was closed: by us, or by a TURN server at the other end of its TCP connection."""
        pair = self._nominated.get(COMPONENT)
        if pair is not None and pair.protocol is protocol and not self._closing:
            self._broken = True
            self._listener.broken()

    def dtls_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A DTLS datagram: anybody could end the handshake by a forged alert, so only the peer is listened to.

        Its first ones may overtake the check that proves its address: a few are kept.
        """
        if addr in self._proven:
            self._listener.dtls(data)
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
            self._listener.dtls(data)

    def media_received(self, data: bytes) -> None:
        """An SRTP or SRTCP datagram; one that is too long is dropped."""
        if len(data) <= MAX_PACKET_BYTES:
            self._listener.media(data)

    def send_media(self, data: bytes) -> bool:
        """Send at once; ``False`` where there is no pair (any more), or it would wait for too long on the way to a relay."""
        pair = self._nominated.get(COMPONENT)
        return pair is not None and not pair.protocol.transport.get_extra_info("is_late", False) and self.send_dtls(data)

    def send_dtls(self, data: bytes) -> bool:
        """Send at once, behind whatever waits: what comes late is of use all the same. ``False`` where there is no pair (any more)."""
        pair = self._nominated.get(COMPONENT)
        if pair is None or self._broken:
            return False
        pair.protocol.transport.sendto(data, pair.remote_addr)
        return True

    @property
    def relay_bytes(self) -> int:
        """What the way to a relay of ours adds to each packet; nothing without one."""
        pair = self._nominated.get(COMPONENT)
        added: int = 0 if pair is None else pair.protocol.transport.get_extra_info("relay_bytes", 0)
        return added

    @property
    def addresses(self) -> tuple[str, str]:
        """Our address and the peer's in use, ``host:port``; empty where there is no pair."""
        pair = self._nominated.get(COMPONENT)
        if pair is None:
            return "", ""
        return join_host(pair.local_candidate.host, pair.local_candidate.port), join_host(*pair.remote_addr[:2])

    @property
    def pair_type(self) -> str:
        """The type of the local candidate in use: host, srflx, prflx or relay."""
        pair = self._nominated[COMPONENT]
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
        await cancel_all({*self._asking, *([self._gathering] if self._gathering is not None else [])})
        closing = start_task(super().close(), name="ice-close")
        self._progress.set()
        await asyncio.wait([closing], timeout=_CLOSE_SECONDS)


def _varied(seconds: float) -> float:
    """About so many, lest many checks come at once (RFC 7675 5.1)."""
    return seconds * random.uniform(0.8, 1.2)
