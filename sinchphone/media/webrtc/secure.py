"""A secured path to one peer: ICE, then DTLS, then SRTP in both directions (RFC 5763, RFC 5764).

::

    send(packet)  -> SRTP -> ICE pair -> the peer         over ``ice``; ``move`` exchanges it in mid call
    packet(...)   <- SRTP <- ICE pair <- the peer         over the old and the new one, in the callback of the socket
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

from sinchphone.errors import MediaError
from sinchphone.media.network import srtp_library
from sinchphone.media.network.simulated_line import LineSimulator
from sinchphone.media.port import PacketTap, PortOptions
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice.agent import IceConnection, IceCredentials, IceListener, RoundTripWatch
from sinchphone.media.webrtc.identity import IDENTITIES, DtlsIdentity
from sinchphone.media.webrtc.sdp import LocalDescription, RemoteAudio
from sinchphone.protocol.rtp.packet import is_rtcp
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

RETIRE_SECONDS: Final = 2.0  # packets on the old path are at most a long round trip behind; a peer's own move may come later
_IDLE_SECONDS: Final = 0.25  # after a handshake
_MAX_QUEUED: Final = 64  # DTLS datagrams; a handshake is about six
_MAX_EARLY: Final = 32  # packets that overtake the end of the handshake: a peer talks as soon as its own end is up


@quick_dataclass(frozen=True, slots=True)
class PathListener:
    """Who is told what happens on a path. Called in the media loop; nothing here may raise."""

    packet: Callable[[bytes, bool], None]  # an authentic packet in the clear, and whether it is RTCP
    alive: Callable[[], None]  # a consent of the peer to the path in use
    receives: Callable[[], bool]  # whether the peer has told of packets of ours that came, since this was asked before
    closed: Callable[[], None]  # the peer closed its DTLS side
    broken: Callable[[], None]  # the socket in use is gone; new ICE may find another
    no_relay: Callable[[str], None]  # no TURN server took us: why
    round_trips: Callable[[], RoundTripWatch | None]  # who measures the path by its checks


class SecurePath:
    """DTLS and SRTP with one peer, over ICE that may be exchanged: they outlive an ICE restart (RFC 8842 4, RFC 8445 9)."""

    def __init__(
        self, options: PortOptions, identity: DtlsIdentity, listener: PathListener, on_candidate: Callable[[seam.Candidate | None], None]
    ) -> None:
        self._options = options
        self._listener = listener
        self._below = _IceTransport(self)
        self._dtls = seam.RTCDtlsTransport(cast(Any, self._below), [identity.certificate])
        self._dtls.on("statechange", self._state_changed)
        self._early: deque[bytes] = deque(maxlen=_MAX_EARLY)
        self._open = False
        self._closing = asyncio.Event()
        self._preparing: asyncio.Task[None] | None = None
        self._line = LineSimulator(options.line, asyncio.get_running_loop()) if options.line is not None else None
        self._old: dict[IceConnection, asyncio.Task[None]] = {}  # that are closed in a moment
        self.ice = self.another(identity.local, on_candidate)  # what packets are sent over

    def another(self, local: LocalDescription, on_candidate: Callable[[seam.Candidate | None], None]) -> IceConnection:
        """A new ICE connection, for ``move``; close it where nothing came of it. What comes over it is taken from the start."""
        told = self._listener

        def broken() -> None:
            if self.ice is ice:
                told.broken()

        def alive() -> None:  # consent is to a path: an answer on the old one says nothing of the new one (RFC 7675 5.1)
            if self.ice is ice:
                told.alive()

        def receives() -> bool:
            return self.ice is ice and told.receives()

        def round_trips() -> RoundTripWatch | None:
            return told.round_trips() if self.ice is ice else None

        take = self._take if self._line is None else partial(self._line.carry, on=self._take)
        listener = IceListener(on_candidate, take, self._below.put, alive, receives, broken, told.no_relay, round_trips)
        ice = IceConnection(self._options, IceCredentials(local.ufrag, local.password), listener)
        return ice

    async def connect(self, remote: RemoteAudio, *, controlling: bool, active: bool) -> None:
        """Find a pair, shake hands. Raises MediaError; waits for ever for a peer that doesn't answer."""
        await _find_pair(self.ice, remote, controlling=controlling)
        await self._shake_hands(remote, "client" if active else "server")
        self._open = True
        self._preparing = start_task(_prepare_the_next(self._closing), name="webrtc-identities")
        while self._early:
            self._take(self._early.popleft())

    async def move(self, ice: IceConnection, remote: RemoteAudio) -> None:
        """Find a pair on ``ice`` and send there from then on; what comes over the old one is taken for a moment longer.

        Raises MediaError; then, and while it waits, everything stays as it was. Cancelling is safe.
        """
        old = self.ice
        finding = start_task(_told_to_leave(ice, old), name="ice-move")
        try:
            await _find_pair(ice, remote, controlling=old.ice_controlling)
        except BaseException:
            old.refuse(refusing=False)
            raise
        finally:
            finding.cancel()
        self.ice = ice
        old.refuse()
        self._old[old] = start_task(self._retire(old), name="ice-retire")

    def send(self, packet: bytes) -> bool:
        """Send an RTP or RTCP packet now; ``False`` where it couldn't go."""
        if not self._open:
            return False
        session = self._dtls._tx_srtp
        try:
            protected = session.protect_rtcp(packet) if is_rtcp(packet) else session.protect(packet)
        except (srtp_library.SrtpError, ValueError):  # ValueError: longer than the library takes
            return False
        if self._options.tap is not None:
            self._tell(self._options.tap, packet, is_ours=True)
        if self._line is None:
            return self.ice.send_media(protected)
        self._line.carry(protected, self._send_late)
        return True

    def _send_late(self, protected: bytes) -> None:
        if self._open:
            self.ice.send_media(protected)

    async def close(self) -> None:
        """Say goodbye to the peer (DTLS close_notify) and close the sockets."""
        self._open = False
        self._closing.set()
        self._dtls.remove_all_listeners()
        await self._dtls.stop()
        for task in self._old.values():
            task.cancel()
        await asyncio.gather(*(ice.close() for ice in (self.ice, *self._old)), *self._old.values(), return_exceptions=True)

    async def _retire(self, old: IceConnection) -> None:
        await asyncio.sleep(RETIRE_SECONDS)
        await old.close()
        del self._old[old]

    async def _shake_hands(self, remote: RemoteAudio, role: str) -> None:
        self._dtls._set_role(role)
        fingerprints = [seam.RTCDtlsFingerprint(each.algorithm, each.value) for each in remote.fingerprints]
        await self._dtls.start(seam.RTCDtlsParameters(fingerprints=fingerprints))
        if self._dtls.state != "connected":
            raise MediaError("the encryption with the peer could not be agreed on (DTLS)")

    def _take(self, data: bytes) -> None:
        session = self._dtls._rx_srtp
        if not self._open or session is None:
            self._early.append(data)
            return
        control = is_rtcp(data)
        try:
            plain = session.unprotect_rtcp(data) if control else session.unprotect(data)
        except (srtp_library.SrtpError, ValueError):  # not from our peer, or an old packet again, or longer than the library takes
            return
        if self._options.tap is not None:
            self._tell(self._options.tap, plain, is_ours=False)
        self._listener.packet(plain, control)

    def _tell(self, tap: PacketTap, packet: bytes, *, is_ours: bool) -> None:
        if not is_rtcp(packet):
            here, there = self.ice.addresses
            tap(packet, here if is_ours else there, there if is_ours else here)

    def _state_changed(self) -> None:
        if self._open and self._dtls.state == "closed":
            self._open = False
            self._listener.closed()


class _IceTransport:
    """All that RTCDtlsTransport asks of the transport below it: it sees one, whatever ICE is in use."""

    role = "controlling"

    def __init__(self, path: SecurePath) -> None:
        self._path = path
        self._datagrams: deque[bytes] = deque()
        self._reader: asyncio.Future[bytes] | None = None

    def put(self, data: bytes) -> None:
        """A DTLS datagram of the peer's; dropped while nobody reads (DTLS sends again)."""
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(data)
        elif len(self._datagrams) < _MAX_QUEUED:
            self._datagrams.append(data)

    def _recv(self) -> asyncio.Future[bytes]:
        """A future, not a coroutine: the library waits with a limit, and a coroutine would become a task for each datagram."""
        reader: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._datagrams:
            reader.set_result(self._datagrams.popleft())
        else:
            self._reader = reader
        return reader

    async def _send(self, data: bytes) -> None:
        if not self._path.ice.send_dtls(data):
            raise ConnectionError("there is no path")


async def _prepare_the_next(closing: asyncio.Event) -> None:
    """Make identities for further calls, when this one's other end, if it's here, is connected too: they'd take the interpreter from it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_IDLE_SECONDS):
            await closing.wait()
    await asyncio.to_thread(IDENTITIES.fill)


async def _find_pair(ice: IceConnection, remote: RemoteAudio, *, controlling: bool) -> None:
    ice.ice_controlling = controlling or remote.lite
    ice.remote_is_lite = remote.lite
    ice.remote_username, ice.remote_password = remote.ufrag, remote.password
    try:
        await ice.connect()
    except ConnectionError as error:
        if ice.why_nowhere:
            raise MediaError(ice.why_nowhere) from error
        raise MediaError("no path to the peer was found (ICE)", hint="a firewall may block UDP; a TURN server would help") from error


async def _told_to_leave(ice: IceConnection, old: IceConnection) -> None:
    """Once there is a pair, a peer that has the choice shall not stay with the old ones."""
    await ice.found_a_pair()
    old.refuse()
