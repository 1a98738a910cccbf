"""Frames out of packets: in order, whole, and after a loss only from the next key frame on. Pure.

::

    push(packet) -> by sequence number -> the packets of one time stamp up to the marker -> frames
    a gap that stays -> what follows it is dropped up to a key frame       needs_key: ask the sender for one
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sinchphone.protocol.rtp.packet import RtpPacket
from sinchphone.protocol.rtp.sequence import PAST, SEQUENCES
from sinchphone.protocol.rtp.video.part import Part
from sinchphone.quick_dataclass import quick_dataclass

_MAX_AHEAD: Final = 1500  # packets, some seconds: further ahead or behind is another line of numbers
_MAX_PACKETS: Final = 1500
MAX_FRAME_BYTES: Final = 2_000_000
_STRANGERS: Final = 2  # in a row make a new line of numbers


@quick_dataclass(frozen=True, slots=True)
class FrameFormat:
    """How one codec's frames are cut."""

    read: Callable[[bytes], Part | None]
    is_key: Callable[[bytes], bool]


@quick_dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One whole frame for the decoder. ``timestamp`` as in its packets [1/90000 s]."""

    data: bytes
    timestamp: int
    is_key: bool


@dataclass(slots=True)
class _Kept:
    part: Part | None  # None: nothing of a frame
    timestamp: int
    marker: bool


class FrameAssembler:
    """Of one source. All times in seconds of one clock."""

    def __init__(self, form: FrameFormat) -> None:
        self.needs_key = True  # nothing can be decoded before one comes
        self.dropped = 0  # frames that were not whole, or came after such a one
        self._form = form
        self._packets: dict[int, _Kept] = {}  # by unwrapped number
        self._next: int | None = None  # to be taken
        self._highest = 0
        self._whole = False  # the packet before ``_next`` was the last of a frame, or there is a frame's beginning at ``_next``
        self._blocked_at: float | None = None  # since when something after a gap waits
        self._strange: list[int] = []

    def push(self, packet: RtpPacket, now: float, patience: float) -> list[EncodedPicture]:
        """The frames that are whole with this packet, oldest first. ``patience``: how long a gap is waited for."""
        number = self._unwrap(packet.sequence)
        if number is None or (self._next is not None and number < self._next):
            return []
        self._highest = max(self._highest, number)
        part = self._form.read(packet.payload)
        self._packets.setdefault(number, _Kept(part, packet.timestamp, packet.marker))
        frames = self._take()
        if self._blocked_at is not None and self._skip_to_key(number):
            frames += self._take()
        return frames + self.expire(now, patience)

    def is_stuck(self, now: float, seconds: float) -> bool:
        """Whether something is waited for longer than that."""
        return self._blocked_at is not None and now - self._blocked_at >= seconds and self._has_gap()

    def expire(self, now: float, patience: float) -> list[EncodedPicture]:
        """Give a gap up that has been there for too long; the frames that become whole by that."""
        if not self._packets:
            self._blocked_at = None
            return []
        if self._blocked_at is None:
            self._blocked_at = now
        if len(self._packets) < _MAX_PACKETS:  # else a frame without an end
            if not self._has_gap():
                self._blocked_at = now
                return []
            if now - self._blocked_at < patience:
                return []
        self._blocked_at = now
        self._skip_gap()
        return self._take()

    def restart(self) -> None:
        """What comes next is of another source, or another line of numbers."""
        self._packets.clear()
        self._next = self._blocked_at = None
        self._whole, self.needs_key = False, True
        self._strange.clear()

    def spoilt(self) -> None:
        """The decoder could make nothing of a frame: those that follow are of no use before a key frame."""
        self.needs_key = True

    def _unwrap(self, sequence: int) -> int | None:
        """The packet's number with the cycles before it; ``None`` where it fits nothing yet."""
        if self._next is None:
            self._next = self._highest = sequence + SEQUENCES
            return self._next
        step = (sequence - self._highest + PAST) % SEQUENCES - PAST
        if abs(step) <= _MAX_AHEAD:
            self._strange.clear()
            return self._highest + step
        self._strange = [one for one in self._strange if abs(sequence - one) <= _MAX_AHEAD] + [sequence]
        if len(self._strange) < _STRANGERS:
            return None
        self.restart()
        self._next = self._highest = sequence + SEQUENCES
        return self._next

    def _has_gap(self) -> bool:
        """Whether the next frame can't become whole without a packet that should have come by now."""
        at = self._next
        assert at is not None, "there are packets"
        while at in self._packets:
            at += 1
        return at <= self._highest

    def _take(self) -> list[EncodedPicture]:
        frames: list[EncodedPicture] = []
        while (numbers := self._next_frame()) is not None:
            kept = [self._packets.pop(number) for number in numbers]
            self._next = numbers[-1] + 1
            self._blocked_at = None
            began, self._whole = self._whole, True
            frame = self._joined(kept, began=began)
            if frame is not None:
                frames.append(frame)
        return frames

    def _next_frame(self) -> range | None:
        """The numbers of the next frame's packets, once they are all there."""
        at = first = self._next
        if at is None or first is None or first not in self._packets:
            return None
        timestamp = self._packets[first].timestamp
        while (kept := self._packets.get(at)) is not None:
            if kept.timestamp != timestamp:  # the sender sets no marker
                return range(first, at)
            at += 1
            if kept.marker:
                return range(first, at)
        return None

    def _joined(self, kept: list[_Kept], *, began: bool) -> EncodedPicture | None:
        parts = [one.part for one in kept if one.part is not None]
        if not parts:
            return None
        data = b"".join(part.data for part in parts)
        is_key = self._form.is_key(data)
        if not (began or parts[0].starts) or len(data) > MAX_FRAME_BYTES or (self.needs_key and not is_key):
            self.dropped += 1
            self.needs_key = True
            return None
        self.needs_key = False
        return EncodedPicture(data, kept[0].timestamp, is_key)

    def _skip_to_key(self, number: int) -> bool:
        """Give everything up before the frame which that packet belongs to, if it's a key frame and whole; whether that is so."""
        timestamp = self._packets[number].timestamp
        first = last = number
        while (before := self._packets.get(first - 1)) is not None and before.timestamp == timestamp:
            first -= 1
        while not self._packets[last].marker:
            following = self._packets.get(last + 1)
            if following is None or following.timestamp != timestamp:
                return False
            last += 1
        parts = [kept.part for at in range(first, last + 1) if (kept := self._packets[at]).part is not None]
        if not parts or parts[0] is None or not parts[0].starts or not self._form.is_key(b"".join(part.data for part in parts if part)):
            return False
        skipped = {kept.timestamp for at, kept in self._packets.items() if at < first}
        self.dropped += max(1, len(skipped))
        self._packets = {at: kept for at, kept in self._packets.items() if at >= first}
        self._next, self._whole, self._blocked_at = first, False, None
        return True

    def _skip_gap(self) -> None:
        """Go on with the first packet after the gap: the frame that it belongs to is broken unless it begins there."""
        at = self._next
        assert at is not None, "there are packets"
        while at in self._packets:
            del self._packets[at]
            at += 1
        self._next = min(self._packets, default=self._highest + 1)
        following = self._packets.get(self._next)
        self.dropped += following is None or following.part is None or following.part.starts  # else what is left of it will be
        self.needs_key = True
        self._whole = False
