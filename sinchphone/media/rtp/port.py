"""A leg over plain RTP or SDES-SRTP: descriptions and events on one side, sound on the other. Lives wholly in the media loop.

::

    offer() / answer() -> sockets are opened        accept() / answer() -> Connected; later ones change what was agreed
    leg -> Stream -> SDES -> socket -> SourceLatch.destination        socket -> SourceLatch.admits -> SDES -> Stream -> leg
"""

import asyncio
import copy
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from sinchphone.errors import LocalProtocolError, MediaError, RemoteProtocolError
from sinchphone.hosts import is_address, join_host
from sinchphone.media.agreement import Agreement, EventFormat, OpusWishes
from sinchphone.media.codecs.choice import load_codecs
from sinchphone.media.codecs.codec import CODECS
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.stream import Stream, StreamPort
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import NOT_FORKED, Connected, PortEvent, PortSilent, PortStats, Redirected, RtpPortOptions
from sinchphone.media.rtp.secure import SrtpReceiver, SrtpSender, new_keys
from sinchphone.media.rtp.sockets import SocketPair
from sinchphone.media.rtp.source_latch import Address, SourceLatch, plain_host
from sinchphone.protocol.rtp.packet import VERSION, is_rtcp
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.protocol.sdp.offer_answer import Agreed, LocalCapabilities, Negotiation
from sinchphone.protocol.sdp.session_description import INACTIVE, RECVONLY, SENDONLY, SENDRECV, TELEPHONE_EVENT, Section, is_unspecified
from sinchphone.tasks import start_task

_REPORT_SECONDS: Final = 2.5  # times 0.5 to 1.5; RFC 3550 6.2 says 5 at least, many phones are content with less
_UNHEARD_SECONDS: Final = 180.0  # a peer that was never heard may still be ringing: as long as a proxy lets it (RFC 3261 16.6, timer C)
_RESOLVE_SECONDS: Final = 2.0
_WATCH_SECONDS: Final = 1.0
_LOOP_STALL_SECONDS: Final = 5.0  # for a pause of a second


class RtpPort(StreamPort):
    """Implements media.port.RtpPassingPort. ``events`` and ``leg`` may be given where they were handed out before the port was made."""

    def __init__(self, options: RtpPortOptions, *, events: Outbox[PortEvent] | None = None, leg: PortLeg | None = None) -> None:
        """Raises LocalProtocolError for options that can't be used."""
        address = options.address or options.host
        if is_unspecified(address):
            raise LocalProtocolError("a port that is bound to every address must be told which one to write into its descriptions")
        super().__init__(events, leg)
        self._options = options
        self._address = plain_host(address)
        self._keys = new_keys() if options.srtp else ()
        self._stream = Stream(secrets.randbits(32), secrets.token_hex(8), self._transmit, self._events.put, self._leg, may_pause=True)
        self._negotiation = Negotiation(secrets.randbits(61))
        self._sockets: SocketPair | None = None
        self._source_latch, self._control_latch = SourceLatch(options.signalled_from), SourceLatch(options.signalled_from)
        self._srtp_sender: SrtpSender | None = None
        self._srtp_receiver: SrtpReceiver | None = None
        self._agreed: Agreed | None = None
        self._answered = ""  # the answer to our last offer that was taken
        self._changing = asyncio.Lock()  # one description at a time
        self._live: asyncio.Task[None] | None = None
        self._heard_at: float | None = None
        self._waiting_since = 0.0  # for the peer's packets
        self._closed = False

    # descriptions

    async def offer(self, *, direction: str = SENDRECV) -> Description:
        """Our offer, first or later. Raises MediaError where no port is free, LocalProtocolError while an offer is open."""
        async with self._changing:
            local = await self._local(direction)
            self._answered = ""
            return Description("offer", self._negotiation.offer(local))

    async def reoffer(self, *, direction: str = SENDRECV) -> Description:
        """A later offer of ours; ``accept`` takes its answer."""
        return await self.offer(direction=direction)

    async def withdraw(self) -> None:
        """Our offer was refused: what was agreed before stays."""
        self._negotiation.withdraw()

    async def trust_source(self, host: str) -> None:
        """The peer's signaling comes from that host: known only now, of a peer whom we called by name. To be told before ``accept``."""
        self._options = replace(self._options, signalled_from=host)
        for source_latch in (self._source_latch, self._control_latch):
            source_latch.trust_source(host)

    async def accept(self, answer: Description) -> None:
        """Take the answer to our offer: an early one, the final one, that of another branch. The last one counts.

        Raises MediaError where nothing fits: then nothing has changed, another answer may be taken or the offer withdrawn.
        """
        async with self._changing:
            if not self._negotiation.is_offered and self._answered:
                if answer.sdp == self._answered:
                    return
                self._negotiation.is_offered = True
            later = self._agreed is not None and not self._answered
            with self._attempt("answer"):
                await self._agree(self._negotiation.accept(answer.sdp), anew=later)
            self._answered = answer.sdp

    async def answer(self, offer: Description, *, direction: str = SENDRECV, prefer: str | None = None) -> Description:
        """Take the peer's offer, give our answer. Raises MediaError where nothing fits: then nothing has changed.

        Of the codecs that both know the first of the offer is taken, or ``prefer`` if it's among them.
        """
        async with self._changing:
            local = await self._local(direction, prefer)
            with self._attempt("offer"):
                text, agreed = self._negotiation.answer(offer.sdp, local)
                await self._agree(agreed, anew=True)
            self._answered = ""
            return Description("answer", text)

    async def check(self, offer: Description) -> None:
        """See whether the peer's first offer could be answered; nothing changes. Raises MediaError where nothing fits."""
        async with self._changing:
            local = await self._local(SENDRECV)
            before = copy.copy(self._negotiation)
            try:
                with self._attempt("offer"):
                    _, agreed = self._negotiation.answer(offer.sdp, local)
                    await _resolve(agreed.remote, self._options.host, self._options.signalled_from)
            finally:
                self._negotiation = before

    async def reanswer(self, offer: Description, *, direction: str = SENDRECV, prefer: str | None = None) -> Description:
        """Take a later offer of the peer (hold, resume, another address), give our answer. As ``answer``."""
        return await self.answer(offer, direction=direction, prefer=prefer)

    async def fork(self) -> "RtpPort":
        """Raises LocalProtocolError: there is one socket, and the answer that comes last counts."""
        raise LocalProtocolError(NOT_FORKED)

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """There is no ICE here."""

    # what the gateway reads

    @property
    def direction(self) -> str:
        """What was agreed on, seen from here."""
        agreed = self._agreed
        if agreed is None:
            return INACTIVE
        return {(True, True): SENDRECV, (True, False): SENDONLY, (False, True): RECVONLY, (False, False): INACTIVE}[
            agreed.sends, agreed.receives
        ]

    async def stats(self) -> PortStats:
        """Counters at this moment."""
        return self._stream.stats(None if self.codec is None else self.codec.name)

    async def close(self) -> None:
        """Say goodbye and close the sockets. May be called twice."""
        if not self._closed:
            self._closed = True
            if self._live is not None:
                self._live.cancel()
            self._stream.shut()
            self._transmit(self._stream.bye())
            async with self._changing:  # a description that is being taken may be opening sockets
                if self._sockets is not None:
                    self._sockets.close()
        if self._live is not None:
            await asyncio.wait([self._live])
        self._events.end()

    # inside

    async def _local(self, direction: str, prefer: str | None = None) -> LocalCapabilities:
        """What we say about ourselves. Opens the sockets the first time."""
        self._check_open()
        if self._sockets is None:
            self._sockets = await SocketPair.open(self._options.host, self._options.port_range, self._received, self._options.line)
            self._check_open()
        return LocalCapabilities(
            address=self._address,
            port=self._sockets.port,
            codecs=self._options.codecs,
            direction=direction,
            preferred=prefer,
            keys=self._keys,
            rtcp_mux=True,
        )

    @contextmanager
    def _attempt(self, what: str) -> Iterator[None]:
        """Negotiate; where that fails, nothing has changed."""
        before = copy.copy(self._negotiation)
        try:
            yield
        except BaseException as error:
            self._negotiation = before
            if isinstance(error, RemoteProtocolError):
                raise MediaError(f"the peer's {what} can't be taken: {error}") from error
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise MediaError("the port is closed")

    async def _agree(self, agreed: Agreed, *, anew: bool) -> None:
        """Do from now on what the descriptions say."""
        agreement = _agreement(agreed)
        await load_codecs([agreement.codec])
        where = await _resolve(agreed.remote, self._options.host, self._options.signalled_from)
        self._check_open()
        before, codec_before, way_before = self._agreed, self.codec, self.direction
        self._stream.agree(agreement)
        self._stream.expect(wanted=agreed.receives and agreed.sends)
        self._agreed = agreed
        self._secure(agreed)
        now = time.monotonic()
        if where is not None:
            self._source_latch.announce(where, now, anew=anew)
            control = where if agreed.remote.rtcp_mux else Address(where.host, agreed.remote.rtcp_port)
            self._control_latch.announce(control, now, anew=anew)
        if agreed.sends:
            self._stream.open()
        else:
            self._stream.shut()
        if before is None or not (before.receives and before.sends):
            self._waiting_since = now
        if codec_before != agreement.codec:
            self._events.put(Connected(pair="srtp" if self._srtp_sender else "rtp", codec=agreement.codec.name))
        if before is not None and way_before != self.direction:
            self._events.put(Redirected(direction=self.direction))
        if self._live is None:
            self._live = start_task(self._run(), name="rtp-port")

    def _secure(self, agreed: Agreed) -> None:
        """Keys that stay keep their state."""
        ours, theirs = agreed.our_key, agreed.peer_key
        if ours is None or theirs is None:
            self._srtp_sender = self._srtp_receiver = None
            return
        if self._srtp_sender is None or not self._srtp_sender.fits(ours):
            self._srtp_sender = SrtpSender(ours)
        if self._srtp_receiver is None or not self._srtp_receiver.fits(theirs):
            self._srtp_receiver = SrtpReceiver(theirs)

    async def _run(self) -> None:
        """Report, and tell of silence, until the port is closed."""
        told_at = float("-inf")
        report_at = time.monotonic() + self._stream.next_report_s(_REPORT_SECONDS) / 2
        while True:
            pause = min(_WATCH_SECONDS, self._options.lost_after_s / 4 or _WATCH_SECONDS)
            began = time.monotonic()
            await asyncio.sleep(max(0.0, min(pause, report_at - began)))
            now = time.monotonic()
            if now - began >= _LOOP_STALL_SECONDS:  # we were stopped: that says nothing about the peer
                self._waiting_since = now
            if now >= report_at:
                self._transmit(self._stream.report())
                report_at = now + self._stream.next_report_s(_REPORT_SECONDS)
            silent = now - max(self._heard_at or 0.0, self._waiting_since)
            if self._is_too_long(silent) and now - told_at >= self._options.lost_after_s:
                told_at = now
                self._events.put(PortSilent(silent))

    def _is_too_long(self, silent_s: float) -> bool:
        """For a peer that ought to send."""
        limit, agreed = self._options.lost_after_s, self._agreed
        expected = agreed is not None and agreed.receives and agreed.sends
        return bool(limit) and expected and silent_s >= (limit if self._heard_at else max(_UNHEARD_SECONDS, limit))

    def _received(self, data: bytes, source: Address, to_control_port: bool) -> None:
        """A datagram, in the callback of a socket."""
        if self._closed or self._agreed is None or len(data) < 2 or data[0] & 0xC0 != VERSION:
            return
        control = to_control_port or is_rtcp(data)
        source_latch = self._control_latch if to_control_port else self._source_latch
        known = source_latch.admits(source, time.monotonic())
        if not known and not source_latch.may_move_to(source) and not self._may_have_moved(source, control, to_control_port):
            return
        plain = data if self._srtp_receiver is None else self._srtp_receiver.open(data, control=control)
        if plain is None or not (known or self._proves(plain, control, to_control_port)):
            return
        if control == to_control_port or self._agreed.remote.rtcp_mux:  # RTCP of a peer that mixes ports up says nothing about its RTP's
            source_latch.fix(source)
        self._heard_at = time.monotonic()
        if control or self._agreed.receives:
            self._tell_tap(plain, source, is_ours=False)
            self._stream.take(plain, control)

    def _may_have_moved(self, source: Address, control: bool, to_control_port: bool) -> bool:
        """Whether a packet from another host may be the peer's, if it has the key: its stream has stopped, so that nobody who only passes
        on what was overheard gets ours. RTCP follows RTP."""
        if self._srtp_receiver is None:
            return False
        heard = self._source_latch.destination
        return heard is not None and source.host == heard.host if to_control_port else not control and self._stream.is_missing()

    def _proves(self, plain: bytes, control: bool, to_control_port: bool) -> bool:
        """Whether a packet from elsewhere is the peer's own: it has the key, or goes on with numbers nobody can guess."""
        if self._srtp_receiver is not None:
            return to_control_port or not control
        return not control and self._stream.goes_on_with(plain)

    def _transmit(self, packet: bytes) -> bool:
        """Send a packet to wherever the peer is; whether it went out."""
        if self._sockets is None or self._agreed is None:
            return False
        control = is_rtcp(packet)
        apart = control and not self._agreed.remote.rtcp_mux
        to = (self._control_latch if apart else self._source_latch).destination
        data = packet if self._srtp_sender is None else self._srtp_sender.protect(packet, control=control)
        if to is None or data is None:
            return False
        self._tell_tap(packet, to, is_ours=True)
        return self._sockets.send(data, to, control=apart)

    def _tell_tap(self, packet: bytes, peer: Address, *, is_ours: bool) -> None:
        tap = self._options.tap
        if tap is not None and self._sockets is not None and not is_rtcp(packet):
            here, there = join_host(self._address, self._sockets.port), join_host(peer.host, peer.port)
            tap(packet, here if is_ours else there, there if is_ours else here)


def _agreement(agreed: Agreed) -> Agreement:
    """The same without descriptions."""
    codec = CODECS[agreed.codec.name]
    receives = {agreed.codec.payload_type: codec}  # some send under their own number what we numbered otherwise
    events = {} if agreed.event is None else {agreed.event.payload_type: agreed.event.clock_rate}
    for one in agreed.receiving:
        if one.name.lower() == TELEPHONE_EVENT:
            events[one.payload_type] = one.clock_rate
        elif one.name in CODECS:
            receives[one.payload_type] = CODECS[one.name]
    opus, packet_times = OpusWishes.read(agreed.codec.parameters), agreed.remote.packet_times
    event = None if agreed.event is None else EventFormat(agreed.event.payload_type, agreed.event.clock_rate)
    return Agreement(codec, agreed.codec.payload_type, receives, event, events, opus, packet_times=packet_times)


async def _resolve(remote: Section, host: str, signalled_from: str | None) -> Address | None:
    """Where the peer's description says that it is; ``None`` for nowhere (an old way to hold).

    An address of a family that can't be reached from ``host`` (a phone with both that names the other one) gives way to the address that
    its signaling comes from. Raises MediaError where that isn't known, and for an unknown name.
    """
    if is_unspecified(remote.address):
        return None
    loop = asyncio.get_running_loop()
    family = socket.AF_UNSPEC if host == "::" else socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(TimeoutError, OSError, UnicodeError):
        async with asyncio.timeout(_RESOLVE_SECONDS):
            found = await loop.getaddrinfo(remote.address, remote.port, family=family, type=socket.SOCK_DGRAM)
            return Address(plain_host(str(found[0][4][0])), remote.port)
    if signalled_from is not None and is_address(remote.address):
        return Address(plain_host(signalled_from), remote.port)
    raise MediaError("the address in the peer's description can't be found")
