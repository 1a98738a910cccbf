"""What a receiver learns about the network path: its fastest transit, how much slower packets may be, how many it loses.

From this comes the delay that a player should keep: enough for all but the slowest packets, no more. How it's found: the lowest
transit of the last seconds is the base; a quantile of what packets take above it is the target, and more where peaks come back,
where the path has just become longer, or where lost packets can be rebuilt from a later one that's worth waiting for.
"""

import math
from collections import deque
from itertools import islice
from typing import Final

from sinchphone.audio.frame import FRAME_SAMPLES, RATE

_INITIAL_TARGET: Final = 0.020  # [s] first sound soon; the line is known after a few packets
_MAX_TARGET: Final = 0.500
_HEADROOM: Final = 0.008  # [s] above the quantile: half a device block, and the scheduler
_QUANTILE: Final = 0.97  # of packets that are in time; the rest costs less than the delay that would save it
_HISTORY: Final = 500  # frames, 10 s
_MOST_FRAMES: Final = 6  # in a packet
_KNOWN: Final = 20  # packets until the line counts as known
_REVIEW: Final = 0.1  # [s] between two looks at the history

_BURST: Final = 0.75  # of the time between two packets: so much less between their arrivals is a burst

_PEAK: Final = 0.010  # [s] above the target makes a peak; two of them within the history are ridden over
_PEAK_APART: Final = 15  # packets between two peaks, else they are one
_MAX_PEAK: Final = 0.250

_CALM: Final = 50  # frames since the last late one: then a queue is over,
_QUEUE_LEAST: Final = 12  # that delayed so many in a row: one alone is forgotten sooner than the others,
_QUEUE_MOST: Final = 0.5  # of them in time at the most: packets of 60 ms are in steps
_QUEUES_APART: Final = 10.0  # [s] what comes back sooner is remembered

_LOSSY: Final = 0.01  # share of lost frames from which on waiting for redundancy pays
_REDUNDANCY_WAIT: Final = 0.012  # [s] on top of it, until the packet with the copy is surely there; 22 ms sound no better
_REDUNDANCY_FRESH: Final = 5.0  # [s] a copy seen is taken as a habit
_REBUILDS: Final = 50  # lost frames that a later packet had in it are remembered,
_REBUILDS_FRESH: Final = 10.0  # [s] for so long,
_REBUILDS_KNOWN: Final = 3  # and count from so many on: a full queue loses packets, so that those after them are the slowest
_REBUILD_HEADROOM: Final = 0.007  # [s] above the same quantile of them

_MENDS: Final = 50  # lost frames whose spares are remembered,
_MENDS_FRESH: Final = 10.0  # [s] for so long
_MENDS_KNOWN: Final = 3  # of them until it's known how long an answer takes; a copy always takes as long
_MEND_QUANTILE: Final = 0.75  # of them; what comes later is welcome, and heard from where it's still of use
_MEND_HEADROOM: Final = 0.007  # [s] above that: it must be there at its moment, and the delay may be 6 ms below the target
_DEEP_MEND: Final = 0.030  # [s] from which on a copy is of a frame that others were lost beside, so that something is made up anyway:
_DEEP_MEND_HEADROOM: Final = -0.005  # [s] then it may be late by a moment
_MAX_MEND: Final = 0.130  # [s] a spare that takes longer isn't waited for

_STEP: Final = 8  # packets that are all slower than the target: the path became longer, no need to wait for the quantile

_SLOT: Final = 0.5  # [s]
_SLOTS: Final = 8  # the fastest path is that of the last 4 s: a route may become longer
_MOVED: Final = 0.020  # [s] and is another one then: what was seen before counts from there


class PathEstimate:
    """What is known of the network path: its fastest transit, how much slower packets may be, and how many it loses."""

    def __init__(self) -> None:
        self.base: float | None = None  # [s] arrival minus time stamp over the fastest path of the last seconds
        self.target = _INITIAL_TARGET
        self.jitter: float | None = None
        self._slots: deque[tuple[int, float]] = deque(maxlen=_SLOTS)  # (half second, lowest transit in it)
        self._counts_from: float | None = None  # the base
        self._excess: deque[float] = deque(maxlen=_HISTORY)  # [s] above the base
        self._last: tuple[int, float] | None = None  # position and transit of the packet before
        self._steps: deque[int] = deque([1], maxlen=_STEP)  # frames between two packets
        self._review_at = 0.0
        self._forgot_at = -math.inf  # a queue
        self._loss = 0.0  # smoothed share of frames that were not there in time
        self._redundancy = 0.0  # [s] how far back a copy reaches
        self._redundancy_at = -math.inf
        self._copied_at = -math.inf
        self._rebuilds: deque[tuple[float, float]] = deque(maxlen=_REBUILDS)  # when a lost frame could be rebuilt, and its transit then
        self._mends: deque[tuple[float, float]] = deque(maxlen=_MENDS)  # when a lost frame's spare came, and how late [s]

    def restart(self, position: int, now: float) -> None:
        """The time line is new, what is known of jitter and loss stays."""
        self._slots.clear()
        self._rebuilds.clear()
        self._last = self._counts_from = None
        self.base = None
        self.arrived(position, now)

    def arrived(self, position: int, now: float) -> None:
        """A packet came at ``now``. Copies that came by another way don't belong here."""
        transit = now - position / RATE
        base = self.base = self._lowest_with(int(now // _SLOT), transit)
        self._count_from(base)
        drains = self._drains(position, transit)
        if self._last is not None and position > self._last[0]:
            self._steps.append((position - self._last[0]) // FRAME_SAMPLES)
        if not drains:
            self._excess.extend([transit - base] * max(1, min(_MOST_FRAMES, *self._steps)))  # a long packet stands for its frames
        self._last = (position, transit)
        if now >= self._review_at or len(self._excess) < _KNOWN:
            self._review_at = now + _REVIEW
            self._forget_queue(now)
            self.target = min(self._wanted(now), _MAX_TARGET)

    def received(self) -> None:
        """A frame was there when it was needed."""
        self._loss *= 0.99

    def missed(self, frames: float) -> None:
        """So many frames were not."""
        self._loss += (1 - self._loss) * min(1.0, 0.01 * frames)

    def redundant(self, seconds: float, now: float) -> None:
        """A packet carried a copy of the ``seconds`` before it."""
        self._redundancy = seconds
        self._redundancy_at = now

    def rebuilt(self, position: int, now: float) -> None:
        """A packet came from which what was lost before it, from ``position`` on, can be rebuilt."""
        self._rebuilds.append((now, now - position / RATE))

    def copied(self, now: float) -> None:
        """A packet carried copies of those before it."""
        if self._copied_at == -math.inf:
            self._mends.clear()
        self._copied_at = now

    def mended(self, position: int, now: float) -> None:
        """A frame that was lost came by another way, for the first time.

        While packets carry copies, these mend the most: what is sent again is welcome, but not waited for.
        """
        if self.base is not None and self._copied_at in (now, -math.inf):
            self._mends.append((now, now - position / RATE - self.base))

    def _count_from(self, base: float) -> None:
        """What packets took until now, they took above this base, if it's another path's: a queue that stays is no jitter."""
        rise = 0.0 if self._counts_from is None else base - self._counts_from
        known = rise > 0 or len(self._excess) >= _KNOWN  # the first packets may all have been held up
        if self._counts_from is None or abs(rise) > _MOVED:
            self._counts_from = base
            if rise and known:
                self._excess = deque((max(0.0, excess - rise) for excess in self._excess), maxlen=_HISTORY)

    def _drains(self, position: int, transit: float) -> bool:
        """Whether the packet was only held up behind the one before it. Also notes the jitter.

        What a stall held up comes in a burst, but only its first packet was missed: the player waited for it, and with it for the others.
        """
        if self._last is None:
            return False
        last, before = self._last
        jump = abs(transit - before)
        self.jitter = jump / 16 if self.jitter is None else self.jitter + (jump - self.jitter) / 16
        return position > last and before - transit > _BURST * (position - last) / RATE

    def _forget_queue(self, now: float) -> None:
        """A queue that stood there once, and is gone, says little of what comes: unlike jitter, nor like stalls that come back."""
        if len(self._excess) < _CALM + _QUEUE_LEAST or now - self._forgot_at < _QUEUES_APART:
            return
        level = max(islice(reversed(self._excess), _CALM)) + _PEAK
        if level - _PEAK > max(islice(reversed(self._excess), _CALM // 2)) + _PEAK:  # it still goes
            return
        if max(self._excess) <= level:
            return
        late = [index for index, excess in enumerate(self._excess) if excess > level]
        if len(late) < max(_QUEUE_LEAST, _QUEUE_MOST * (late[-1] - late[0] + 1) if late else 0):
            return
        self._forgot_at = now
        self._excess = deque((e for index, e in enumerate(self._excess) if not late[0] <= index <= late[-1]), maxlen=_HISTORY)

    def _lowest_with(self, slot: int, transit: float) -> float:
        """The lowest transit of the last seconds, with this one."""
        base = self.base
        while self._slots and self._slots[0][0] <= slot - _SLOTS:
            self._slots.popleft()
            base = None
        if self._slots and self._slots[-1][0] >= slot:
            last, lowest = self._slots[-1]
            self._slots[-1] = (last, min(lowest, transit))
        else:
            self._slots.append((slot, transit))
        return min(lowest for _, lowest in self._slots) if base is None else min(base, transit)

    def _wanted(self, now: float) -> float:
        ordered = sorted(self._excess)
        if now - self._copied_at > _REDUNDANCY_FRESH:
            self._copied_at = -math.inf
        wanted = _quantile(ordered, _QUANTILE) + _HEADROOM
        if len(ordered) < _KNOWN:
            wanted = max(wanted, _INITIAL_TARGET)
        wanted = max(wanted, self._peaks(wanted), min(islice(reversed(self._excess), _STEP)) + _HEADROOM)
        if self._loss > _LOSSY and now - self._redundancy_at < _REDUNDANCY_FRESH:
            wanted = max(wanted, _quantile(ordered, 0.9) + self._redundancy + _REDUNDANCY_WAIT, self._rebuilding(now))
        return max(wanted, self._mending(now)) if self._loss > _LOSSY else wanted

    def _rebuilding(self, now: float) -> float:
        """Enough for most packets that a lost one was rebuilt from; 0 where there are few."""
        transits = sorted(transit for at, transit in self._rebuilds if now - at < _REBUILDS_FRESH)
        if len(transits) < _REBUILDS_KNOWN or self.base is None:
            return 0.0
        return _quantile(transits, _QUANTILE) - self.base + _REBUILD_HEADROOM

    def _mending(self, now: float) -> float:
        """Enough for the spares of most lost frames that have one; 0 where there are few, or too late ones."""
        if self._copied_at == -math.inf and now - self._redundancy_at < _REDUNDANCY_FRESH:
            return 0.0  # forward error correction mends most of it, and sooner than what is sent again
        late = sorted(late for at, late in self._mends if now - at < _MENDS_FRESH and late <= _MAX_MEND)
        known = len(late) >= (_MENDS_KNOWN if self._copied_at == -math.inf else 1)
        if not known:
            return 0.0
        usual = _quantile(late, _MEND_QUANTILE)
        copied = self._copied_at != -math.inf
        return usual + (_DEEP_MEND_HEADROOM if copied and usual > _DEEP_MEND else _MEND_HEADROOM)

    def _peaks(self, wanted: float) -> float:
        """Enough for the second highest of the peaks that stand out above ``wanted``; 0 where there are no two."""
        if max(self._excess) <= wanted + _PEAK:
            return 0.0
        peaks: list[float] = []
        last = -_PEAK_APART - 1
        for index, excess in enumerate(self._excess):
            if excess <= wanted + _PEAK:
                continue
            if index - last > _PEAK_APART:
                peaks.append(excess)
            else:
                peaks[-1] = max(peaks[-1], excess)
            last = index
        return min(sorted(peaks)[-2] + _HEADROOM, _MAX_PEAK) if len(peaks) > 1 else 0.0


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
