"""A leg's pictures on their way out: the newest one is encoded in a thread of its own, so that sound never waits for it.

::

    push(picture)      any thread: the newest wins
      -> encoder's thread: PictureLadder's setting -> VideoEncoder -> payloads
      -> media loop: numbers -> Pacer -> PathControl      resend(numbers), request_key()
"""

import asyncio
import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from sinchphone.errors import MediaError
from sinchphone.media.agreement import PictureAgreement
from sinchphone.media.legs.path_control import BELOW_BYTES, PathControl
from sinchphone.media.video.codecs import VIDEO_CODECS, VideoEncoder
from sinchphone.media.video.pacer import Pacer
from sinchphone.picture.frame import Picture
from sinchphone.picture.ladder import LEAST_BITRATE, PictureLadder, PictureSetting
from sinchphone.protocol.congestion.allocation import Demand, Priority
from sinchphone.protocol.rtp.nack import FIRST_ROUND_TRIP
from sinchphone.protocol.rtp.packet import VIDEO_RATE, RtpPacket, SenderInfo, encode_packet, ntp_time
from sinchphone.protocol.rtp.transport_feedback import EXTENSION_BYTES

PAYLOAD_BYTES: Final = 1_100  # with all headers below 1,200: fits into any path (RFC 8831 5)
_PAYLOAD_SHARE: Final = 1 - (BELOW_BYTES + 12 + EXTENSION_BYTES + 4) / 1_160 - 0.06  # of what may be sent; the rest is sent again
_KEY_SECONDS: Final = 0.5  # between two key frames, however many ask
_HASTE, _MOST_HASTE = 1.2, 2.0  # of the bit rate: what a frame is sent with, so that a large one doesn't delay those behind it for long
_KEPT: Final = 600  # packets that can be sent again
_LEAST_AGAIN: Final = 0.015  # [s] and
_AGAIN_SHARE: Final = 0.7  # of a round trip between two answers to requests for one packet: reports make it look longer than it is
_EARLY: Final = 0.3  # of the time between two pictures: so much sooner one may come, and still be sent
_LEAST_SHARE: Final = LEAST_BITRATE / _PAYLOAD_SHARE
_TRIAL_WAIT, _MOST_TRIAL_WAIT = 8.0, 64.0  # [s] without pictures before a trial
_TRIAL_SEEN: Final = 0.5  # [s] after its beginning a queue may be its own
_USUAL_SOURCE: Final = (640, 360, 15.0)

_log = logging.getLogger(__name__)


class VideoSender:
    """Of one leg. In the media loop, but for ``push`` and ``describe``."""

    def __init__(self, ssrc: int, path: PathControl, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self.octets = 0  # of payload
        self.pictures = 0
        self.round_trip: float | None = None  # [s]
        self._path = path
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._terms: PictureAgreement | None = None
        self._ladder = PictureLadder(*_USUAL_SOURCE)
        self.setting: PictureSetting | None = None
        self._trial_at: float | None = None  # since when a little is tried
        self._trial_wait = _TRIAL_WAIT
        self._quiet_at = clock()  # the last moment with pictures, or a trial
        self._limit: int | None = None  # that the peer has asked for [bit/s]
        self._pacer = Pacer(self._send, clock=clock)
        self._sequence = secrets.randbits(15)  # the lower half: the first wrap comes late (RFC 3711 3.3.1)
        self._offset = secrets.randbits(32)
        self._sent: OrderedDict[int, bytes] = OrderedDict()  # by sequence number,
        self._again_at: dict[int, float] = {}  # and when one was sent again last
        self._fresh = threading.Condition()  # of all that follows
        self._picture: Picture | None = None
        self._due_at = 0.0
        self._key_wanted = False
        self._thread: threading.Thread | None = None

    def start(self, terms: PictureAgreement) -> None:
        """The peer wants to see us from now on, in this way."""
        before, self._terms = self._terms, terms
        self.request_key()
        if before is None or before.codec != terms.codec:
            self.stop()
            self._terms = terms
            self._thread = threading.Thread(target=self._encode_all, args=(terms,), name="video encoder", daemon=True)
            self._thread.start()
        self.follow_path()

    def stop(self) -> None:
        """Send nothing more."""
        self._terms = None
        self._pacer.clear()
        self._path.demand(self.ssrc, None)
        with self._fresh:
            self.setting = self._picture = self._thread = None
            self._fresh.notify_all()

    def push(self, picture: Picture) -> None:
        """Send a picture, unless a newer one comes first or there are too many. Any thread."""
        with self._fresh:
            setting = self.setting
            if setting is None or self._pacer.is_behind:
                return
            apart = 1 / setting.rate
            if picture.taken_at < self._due_at - _EARLY * apart:
                return
            self._due_at = max(self._due_at + apart, picture.taken_at + apart / 2)
            self._picture = picture
            self._fresh.notify_all()

    def describe(self, width: int, height: int, rate: float) -> None:
        """The pictures that come are of that size, so many a second. Any thread."""
        with suppress(RuntimeError):  # the media thread was stopped
            self._loop.call_soon_threadsafe(self._describe, PictureLadder(width, height, rate))

    def request_key(self) -> None:
        """The peer can't go on without a key frame."""
        with self._fresh:
            self._key_wanted = True

    def limit(self, bitrate: int) -> None:
        """The peer takes no more than that."""
        self._limit = bitrate
        self.follow_path()

    def follow_path(self) -> None:
        """What the path carries may have changed: send as much from now on, after the sound."""
        if self._terms is None:
            return
        demand = Demand(priority=Priority.PICTURES, least=_LEAST_SHARE, most=max(LEAST_BITRATE, self._ladder.most) / _PAYLOAD_SHARE)
        self._path.demand(self.ssrc, demand)
        share = self._tried(self._path.left_for(self.ssrc), self._clock())
        share = share if self._limit is None else min(share, self._limit)
        setting = self._ladder.follow(share * _PAYLOAD_SHARE, self._clock())
        with self._fresh:
            ended = setting is None and self.setting is not None
            self.setting = setting
        if ended:  # what waits would stand before the sound
            self._drop()
        self._pacer.pace(self._path.haste(share, usual=_HASTE, most=_MOST_HASTE))

    def _tried(self, share: float, now: float) -> float:
        """Where nothing is left a little is tried now and then, the rarer the oftener that makes a queue: else nobody would find out that a
        path is wider again, since the sound alone doesn't fill what is believed of it."""
        if self._trial_at is not None:
            if self._path.is_congested(self._trial_at + _TRIAL_SEEN):
                self._trial_at, self._quiet_at = None, now
                self._trial_wait = min(_MOST_TRIAL_WAIT, 2 * self._trial_wait)
            elif now - self._trial_at > _TRIAL_WAIT and share >= _LEAST_SHARE:
                self._trial_at, self._trial_wait = None, _TRIAL_WAIT
        elif share >= _LEAST_SHARE:
            self._quiet_at = now
        elif self._is_trial_due(now):
            self._trial_at = now
        return share if self._trial_at is None else max(share, _LEAST_SHARE)

    def _is_trial_due(self, now: float) -> bool:
        calm = now - self._quiet_at >= self._trial_wait and not self._path.is_congested(now - self._trial_wait)
        return calm and self._path.may_carry(_LEAST_SHARE)

    def _drop(self) -> None:
        """Send nothing of what waits; what was never sent leaves no gap."""
        fresh = [number for number in map(_sequence_of, self._pacer.clear()) if number not in self._sent]
        if fresh:
            self._sequence = fresh[0]
        self.request_key()

    def resend(self, sequences: Iterable[int]) -> None:
        """The peer misses these: those again that are still kept, each at most once in most of a round trip, and none where much waits."""
        if self._terms is None or not self._terms.nack or self.setting is None or self._pacer.is_behind:
            return
        now = self._clock()
        wait = max(_LEAST_AGAIN, _AGAIN_SHARE * (self.round_trip or FIRST_ROUND_TRIP))
        due = [each for each in sequences if each in self._sent and now - self._again_at.get(each, -math.inf) >= wait]
        self._again_at |= dict.fromkeys(due, now)
        self._pacer.put([self._sent[each] for each in due], first=True)

    def report(self, now_epoch: float) -> SenderInfo | None:
        """What a sender report says now: time stamps are of the moment at which a picture was taken (RFC 3550 6.4.1)."""
        if not self.packets:
            return None
        return SenderInfo(ntp_time(now_epoch), self._stamp(self._clock()), self.packets, self.octets)

    def _describe(self, ladder: PictureLadder) -> None:
        self._ladder = ladder
        self.follow_path()

    def _stamp(self, taken_at: float) -> int:
        return (self._offset + round(taken_at * VIDEO_RATE)) & 0xFFFFFFFF

    # the encoder's thread

    def _encode_all(self, terms: PictureAgreement) -> None:
        me, encoder, key_at = threading.current_thread(), VideoEncoder(VIDEO_CODECS[terms.codec]), 0.0
        before: PictureSetting | None = None
        while (job := self._next_job(me)) is not None:
            picture, setting, wanted = job
            key = setting != before or (wanted and picture.taken_at - key_at >= _KEY_SECONDS)
            if key:
                key_at = picture.taken_at
                with self._fresh:
                    self._key_wanted = False
            before = setting
            try:
                payloads = encoder.encode(picture, round(picture.taken_at * VIDEO_RATE), setting, key=key, most=PAYLOAD_BYTES)
            except MediaError as error:
                _log.warning("%s", error)
                continue
            try:
                self._loop.call_soon_threadsafe(self._packetize, payloads, self._stamp(picture.taken_at))
            except RuntimeError:  # the media thread was stopped
                return

    def _next_job(self, me: threading.Thread) -> tuple[Picture, PictureSetting, bool] | None:
        """The newest picture, once there is one; ``None`` where the thread is to end."""
        with self._fresh:
            while self._thread is me:
                picture, setting, self._picture = self._picture, self.setting, None
                if picture is not None and setting is not None:
                    return picture, setting, self._key_wanted
                self._fresh.wait()
        return None

    # the media loop again

    def _packetize(self, payloads: list[bytes], timestamp: int) -> None:
        terms = self._terms
        if terms is None or not payloads:
            return
        self.pictures += 1
        packets = []
        for index, payload in enumerate(payloads):
            marker = index == len(payloads) - 1
            packets.append(encode_packet(RtpPacket(terms.payload_type, self._sequence, timestamp, self.ssrc, payload, marker)))
            self._sequence = (self._sequence + 1) & 0xFFFF
        self._pacer.put(packets)

    def _send(self, packet: bytes) -> None:
        sequence = _sequence_of(packet)
        self._sent[sequence] = packet
        while len(self._sent) > _KEPT:
            self._again_at.pop(self._sent.popitem(last=False)[0], None)
        if self._path.send(packet):
            self.packets += 1
            self.octets += len(packet) - 12


def _sequence_of(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big")
