"""Whether others keep the path's queue full, and what is sent beside them.

A queue of others comes back at once, or doesn't go though less is sent. Who gives way to it leaves them all and is left with the same
queue: so as much is sent as speech needs, and what gets lost is mended. It's looked for again where nothing tells of them any more::

    PathSample -> a queue, again and again; or one that stays (``found``)  -> least: what is sent at any rate
                  nearly half gets lost of packets that were slow from the first one on      -> the same: it stood there before us
                  it overflows, and what comes through of ours varies      -> they are still there
                  it overflows, and that doesn't vary for long             -> it may be ours by now: drain it, and see
"""

import math
from collections import deque
from typing import Final

from sinchphone.protocol.congestion.meters import PathSample

_SECONDS: Final = 20.0  # after what told of them last loss is taken for that of a queue, though no delay shows it
_FILLED: Final = 0.6  # of the last moments with a queue, though less is sent: others fill it, and then
_LATELY_SECONDS: Final = 4.0
_OVERFLOWS: Final = 0.05  # of what is sent gets lost,
_VARIES: Final = 0.85  # and so much of the best comes through: others have the rest
_BEST_SECONDS: Final = 6.0  # in which the best of what came through is what the link can carry

_WANTED: Final = 55_000.0  # [bit/s] are asked for: less only leaves them more, and not a shorter queue;
_LINKS_SHARE: Final = 1.4  # or so much of the link, where something told how fast that is: a part will be lost, as theirs is;
_LEAST: Final = 44_000.0  # [bit/s] but no less than this, which good speech needs in packets of 20 ms; and no more, where more than
_LEAST_REPORTED: Final = 30_000.0  # [bit/s] or, to a peer that doesn't tell of each packet,
_HOPELESS: Final = 0.4  # gets lost of it,
_HOPEFUL: Final = 0.25  # until it's less than that

_SLOW: Final = 0.25  # [s] that the fastest packet and the word of it took: a queue that no delay shows, where
_LOSES_SECONDS: Final = 1.0  # for so long more than _HOPELESS gets lost. An interruption is over by then

_LARGE_SECONDS: Final = 8.0  # after which it's known what their packets do to ours,
_FASTER: Final = 1.15  # of what we ask for is a link of which that is known at once: a queue that is full while one of them passes
_LARGE_LOSS: Final = 0.15  # drops some in a row, of which each of 20 ms is too short for a copy in the next one,
_OWN_LOSS: Final = 0.22  # unless so many are lost: then it's ours that fill the queue, by turns


class OthersWatch:
    """Of one path. All times in seconds of one clock, all rates in bit/s with headers."""

    def __init__(self) -> None:
        self._until = -math.inf  # they are believed in
        self._since = math.inf
        self._filled = 0.0  # share of the last moments with a queue
        self._lost = 0.0  # share that got lost in them
        self._best: deque[tuple[float, float]] = deque()  # when, and what came through, of late
        self._fastest = 0.0  # that the link ever looked
        self._shared_link = 0.0  # how fast it surely is, as told by a queue in which others stood too
        self._hopeless = False
        self._is_fed_back = False  # the peer tells of each packet
        self._losing_at = math.inf  # since when much gets lost without a queue
        self._in_bursts = False

    @property
    def best(self) -> float:
        """The most that came through lately; 0 where nothing is known."""
        return max((delivered for _, delivered in self._best), default=0.0)

    @property
    def fastest(self) -> float:
        """The fastest that the link ever looked; 0 where it never told."""
        return self._fastest

    def are_there(self, moment: float) -> bool:
        """Whether they fill the queue, or did some seconds before."""
        return moment < self._until

    def lose_in_bursts(self, moment: float) -> bool:
        """Whether they make us lose some packets in a row, which longer ones outlast."""
        return self.are_there(moment) and self._in_bursts

    def found(self, now: float) -> None:
        """A queue stays that isn't ours."""
        self._until = now + _SECONDS

    def forget(self, before: float) -> None:
        """A queue is gone: what came through ``before`` it says nothing of what the link carries since, and whether a later one is ours."""
        while self._best and self._best[0][0] < before:
            self._best.popleft()

    def look(self, sample: PathSample, now: float, since: float, *, is_congested: bool) -> bool:
        """A look at the path, ``since`` seconds after the one before; whether they were there until now and may have gone."""
        self._shared_link = max(self._shared_link, sample.shared_link)
        self._fastest = max(self._fastest, sample.link or 0.0, self._shared_link)
        lately = min(1.0, since / _LATELY_SECONDS)
        self._filled += lately * (is_congested - self._filled)
        self._lost += lately * (sample.loss - self._lost)
        while self._best and self._best[0][0] <= now - _BEST_SECONDS:
            self._best.popleft()
        if sample.delivered is not None:
            self._best.append((now, sample.delivered))
        before = self.are_there(now - since)
        if self._filled > _FILLED or (before and self._varies(sample)):
            self.found(now)
        self._is_fed_back = sample.round_trip > 0
        if self._stood_before(sample, now, is_congested=is_congested):
            self._lost = max(self._lost, sample.loss)
            self.found(now)
        there = self.are_there(now)
        self._since = min(self._since, now) if there else math.inf
        self._hopeless = there and self._lost > (_HOPEFUL if self._hopeless else _HOPELESS)
        known = self._shared_link > _FASTER * _WANTED or now - self._since > _LARGE_SECONDS
        self._in_bursts = there and known and self._lost < (_OWN_LOSS if self._in_bursts else _LARGE_LOSS)
        return before and not there and self._lost > _OVERFLOWS

    def _stood_before(self, sample: PathSample, now: float, *, is_congested: bool) -> bool:
        """Whether packets fall out of a queue that none of ours ever missed, so that no delay shows it: it stood there before the first."""
        is_losing = sample.loss > _HOPELESS and sample.round_trip > _SLOW and not is_congested
        if not is_losing or sample.is_full is False:
            self._losing_at = math.inf
        elif sample.is_full:
            self._losing_at = min(self._losing_at, now)
        return now - self._losing_at >= _LOSES_SECONDS

    def _varies(self, sample: PathSample) -> bool:
        return sample.loss > _OVERFLOWS and sample.delivered is not None and sample.delivered < _VARIES * self.best

    @property
    def least(self) -> float:
        """What is sent beside them at any rate."""
        wanted = min(_WANTED, _LINKS_SHARE * (self._fastest or math.inf))
        if self._is_fed_back:
            return _LEAST if self._hopeless else max(_LEAST, wanted)
        return min(_LEAST_REPORTED, wanted) if self._hopeless else wanted
