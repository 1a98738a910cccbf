"""A leg over WebRTC: descriptions, candidates and events on one side, sound on the other. Lives wholly in the media loop.

::

    offer() / answer()  ->  gather -> CandidateFound…         accept() / answer() -> ICE -> DTLS -> Connected
    leg.send -> Sender -> SecurePath -> peer                  peer -> SecurePath -> Inbound -> Receiver -> leg.pull
"""

import asyncio
import logging
import random
import time
from contextlib import suppress
from enum import Enum
from typing import Final

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.codecs.opus import Decoder
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import CandidateFound, Connected, Failed, FirstPacket, Lost, PortEvent, PortOptions, PortStats
from sinchphone.media.receiver import Receiver
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.inbound import Inbound
from sinchphone.media.webrtc.leg import PortLeg
from sinchphone.media.webrtc.sdp import OUR_PAYLOAD_TYPE, RemoteAudio, answering_setup, read_description, write_answer, write_offer
from sinchphone.media.webrtc.secure import Identity, SecurePath
from sinchphone.media.webrtc.sender import Sender
from sinchphone.protocol.jsep import Candidate, Description
from sinchphone.protocol.rtp import Report, block_about, decode_reports, encode_bye, encode_report, ntp_time, round_trip_ms

CODEC: Final = "opus"
_REPORT_SECONDS: Final = 1.0  # times 0.5 to 1.5 (RFC 3550 6.2)
_CANCEL_SECONDS: Final = 0.05
_CONSENT_SECONDS: Final = 30.0  # RFC 7675 5.1: without consent for that long, sending must stop whatever else arrives

_log = logging.getLogger(__name__)


class _Stage(Enum):
    NEW = "new"
    OFFERED = "offered"
    JOINED = "joined"  # both descriptions are there
    CLOSED = "closed"


class WebRtcPort:
    """Implements media.port.MediaPort. ``events`` and ``leg`` may be given where they were handed out before the port was made."""

    def __init__(
        self,
        options: PortOptions,
        *,
        identity: Identity | None = None,
        events: Outbox[PortEvent] | None = None,
        leg: PortLeg | None = None,
    ) -> None:
        self._options = options
        self._identity = identity or Identity.create()
        self._events = events or Outbox[PortEvent]()
        self._leg = leg or PortLeg()
        self._path = SecurePath(
            options,
            self._identity,
            on_candidate=self._candidate_found,
            on_packet=self._packet_received,
            on_alive=self._consent_received,
            on_closed=self._peer_closed,
        )
        self._sender = Sender(self._identity.local.ssrc, self._path.send)
        self._receiver = Receiver(Decoder())
        self._inbound = Inbound(self._receiver)
        self._leg.join(self._sender, self._receiver)
        self._stage = _Stage.NEW
        self._line: tuple[str | None, int] = ("0", 0)  # mid and index of the audio section
        self._live: asyncio.Task[None] | None = None
        self._closing: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()  # the peer closed its side
        self._heard_at = self._consent_at = time.monotonic()
        self._connected = False
        self._round_trip_ms: float | None = None

    # descriptions

    async def offer(self) -> Description:
        """An offer without candidates (they follow as events). Raises MediaError."""
        self._move(_Stage.NEW, _Stage.OFFERED)
        await self._path.ice.gather_candidates()
        self._check_open()
        return Description("offer", write_offer(self._identity.local))

    async def fork(self) -> "WebRtcPort":
        """Another port for our offer: same credentials, certificate and SSRC, sockets of its own. May be called after ``accept`` too."""
        if self._stage not in (_Stage.OFFERED, _Stage.JOINED):
            raise LocalProtocolError("a port without an offer can't be forked")
        port = WebRtcPort(self._options, identity=self._identity)
        try:
            await port.offer()
        except BaseException:
            await port.close()
            raise
        return port

    async def accept(self, answer: Description) -> None:
        """Take the peer's answer to our offer and connect in the background. Raises MediaError where nothing fits."""
        remote = read_description(answer.sdp)
        self._move(_Stage.OFFERED, _Stage.JOINED)
        await self._join(remote, controlling=True, active=remote.setup != "active")

    async def answer(self, offer: Description) -> Description:
        """Take the peer's offer, give our answer, connect in the background. Raises MediaError where nothing fits."""
        remote = read_description(offer.sdp)
        self._move(_Stage.NEW, _Stage.JOINED)
        self._line = (remote.mid, remote.index)
        await self._path.ice.gather_candidates()
        await self._join(remote, controlling=False, active=answering_setup(remote) == "active")
        return Description("answer", write_answer(self._identity.local, remote))

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Take a candidate of the peer, at any time, before its description too; one that can't be used is ignored."""
        text = candidate.candidate.strip() if candidate is not None else ""
        await self._path.ice.add(text or None)

    # what the engine reads

    def events(self) -> Outbox[PortEvent]:
        """What happens, in order; ends when the port is closed. One reader, on any loop."""
        return self._events

    @property
    def leg(self) -> PortLeg:
        """The sound face."""
        return self._leg

    async def stats(self) -> PortStats:
        """Counters at this moment."""
        played = self._receiver.stats()
        return PortStats(
            codec=CODEC if self._connected else None,
            packets_sent=self._sender.packets,
            packets_received=self._inbound.packets,
            packets_lost=self._inbound.lost,
            bytes_sent=self._sender.octets,
            bytes_received=self._inbound.octets,
            concealed_samples=played.concealed_samples,
            played_samples=played.played_samples,
            jitter_ms=self._inbound.jitter_ms,
            delay_ms=played.delay_ms,
            round_trip_ms=self._round_trip_ms,
        )

    async def close(self) -> None:
        """Say goodbye, close the connection and its sockets. May be called twice; who comes second waits for the first."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    # inside

    def _move(self, expected: _Stage, then: _Stage) -> None:
        self._check_open()
        if self._stage is not expected:
            raise LocalProtocolError(f"not possible with a port that is {self._stage.value}")
        self._stage = then

    def _check_open(self) -> None:
        """Raises MediaError when the port was closed, maybe during the await before."""
        if self._stage is _Stage.CLOSED:
            raise MediaError("the port is closed")

    async def _join(self, remote: RemoteAudio, *, controlling: bool, active: bool) -> None:
        for text in remote.candidates:
            await self._path.ice.add(text)
        if remote.complete:
            await self._path.ice.add(None)
        self._check_open()
        self._inbound.expect(frozenset({OUR_PAYLOAD_TYPE, remote.payload_type} if controlling else {remote.payload_type}))
        self._live = asyncio.create_task(self._run(remote, controlling, active), name="webrtc-port")

    async def _run(self, remote: RemoteAudio, controlling: bool, active: bool) -> None:
        """The life of a port after both descriptions: connect, report and watch until the peer is lost."""
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                await self._path.connect(remote, controlling=controlling, active=active)
            if remote.receives:
                self._sender.start(remote.payload_type, fec=remote.fec, max_bitrate=remote.max_bitrate)
            connected = Connected(self._path.ice.pair_type, CODEC)
        except TimeoutError:
            self._events.put(Failed(f"the peer couldn't be reached within {self._options.connect_timeout_s:g} s"))
            return
        except MediaError as error:
            self._events.put(Failed(str(error)))
            return
        except Exception:  # noqa: BLE001  a call must not stay half open, whatever the fault is
            _log.exception("connecting to the peer failed by a fault of the program")
            self._sender.stop()
            self._events.put(Failed("the connection to the peer failed by a fault of the program"))
            return
        self._connected = True
        self._consent_received()
        self._events.put(connected)
        reports = asyncio.create_task(self._report(), name="webrtc-reports")
        try:
            await self._watch()
        finally:
            reports.cancel()
        self._sender.stop()
        self._events.put(Lost(max(0.0, time.monotonic() - self._heard_at)))

    async def _watch(self) -> None:
        """Until nothing has come for too long, or the peer closed its side."""
        while not self._gone.is_set():
            left = min(self._heard_at + self._options.lost_after_s, self._consent_at + _CONSENT_SECONDS) - time.monotonic()
            if left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._gone.wait()

    async def _report(self) -> None:
        """Sender and receiver reports, for ever (RFC 3550 6.4)."""
        while True:
            await asyncio.sleep(_REPORT_SECONDS * random.uniform(0.5, 1.5))
            report = Report(self._sender.ssrc, self._sender.report(time.time()), self._inbound.report())
            self._path.send(encode_report(report, self._identity.local.cname))

    def _candidate_found(self, candidate: seam.Candidate | None) -> None:
        if candidate is None:
            self._events.put(CandidateFound(None))
        else:
            self._events.put(CandidateFound(Candidate(f"candidate:{candidate.to_sdp()}", *self._line)))

    def _packet_received(self, data: bytes, control: bool) -> None:
        self._heard_at = time.monotonic()
        if control:
            self._reports_received(decode_reports(data))
        elif self._inbound.take(data) and self._inbound.packets == 1:
            self._events.put(FirstPacket())

    def _reports_received(self, reports: list[Report]) -> None:
        for report in reports:
            self._inbound.note(report)
        block = block_about(reports, self._sender.ssrc)
        if block is not None:
            self._sender.adapt(block)
            self._round_trip_ms = round_trip_ms(block, ntp_time(time.time())) or self._round_trip_ms

    def _consent_received(self) -> None:
        self._heard_at = self._consent_at = time.monotonic()

    def _peer_closed(self) -> None:
        self._gone.set()

    async def _close(self) -> None:
        self._stage = _Stage.CLOSED
        while self._live is not None and not self._live.done():
            self._live.cancel()  # again and again: aiortc's handshake waits by asyncio.wait_for, which may lose one (bpo-37658)
            await asyncio.wait([self._live], timeout=_CANCEL_SECONDS)
        self._sender.stop()
        self._path.send(encode_bye(self._sender.ssrc, self._identity.local.cname))
        await self._path.close()
        self._events.end()
