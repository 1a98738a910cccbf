"""The jitter buffer: packets come when the network likes, and leave in order when a player needs the next sound.

::

    network -> push(packet, now) -> [ packets by time stamp ] -> pull(now) -> Packet | Lost | NotYet -> decode or conceal
                                                                   | Late
                                                                     ^
                                             wait(samples): what the player made up while there was nothing

It never looks inside a packet. It knows the *time line*: when a packet of a given time stamp arrives over the fastest path seen of
late, and how far behind that the player is. This distance, the *delay*, is what protects from jitter. ``target`` is what it ought to
be; a player that is off the target stretches or shrinks its sound. Clock drift is the same thing, only slower. Because packets are
kept by time stamp, a *spare* that comes by another way (a retransmission, RFC 2198 redundancy) fills a hole like the packet itself;
of the line it tells only how long a hole takes to be filled.
"""

import math
from collections import deque
from typing import Final, TypeAlias

from sinchphone.audio.frame import RATE
from sinchphone.audio.path_estimate import PathEstimate
from sinchphone.quick_dataclass import quick_dataclass

MAX_PACKETS: Final = 256  # 5 s of 20 ms packets; nobody wants to hear what is older

_LONGEST_HOLE: Final = 960  # samples: what fills it is played before the next look at the buffer
_PAUSE: Final = 0.5  # [s] without a packet, and the next one starts anew
_TOO_FAR_BEHIND: Final = 0.400  # [s] above the target: skip instead of shrinking
_LATE_START: Final = 0.040  # [s] above the target at the first sound: the same

_MAX_LEAP: Final = 3000  # packets, RFC 3550 A.1
_MAX_MISORDER: Final = 100  # packets, RFC 3550 A.1
_MAX_OFF_ARRIVAL: Final = 1.0  # [s] that a time stamp may be off the arrival, in either direction
_SEEN: Final = 64  # packets that a spare may be a double of: no one is sent again after more than a second


@quick_dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet of sound: sequence number (16 bits), time stamp (32 bits, 48 kHz), and whatever it carries.

    What the buffer can't see for itself, the sender of it says: how many ``samples`` it lasts (above 0), and how many before it
    could be rebuilt from a copy that it carries (``recoverable``); and whether it came by another way than the first (``spare``).
    """

    sequence: int
    timestamp: int
    payload: bytes
    samples: int = 960
    recoverable: int = 0
    spare: bool = False


@quick_dataclass(frozen=True, slots=True)
class Late:
    """The next packet, in whose place something was made up until it came: that stands for its first ``stood`` samples."""

    packet: Packet
    stood: int


@quick_dataclass(frozen=True, slots=True)
class Lost:
    """The next ``samples`` are missing, at most a packet's length at a time. ``copy`` is the packet to rebuild them from; ``paused``: the
    sender sent nothing (DTX)."""

    samples: int
    copy: Packet | None
    paused: bool = False


@quick_dataclass(frozen=True, slots=True)
class NotYet:
    """There is nothing to play: before the first sound, or because the next packet is late, lost or was never sent."""


Pulled: TypeAlias = Packet | Late | Lost | NotYet


@quick_dataclass(frozen=True, slots=True)
class JitterStats:
    """Counters since the start, and the line as it is now [s]."""

    received: int  # all that were pushed, without spares
    mended: int  # lost, and played from a spare
    late: int  # came after their moment
    doubled: int
    stray: int  # fit neither the stream nor a new one
    skipped: int  # in time, but thrown away in order to catch up
    lost_samples: int  # were not there at their moment
    resyncs: int
    target: float
    jitter: float | None  # RFC 3550 A.8; None before the second packet


class JitterBuffer:
    """An adaptive jitter buffer. All times in seconds of one clock, all lengths in samples at 48 kHz."""

    def __init__(self) -> None:
        self._line = PathEstimate()
        self._packets: dict[int, Packet] = {}  # by unwrapped time stamp
        self._newest: _Arrival | None = None
        self._stranger: tuple[_Arrival, Packet] | None = None  # doesn't fit; the next one tells whether a new stream begins
        self._position = 0  # unwrapped time stamp of the next sample to play
        self._start_at = math.inf
        self._playing = False
        self._waited = 0  # samples made up at this position
        self.least_delay = 0.0  # [s] that the sound is to have for something else's sake
        self._last: Packet | None = None  # pulled
        self._seen: deque[int] = deque(maxlen=_SEEN)  # where the packets of late were
        self._received = self._mended = self._late = self._doubled = self._stray = self._skipped = self._lost = self._resyncs = 0

    def __len__(self) -> int:
        """Packets kept."""
        return len(self._packets)

    @property
    def target(self) -> float:
        """The delay that the line asks for, or what waits for the sound [s]."""
        return max(self._line.target, self.least_delay)

    def delay(self, now: float) -> float:
        """How far the next sample is behind the fastest path [s]; 0 before the first packet."""
        base = self._line.base
        return 0.0 if base is None else now - base - self._position / RATE

    def fastest_arrival(self, timestamp: int) -> float | None:
        """When a sample with that time stamp came or comes over the fastest path; ``None`` before the first packet."""
        base, newest = self._line.base, self._newest
        if base is None or newest is None:
            return None
        ahead = (timestamp - newest.position + 0x80000000) % 0x100000000 - 0x80000000
        return base + (newest.position + ahead) / RATE

    def stats(self) -> JitterStats:
        """Counters at this moment."""
        return JitterStats(
            received=self._received,
            mended=self._mended,
            late=self._late,
            doubled=self._doubled,
            stray=self._stray,
            skipped=self._skipped,
            lost_samples=self._lost,
            resyncs=self._resyncs,
            target=self._line.target,
            jitter=self._line.jitter,
        )

    def push(self, packet: Packet, now: float) -> None:
        """Take a packet that arrived at ``now``. Anything is accepted; what can't be used is counted and dropped."""
        if packet.spare:
            self._place_spare(packet, now)
        else:
            self._received += 1
            self._place(packet, now)

    def pull(self, now: float) -> Pulled:
        """What comes next: a packet (which leaves the buffer), in time or late, a hole, or nothing yet.

        Packets and holes are taken as played from their start. What is played in place of nothing, ``wait`` must be told.
        """
        if not self._playing:
            if now < self._start_at:
                return NotYet()
            self._playing = True
            self._catch_up(now, _LATE_START)
        self._catch_up(now, _TOO_FAR_BEHIND)
        following = min(self._packets, default=None)
        if following is not None and following < self._position:
            self._drop_late()
            following = min(self._packets, default=None)
        if following is None:
            return NotYet()
        if following > self._position:
            self._settle(following)
        if following > self._position:
            return self._hole(following)
        return self._take_late(now) if self._waited else self._take(following)

    def wait(self, samples: int) -> None:
        """``samples`` were made up because there was nothing. They stand for what comes next should that turn out to be lost."""
        if self._playing:
            self._waited += samples

    def restart(self) -> None:
        """What comes next is of another sender, whose counters have nothing to do with those so far. What is known of the line stays."""
        if self._newest is not None:
            self._resyncs += 1
        self._newest = self._stranger = self._last = None
        self._packets.clear()

    def _place(self, packet: Packet, now: float) -> None:
        newest = self._newest
        if newest is None:
            self._begin(_Arrival(packet.sequence, packet.timestamp, now), packet)
            return
        arrival = newest.next(packet, now)
        if not arrival.fits(newest):
            self._consider(packet, now)
            return
        self._stranger = None
        if arrival.position > newest.position:
            if now - newest.at > _PAUSE and not self._packets:
                self._begin(arrival, packet)
                return
            if packet.recoverable and arrival.sequence > newest.sequence + 1:
                self._line.rebuilt(arrival.position - packet.recoverable, now)
            self._newest = arrival
        self._line.arrived(arrival.position, now)
        self._seen.append(arrival.position)
        self._keep(arrival.position, packet, now)

    def _place_spare(self, packet: Packet, now: float) -> None:
        """Fill a hole, if it is one and still open. What a spare comes too late for, it still tells how long to wait for the next."""
        if self._newest is None:
            return
        arrival = self._newest.next(packet, now)
        position = arrival.position
        if now == self._newest.at:
            self._line.copied(now)
        if not arrival.fits(self._newest) or position >= self._newest.position or position in self._seen or position in self._packets:
            return
        self._seen.append(position)  # another spare of it tells nothing new
        self._line.mended(position, now)
        if position >= self._position and len(self._packets) < MAX_PACKETS:
            self._packets[position] = packet

    def _begin(self, arrival: "_Arrival", packet: Packet) -> None:
        """A stream starts, or goes on after a pause: sound from here, a target later."""
        self._line.restart(arrival.position, arrival.at)
        self._newest = arrival
        self._position = arrival.position
        self._start_at = arrival.at + self.target
        self._playing = False
        self._waited = 0
        self._packets = {arrival.position: packet}
        self._seen.clear()
        self._seen.append(arrival.position)

    def _consider(self, packet: Packet, now: float) -> None:
        """A packet far off the stream: alone it's a stray, two in a row are a sender that started anew (RFC 3550 A.1)."""
        if self._stranger is not None:
            first, kept = self._stranger
            arrival = first.next(packet, now)
            if arrival.sequence != first.sequence and arrival.fits(first):
                self._stranger = None
                self._stray -= 1
                self._resyncs += 1
                self._begin(first, kept)
                self._place(packet, now)
                return
        self._stray += 1
        self._stranger = (_Arrival(packet.sequence, packet.timestamp, now), packet)

    def _keep(self, position: int, packet: Packet, now: float) -> None:
        if packet.recoverable:
            self._line.redundant(packet.recoverable / RATE, now)
        if not self._playing:  # a packet that was overtaken may still be the first to be heard
            self._position = min(self._position, position)
        if position < self._position:
            self._late += 1
        elif position in self._packets and not self._packets[position].spare:
            self._doubled += 1
        else:
            self._packets[position] = packet
            if len(self._packets) > MAX_PACKETS:
                self._skip_to(sorted(self._packets)[1])

    def _take(self, position: int) -> Packet:
        packet = self._packets.pop(position)
        self._position += packet.samples
        self._waited = 0
        self._last = packet
        if packet.spare:
            self._mended += 1
            self._line.missed(1)
        else:
            self._line.received()
        return packet

    def _take_late(self, now: float) -> Late:
        """What was made up makes all that follows late. A spare is played from where it's no later than it ought to be: one more is on
        its way. The line's own packet is played whole: the target didn't allow for it."""
        packet, waited = self._packets[self._position], self._waited
        excess = round((self.delay(now) - self.target) * RATE) if packet.spare else 0
        stood = max(0, min(waited, packet.samples, excess))
        self._take(self._position)
        if stood == packet.samples:
            self._waited = waited - stood
            self._mended -= packet.spare
            self._lost += stood
        return Late(packet, stood)

    def _settle(self, following: int) -> None:
        """There is a hole up to ``following``: what was made up while nobody knew stands for it."""
        waited = min(self._waited, following - self._position)
        self._position += waited
        self._waited = 0
        self._miss(waited, following)

    def _hole(self, following: int) -> Lost:
        packet = self._packets[following]
        gap = following - self._position
        copied = gap <= packet.recoverable
        samples = gap if copied else min(gap - packet.recoverable, _LONGEST_HOLE)
        self._position += samples
        self._miss(samples, following)
        return Lost(samples, packet if copied else None, self._paused_before(packet))

    def _miss(self, samples: int, following: int) -> None:
        """Count a loss, unless nothing was sent: then the sequence numbers go on where the time stamps have a gap (DTX)."""
        packet = self._packets[following]
        if not self._paused_before(packet):
            self._lost += samples
            self._line.missed(samples / packet.samples)

    def _paused_before(self, packet: Packet) -> bool:
        return self._last is not None and packet.sequence == (self._last.sequence + 1) % 0x10000

    def _drop_late(self) -> None:
        """Packets that overlap what was played already."""
        for position in [p for p in self._packets if p < self._position]:
            del self._packets[position]
            self._late += 1

    def _catch_up(self, now: float, tolerance: float) -> None:
        """Far behind the line: go to where the target is, but not beyond the newest packet."""
        if not self._packets:
            return
        behind = self.delay(now) - self.target
        if behind > tolerance:
            wanted = self._position + int(behind * RATE)
            self._skip_to(max((p for p in self._packets if p <= wanted), default=min(self._packets)))

    def _skip_to(self, position: int) -> None:
        if position <= self._position:
            return
        old = [p for p in self._packets if p < position]
        for p in old:
            del self._packets[p]
        self._skipped += len(old)
        self._position = position
        self._waited = 0


@quick_dataclass(frozen=True, slots=True)
class _Arrival:
    """A packet's place in the stream: both counters unwrapped, and when it came."""

    sequence: int
    position: int
    at: float

    def next(self, packet: Packet, now: float) -> "_Arrival":
        """``packet`` unwrapped by its distance from this one."""
        steps = (packet.sequence - self.sequence + 0x8000) % 0x10000 - 0x8000
        samples = (packet.timestamp - self.position + 0x80000000) % 0x100000000 - 0x80000000
        return _Arrival(self.sequence + steps, self.position + samples, now)

    def fits(self, newest: "_Arrival") -> bool:
        """Whether it may be of the same stream: both counters go the same way, and time goes no faster than time does."""
        steps = self.sequence - newest.sequence
        seconds = (self.position - newest.position) / RATE
        if steps > 0:
            return steps <= _MAX_LEAP and 0 <= seconds <= max(0.0, self.at - newest.at) + _MAX_OFF_ARRIVAL
        if steps < 0:
            return steps >= -_MAX_MISORDER and -_MAX_OFF_ARRIVAL <= seconds <= 0
        return seconds == 0
