"""A leg over WebRTC: descriptions, candidates and events on one side, sound on the other. Lives wholly in the media loop.

::

    offer() / answer()  ->  gather -> CandidateFound…         accept() / answer() -> ICE -> DTLS -> Connected
    RestartWanted -> restart() -> accept()  or the peer's offer -> answer()       the sound goes on meanwhile -> Moved
    leg -> Stream -> SecurePath -> peer                       peer -> SecurePath -> Stream -> leg
"""

import asyncio
import importlib
import logging
import time
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.codecs.choice import load_codecs
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.stream import Stream, StreamPort
from sinchphone.media.outbox import Outbox
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.port import (
    CandidateFound,
    Connected,
    Moved,
    PortEvent,
    PortFailed,
    PortLost,
    PortOptions,
    PortStats,
    PortWarning,
    Redirected,
    RestartWanted,
)
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.formats import agree
from sinchphone.media.webrtc.ice.local_addresses import recent_addresses
from sinchphone.media.webrtc.ice.path_life import PathLife, PathState, waking_time
from sinchphone.media.webrtc.ice.path_watch import PathWatch
from sinchphone.media.webrtc.ice.restart import IceRestarts, RestartTerms
from sinchphone.media.webrtc.identity import IDENTITIES, DtlsIdentity
from sinchphone.media.webrtc.sdp import LocalDescription, RemoteAudio, answering_setup, read_description, write_answer, write_offer
from sinchphone.media.webrtc.secure import PathListener, SecurePath
from sinchphone.protocol.rtp.packet import is_rtcp
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.protocol.sdp.session_description import INACTIVE, SENDRECV, agreed_direction, mirrored
from sinchphone.tasks import start_task

if TYPE_CHECKING:  # loaded where pictures are agreed on
    from sinchphone.media.video.stream import VideoStream

VIDEO_MODULE: Final = "sinchphone.media.webrtc.video"
_CANCEL_SECONDS: Final = 0.05
_WATCH_SECONDS: Final = 0.5  # between two looks at whether the peer is there, and at the path

_log = logging.getLogger(__name__)


class _PortState(Enum):
    NEW = "new"
    OFFERED = "offered"
    JOINED = "joined"  # both descriptions are there
    CLOSED = "closed"


class WebRtcPort(StreamPort):
    """Implements media.port.PassingPort. ``events``, ``leg`` and ``pictures`` may be given where they were handed out before the port was
    made."""

    def __init__(
        self,
        options: PortOptions,
        *,
        identity: DtlsIdentity | None = None,
        events: Outbox[PortEvent] | None = None,
        leg: PortLeg | None = None,
        pictures: PictureLeg | None = None,
    ) -> None:
        super().__init__(events, leg)
        self._options = options
        self._identity = identity or IDENTITIES.take()
        self._pictures = pictures or PictureLeg()
        self._video: VideoStream | None = None  # once pictures were agreed on
        local = self._identity.local
        told = PathListener(
            self._packet_received,
            self._consent_received,
            self._peer_receives,
            self._peer_closed,
            self._path_broke,
            self._relay_missed,
            lambda: self._stream,
        )
        self._path = SecurePath(options, self._identity, told, lambda candidate: self._candidate_found(candidate, local))
        self._stream = Stream(local.ssrc, local.cname, self._transmit, self._events.put, self._leg, max_kbps=options.max_kbps)
        self._state = _PortState.NEW
        self._line: tuple[str | None, int] = ("0", 0)  # mid and index of the section that candidates are for
        self._live: asyncio.Task[None] | None = None
        self._closing: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()  # the peer closed its side
        self._life = PathLife(waking_time(), options.lost_after_s)
        self._rtcp_mux = False  # it takes RTCP where it takes RTP
        self._receives = False  # the peer wants to hear us
        self._expired = False  # it doesn't answer
        self._sends = False
        self._connected = False
        self._terms: RestartTerms | None = None  # once both descriptions are there
        self._ice_restarts: IceRestarts | None = None  # once connected
        self._path_watch: PathWatch | None = None
        self._received_at: float | None = None  # by the peer, as far as was looked at
        self._relay_missing = False
        self._direction = INACTIVE  # agreed on, seen from here

    # descriptions

    async def offer(self) -> Description:
        """An offer without candidates (they follow as events). Raises MediaError."""
        self._move(_PortState.NEW, _PortState.OFFERED)
        await self._path.ice.gather_candidates()
        self._check_open()
        return Description("offer", write_offer(self._identity.local, self._options.codecs, self._options.pictures))

    async def fork(self) -> "WebRtcPort":
        """Another port for our offer: same credentials, certificate and SSRC, sockets of its own. May be called after ``accept`` too."""
        if self._state not in (_PortState.OFFERED, _PortState.JOINED):
            raise LocalProtocolError("a port without an offer can't be forked")
        port = WebRtcPort(self._options, identity=self._identity)
        try:
            await port.offer()
        except BaseException:
            await port.close()
            raise
        return port

    async def accept(self, answer: Description) -> None:
        """Take the peer's answer to our offer and connect in the background. Raises MediaError where nothing fits.

        Of an answer to ``restart`` nothing is kept where it raises: the path in use goes on.
        """
        if self._ice_restarts is not None:
            remote = self._read_again(answer)
            await self._ice_restarts.accept(remote)
            await self._agree_again(remote)
            return
        remote = read_description(answer.sdp, self._options.codecs, pictures=self._options.pictures)
        self._move(_PortState.OFFERED, _PortState.JOINED)
        await self._join(remote, RestartTerms(offerer=True, active=remote.setup != "active", mid=self._line[0]))

    async def answer(self, offer: Description, *, prefer: str | None = None) -> Description:
        """Take the peer's offer, give our answer, connect in the background. Raises MediaError where nothing fits.

        Of the codecs that both know the first of the offer is taken, or ``prefer`` if it's among them. A later offer may restart ICE
        (RFC 8445 9), or change who hears whom; where it raises, nothing has changed.
        """
        if self._ice_restarts is not None:
            remote = self._read_again(offer)
            answer = await self._ice_restarts.answer(remote)
            await self._agree_again(remote)
            return Description("answer", answer)
        remote = read_description(offer.sdp, self._options.codecs, prefer, self._options.pictures)
        self._move(_PortState.NEW, _PortState.JOINED)
        self._line = remote.line
        await self._path.ice.gather_candidates()
        await self._join(remote, RestartTerms(offerer=False, active=answering_setup(remote) == "active", mid=remote.mid))
        return Description("answer", write_answer(self._identity.local, remote))

    async def check(self, offer: Description) -> None:
        """See whether the peer's first offer could be answered; nothing changes. Raises MediaError where nothing fits."""
        read_description(offer.sdp, self._options.codecs)

    async def restart(self) -> Description:
        """An offer that restarts ICE, host candidates in it; the others follow as events. The sound goes on over the path in use, for
        good where no answer comes. Raises LocalProtocolError before Connected."""
        if self._ice_restarts is None:
            raise LocalProtocolError("a port that isn't connected can't be restarted")
        return Description("offer", await self._ice_restarts.offer())

    async def reoffer(self, *, direction: str = SENDRECV) -> Description:
        """A later offer of ours that says who hears whom from now on (hold, resume); later answers of ours say so too. Raises
        LocalProtocolError before Connected."""
        if self._ice_restarts is None:
            raise LocalProtocolError("a port that isn't connected can't be offered anew")
        self._ice_restarts.direction = direction
        return Description("offer", await self._ice_restarts.reoffer())

    @property
    def direction(self) -> str:
        """What was agreed on, seen from here."""
        return self._direction

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Take a candidate of the peer, at any time, before its description too; one that can't be used is ignored."""
        text = candidate.candidate.strip() if candidate is not None else ""
        if self._ice_restarts is not None:
            await self._ice_restarts.add(text or None)
        else:
            await self._path.ice.add(text or None)

    # what the engine reads

    @property
    def pictures(self) -> PictureLeg:
        """The picture face."""
        return self._pictures

    async def stats(self) -> PortStats:
        """Counters at this moment."""
        stats = self._stream.stats(self.codec.name if self._connected and self.codec is not None else None)
        return stats if self._video is None else replace(stats, pictures=self._video.stats())

    async def close(self) -> None:
        """Say goodbye, close the connection and its sockets. May be called twice; who comes second waits for the first."""
        if self._closing is None:
            self._closing = start_task(self._close(), name="webrtc-close")
        await asyncio.shield(self._closing)

    # inside

    def _move(self, expected: _PortState, then: _PortState) -> None:
        self._check_open()
        if self._state is not expected:
            raise LocalProtocolError(f"not possible with a port that is {self._state.value}")
        self._state = then

    def _check_open(self) -> None:
        """Raises MediaError when the port was closed, maybe during the await before."""
        if self._state is _PortState.CLOSED:
            raise MediaError("the port is closed")

    def _read_again(self, description: Description) -> RemoteAudio:
        """A later description, for the codec that is in use."""
        self._check_open()
        codec = self.codec
        return read_description(description.sdp, self._options.codecs, None if codec is None else codec.name, self._options.pictures)

    async def _agree_again(self, remote: RemoteAudio) -> None:
        """The same sound, maybe under other numbers, or on hold."""
        self._check_open()
        assert self._terms is not None, "there were descriptions before"
        self._stream.agree(agree(remote.sound, remote.formats, self._options.codecs if self._terms.offerer else ()))
        await self._agree_on_pictures(remote, offerer=self._terms.offerer)
        self._receives, self._rtcp_mux = remote.receives, remote.rtcp_mux
        self._settle_sending(anew=True)
        self._stream.expect(wanted=remote.sends and remote.receives)
        wanted = self._ice_restarts.direction if self._ice_restarts is not None else SENDRECV
        self._redirect(agreed_direction(wanted, mirrored(remote.direction)))

    def _redirect(self, direction: str) -> None:
        before, self._direction = self._direction, direction
        if before != direction:
            self._events.put(Redirected(direction=direction))

    async def _join(self, remote: RemoteAudio, terms: RestartTerms) -> None:
        self._terms, self._rtcp_mux = terms, remote.rtcp_mux
        for text in remote.candidates:
            await self._path.ice.add(text)
        if remote.complete:
            await self._path.ice.add(None)
        await load_codecs([remote.sound.codec])
        self._check_open()
        self._stream.agree(agree(remote.sound, remote.formats, self._options.codecs if terms.offerer else ()))
        await self._agree_on_pictures(remote, offerer=terms.offerer)
        self._live = start_task(self._run(remote, terms), name="webrtc-port")

    async def _agree_on_pictures(self, remote: RemoteAudio, *, offerer: bool) -> None:
        """They go over the path of the sound. Their code is loaded where somebody wants any."""
        if remote.pictures is None:
            if self._video is not None:
                self._video.close()
                self._video = None
            return
        module = await asyncio.to_thread(importlib.import_module, VIDEO_MODULE)
        self._check_open()
        if self._video is None:
            self._video = module.open_video(self._identity.local, self._stream, self._pictures, self._transmit)
        agreement = remote.pictures.agreement(self._options.pictures if offerer else ())
        self._stream.number(alike=agreement.numbering)
        self._video.agree(agreement)

    async def _run(self, remote: RemoteAudio, terms: RestartTerms) -> None:
        """The life of a port after both descriptions: connect, report and watch until the peer is lost."""
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                await self._path.connect(remote, controlling=terms.offerer, active=terms.active)
            self._receives = remote.receives
            self._stream.path.relay_bytes = self._path.ice.relay_bytes
            self._settle_sending()
            pictures = None if remote.pictures is None else remote.pictures.codec
            connected = Connected(pair=self._path.ice.pair_type, codec=remote.sound.codec.name, pictures=pictures)
        except TimeoutError:
            self._events.put(PortFailed(reason=f"the peer couldn't be reached within {self._options.connect_timeout_s:g} s"))
            return
        except MediaError as error:
            self._events.put(PortFailed(reason=str(error)))
            return
        except Exception:  # noqa: BLE001  a call must not stay half open, whatever the fault is
            _log.exception("connecting to the peer failed by a fault of the program")
            self._shut()
            self._events.put(PortFailed(reason="the connection to the peer failed by a fault of the program"))
            return
        self._connected = True
        self._life = PathLife(waking_time(), self._options.lost_after_s)
        self._stream.expect(wanted=remote.sends and remote.receives)
        self._consent_received()
        self._settle(remote, terms)
        self._events.put(connected)
        self._direction = SENDRECV
        self._redirect(mirrored(remote.direction))
        reporting = start_task(self._report(), name="webrtc-reports")
        try:
            await self._watch()
        finally:
            reporting.cancel()
        self._shut()
        self._events.put(PortLost(silent_s=self._life.silent_s(waking_time())))

    def _settle(self, remote: RemoteAudio, terms: RestartTerms) -> None:
        """From now on the path can be renewed, and is watched."""
        self._path_watch = PathWatch(self._path.ice.gathered_from, time.monotonic(), offerer=terms.offerer)
        self._ice_restarts = IceRestarts(
            self._path,
            self._identity.local,
            remote,
            terms,
            on_candidate=self._candidate_found,
            on_end=self._renewal_ended,
            move_seconds=self._options.connect_timeout_s,
        )

    def _renewal_ended(self, moved: bool) -> None:
        assert self._path_watch is not None, "there was a path"
        self._path_watch.ended(time.monotonic(), moved=moved, addresses=self._path.ice.gathered_from)
        if moved:
            self._stream.path.relay_bytes = self._path.ice.relay_bytes
            self._stream.path.moved()
            self._path.ice.measure()
            self._consent_received()
            self._events.put(Moved(pair=self._path.ice.pair_type))

    async def _watch(self) -> None:
        """Until nothing has come for too long, or the peer closed its side; asks for a restart where the path needs one."""
        pause = min(_WATCH_SECONDS, self._options.lost_after_s / 8)
        while not self._gone.is_set():
            state, was_away = self._life.look(waking_time())
            if state is PathState.LOST:
                return
            if was_away and self._path_watch is not None:
                self._received_at = self._stream.received_at  # before that
                self._path_watch.woke(time.monotonic())
            self._expired = state is PathState.EXPIRED
            self._settle_sending()
            self._tend(time.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._gone.wait()

    def _tend(self, now: float) -> None:
        """Ask for a restart where the path needs one."""
        assert self._path_watch is not None, "there is a path"
        if self._path_watch.looks(now):
            self._path_watch.saw(recent_addresses())
        reason = self._path_watch.due(now)
        if reason is not None:
            self._events.put(RestartWanted(reason=reason))

    def _settle_sending(self, *, anew: bool = False) -> None:
        """Send as long as the peer wants to hear us and answers (RFC 7675 5.1); ``anew``: something else was agreed on."""
        sends = self._receives and not self._expired
        if sends and (anew or not self._sends):
            self._stream.open()
            if self._video is not None:
                self._video.open()
        elif not sends and self._sends:
            self._shut()
        self._sends = sends

    def _shut(self) -> None:
        self._stream.shut()
        if self._video is not None:
            self._video.shut()

    async def _report(self) -> None:
        """Sender and receiver reports, for ever (RFC 3550 6.4)."""
        while True:
            await asyncio.sleep(self._stream.next_report_s())
            if not self._expired:
                self._transmit(self._stream.report())
                if self._video is not None:
                    self._transmit(self._video.report())

    def _candidate_found(self, candidate: seam.Candidate | None, local: LocalDescription) -> None:
        """Told with the credentials that it belongs to, as libwebrtc does: those of a restart may overtake its description."""
        if candidate is None:
            self._events.put(CandidateFound(candidate=None))
        else:
            self._events.put(CandidateFound(candidate=Candidate(f"candidate:{candidate.to_sdp()} ufrag {local.ufrag}", *self._line)))

    def _transmit(self, packet: bytes) -> bool:
        """Send a packet; RTCP only where it may share the way of RTP (RFC 5761 5.1.1), since there is no other."""
        return (self._rtcp_mux or not is_rtcp(packet)) and self._path.send(packet)

    def _packet_received(self, data: bytes, control: bool) -> None:
        self._life.heard(waking_time())
        video = self._video
        if video is not None and not control and video.owns(data):
            video.take(data)
            return
        self._stream.take(data, control)
        if video is not None and control:
            video.control(data)

    def _consent_received(self) -> None:
        self._life.consented(waking_time())
        if self._path_watch is not None:
            self._path_watch.consented(time.monotonic())

    def _peer_receives(self) -> bool:
        before, self._received_at = self._received_at, self._stream.received_at
        if self._received_at is None or self._received_at == before:
            return False
        if self._path_watch is not None:
            self._path_watch.consented(self._received_at)
        return True

    def _path_broke(self) -> None:
        if self._path_watch is not None:
            self._path_watch.broke()

    def _relay_missed(self, why: str) -> None:
        if not self._relay_missing:  # once is enough for all restarts
            self._relay_missing = True
            self._events.put(
                PortWarning(message=f"no TURN server gave an address: {why}", hint="calls may fail where a firewall needs a relay")
            )

    def _peer_closed(self) -> None:
        self._gone.set()

    async def _close(self) -> None:
        self._state = _PortState.CLOSED
        while self._live is not None and not self._live.done():
            self._live.cancel()  # again and again: aiortc's handshake waits by asyncio.wait_for, which may lose one (bpo-37658)
            await asyncio.wait([self._live], timeout=_CANCEL_SECONDS)
        self._stream.shut()
        if self._video is not None:
            self._video.close()
        self._transmit(self._stream.bye())
        if self._ice_restarts is not None:
            await self._ice_restarts.close()
        await self._path.close()
        self._events.end()
