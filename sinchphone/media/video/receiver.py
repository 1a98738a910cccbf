"""A leg's pictures on their way in: packets to frames in the media loop, frames to pictures in a thread of their own.

::

    take(packet) -> Reception, Missing -> FrameAssembler -> frames -> decoder's thread -> show(picture, when its sound is heard)
    wanted(): what to ask for again (RFC 4585)       needs_key(): whether to ask for a key frame now
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from sinchphone.errors import MediaError
from sinchphone.media.agreement import PictureAgreement
from sinchphone.media.video.codecs import VIDEO_CODECS, VideoDecoder
from sinchphone.media.video.lip_sync import LipSync
from sinchphone.picture.frame import Picture
from sinchphone.protocol.rtp.nack import FIRST_ROUND_TRIP, PICTURE_PATIENCE, Missing, Nack
from sinchphone.protocol.rtp.packet import VIDEO_RATE, Reception, ReportBlock, RtcpReport, RtpPacket
from sinchphone.protocol.rtp.video.assembly import EncodedPicture, FrameAssembler

_REORDER_SECONDS: Final = 0.06  # that a packet which was overtaken is waited for, where nobody can be asked for it again
_NACK_SECONDS: Final = 0.6  # the same where somebody can: a frame that waits is whole sooner than a key frame in its place,
_KEY_ROUND_TRIPS: Final = 4.5  # unless it was asked for in vain so often; then whichever comes first is shown
_LEAST_KEY_SECONDS: Final = 0.05
_KEY_REQUEST_SECONDS: Final = 0.5  # between two requests for a key frame
_MAX_WAITING: Final = 30  # frames that the decoder hasn't taken: then it's too slow, and goes on at a key frame
_SOURCE_SILENT_SECONDS: Final = 0.5  # another source is seen once the first has been quiet for that long
_FARTHEST: Final = 1.0  # [s] that a picture waits for its sound at most
_EPOCH_TICKS: Final = float(1 << 32)


class SoundClock(Protocol):
    """The sound that the pictures belong to."""

    def heard_at(self, ntp: float) -> float | None:
        """When sound that was taken at that time of its sender [s] is heard here, on ``time.monotonic``."""

    @property
    def delay(self) -> float:
        """How late it's heard after it could be [s]."""

    def delay_at_least(self, seconds: float) -> None:
        """Have it so late from now on."""


class VideoReceiver:
    """Of one leg. In the media loop only."""

    def __init__(
        self,
        show: Callable[[Picture, float], None],
        sound: SoundClock,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.packets = 0
        self.octets = 0
        self.pictures = 0  # decoded
        self.size: tuple[int, int] | None = None  # of the last one
        self._show = show
        self._sound = sound
        self._lips = LipSync()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._terms: PictureAgreement | None = None
        self._assembler: FrameAssembler | None = None
        self._source: Reception | None = None
        self._seen_at = 0.0
        self._missing = Missing(PICTURE_PATIENCE)
        self._asked_at = float("-inf")
        self._round_trip: float | None = None
        self._sr: tuple[int, float, int, float] | None = None  # source, NTP time [s], RTP time stamp, when it came
        self._fresh = threading.Condition()
        self._frames: deque[tuple[EncodedPicture, float]] = deque()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Frames that never became pictures."""
        return 0 if self._assembler is None else self._assembler.dropped

    def expect(self, terms: PictureAgreement) -> None:
        """What may come from now on."""
        if self._terms is None or self._terms.codec != terms.codec:
            self.stop()
            self._assembler = FrameAssembler(VIDEO_CODECS[terms.codec].form)
            self._thread = threading.Thread(target=self._decode_all, args=(terms,), name="video decoder", daemon=True)
            self._thread.start()
        self._terms = terms

    def stop(self) -> None:
        """Decode nothing more."""
        self._terms = None
        with self._fresh:
            self._thread = None
            self._frames.clear()
            self._fresh.notify_all()

    def take(self, packet: RtpPacket) -> bool:
        """A packet of the agreed payload types; whether it belongs to the source that is seen."""
        now, assembler = self._clock(), self._assembler
        if assembler is None or self._terms is None:
            return False
        source = self._select(packet.ssrc, now)
        if source is None:
            return False
        self.packets += 1
        self.octets += len(packet.payload)
        if not self._missing.arrived(packet.sequence, now):
            source.count(packet.sequence, packet.timestamp if packet.payload else None, now)  # padding comes later than its frame
        self._hand_over(assembler.push(packet, now, self._patience))
        return True

    def tend(self) -> None:
        """Give up what was waited for long enough; to be called now and then, where nothing comes too."""
        if self._assembler is not None:
            self._hand_over(self._assembler.expire(self._clock(), self._patience))
            self._lips.expire(self._clock())
            self._sound.delay_at_least(self._lips.delay)

    def wanted(self) -> Nack | None:
        """The packets to ask for at this moment."""
        if self._terms is None or not self._terms.nack or self._source is None or not len(self._missing):
            return None
        sequences = self._missing.due(self._clock())
        return Nack(self._source.ssrc, sequences) if sequences else None

    def needs_key(self) -> int | None:
        """The source to ask for a key frame at this moment; it's asked again until one comes."""
        now = self._clock()
        if self._source is None or self._assembler is None or now - self._asked_at < _KEY_REQUEST_SECONDS:
            return None
        round_trip = FIRST_ROUND_TRIP if self._round_trip is None else self._round_trip
        if not self._assembler.needs_key and not self._assembler.is_stuck(now, _LEAST_KEY_SECONDS + _KEY_ROUND_TRIPS * round_trip):
            return None
        self._asked_at = now
        return self._source.ssrc

    def measured(self, round_trip_ms: float) -> None:
        """How long an answer takes."""
        self._missing.round_trip = self._round_trip = round_trip_ms / 1000

    def note(self, report: RtcpReport) -> None:
        """A report of the peer: the sender's tells which time stamp is which time."""
        if report.sender is not None and self._source is not None and report.ssrc == self._source.ssrc:
            self._sr = report.ssrc, report.sender.ntp_time / _EPOCH_TICKS, report.sender.rtp_timestamp, self._clock()

    def report(self) -> tuple[ReportBlock, ...]:
        """What to report about the source, if there is one."""
        if self._source is None:
            return ()
        if self._sr is None or self._sr[0] != self._source.ssrc:
            return (self._source.report(0, 0),)
        _, ntp, _, came_at = self._sr
        middle = int(ntp * 65_536) & 0xFFFFFFFF
        return (self._source.report(middle, int((self._clock() - came_at) * 65_536) & 0xFFFFFFFF),)

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return self._source.lost if self._source else 0

    @property
    def _patience(self) -> float:
        if self._terms is None or not self._terms.nack:
            return _REORDER_SECONDS
        return _NACK_SECONDS

    def _select(self, ssrc: int, now: float) -> Reception | None:
        source = self._source
        if source is None or source.ssrc != ssrc:
            if source is not None and now - self._seen_at < _SOURCE_SILENT_SECONDS:
                return None
            self._source = source = Reception(ssrc, VIDEO_RATE)
            self._missing = Missing(PICTURE_PATIENCE)
            self._missing.round_trip = self._round_trip
            if self._assembler is not None:
                self._assembler.restart()
        self._seen_at = now
        return source

    def _hand_over(self, frames: list[EncodedPicture]) -> None:
        if not frames:
            return
        with self._fresh:
            if len(self._frames) + len(frames) > _MAX_WAITING:
                self._frames.clear()
                self._spoilt()
                return
            self._frames.extend((frame, self._due(frame.timestamp)) for frame in frames)
            self._fresh.notify_all()

    def _due(self, timestamp: int) -> float:
        """When the frame's sound is heard; at once where that isn't known. Sound that would be heard before is to wait."""
        now = self._clock()
        if self._sr is None:
            return now
        _, ntp, stamp, _ = self._sr
        taken = ntp + ((timestamp - stamp + 0x80000000) % 0x100000000 - 0x80000000) / VIDEO_RATE
        at = self._sound.heard_at(taken)
        if at is None or abs(at - now) > _FARTHEST:
            return now
        self._lips.frame(now - at, self._sound.delay, now)
        return max(now, at)

    def _spoilt(self) -> None:
        if self._assembler is not None:
            self._assembler.spoilt()

    def _decode_all(self, terms: PictureAgreement) -> None:
        """The decoder's thread. What can't be decoded costs that frame and those up to the next key frame, not the call's pictures."""
        me, decoder, blind = threading.current_thread(), VideoDecoder(VIDEO_CODECS[terms.codec]), False
        while (job := self._next_job(me)) is not None:
            frame, at = job
            if blind and not frame.is_key:
                continue
            try:
                picture = decoder.decode(frame)
                blind = False
            except MediaError:
                blind = True
                try:
                    self._loop.call_soon_threadsafe(self._spoilt)
                except RuntimeError:  # the media thread was stopped
                    return
                continue
            if picture is not None:
                self.pictures += 1
                self.size = (picture.width, picture.height)
                self._show(replace(picture, taken_at=at), at)

    def _next_job(self, me: threading.Thread) -> tuple[EncodedPicture, float] | None:
        with self._fresh:
            while self._thread is me:
                if self._frames:
                    return self._frames.popleft()
                self._fresh.wait()
        return None
