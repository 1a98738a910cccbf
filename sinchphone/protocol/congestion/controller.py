"""How much may be sent over a path: what it carries without a queue of ours standing in it.

Chosen from the field: the delay that packets stand in a queue is the main sign (NADA, RFC 8698; SCReAM, RFC 8298), its growth makes it
seen early (GCC, draft-ietf-rmcat-gcc-02), and while it stands the rate that arrives is what the path carries. Unlike GCC's, no loss
alone lowers the rate: without a queue it's the line's, and the answer to it is redundancy::

    PathSample -> queue?  yes: what arrives is the capacity; less than that until the queue is gone          \\
                          it stays though we send less: it's not ours, and the route of others from now on     > budget
                  no:     up to the capacity, then above it for a moment, and back where that makes a queue   /
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from sinchphone.protocol.congestion.meters import PathSample
from sinchphone.protocol.congestion.others import OthersWatch

FLOOR: Final = 18_000.0  # [bit/s] speech needs as much, headers included: less is no call
DRAINING_FLOOR: Final = 15_000.0  # [bit/s] while a queue is: in packets of 60 ms
_FIRST: Final = 44_000.0  # [bit/s] until something is told of the path: a queue of a second fills unseen
UNTOLD: Final = 58_000.0  # [bit/s] where nobody tells anything, or that wasn't tried: what libwebrtc sends at any time
_BEST_SOUND: Final = 80_000.0  # [bit/s] of one stream, without copies,
_BEST_COPIED: Final = 115_000.0  # [bit/s] with one: where the link is fast enough nothing else is asked

_QUEUE: Final = 0.060  # [s] that is surely one
_GROWING_QUEUE: Final = 0.025  # [s] that is one where it grows,
_GROWTH: Final = 0.05  # [s each second] by so much
_LOSSY_QUEUE: Final = 0.030  # [s] that is one where packets get lost,
_LOSS: Final = 0.05  # so many
_EMPTY: Final = 0.020  # [s] that is none any more
_DOUBTFUL: Final = 0.150  # [s] that may be one, and to be careful with where it grows,
_SURGE: Final = 0.100  # [s each second] by so much; or a shorter one,
_SHORT: Final = 0.9  # where no more arrives of what was sent and isn't lost

_SHARE: Final = 0.92  # of the capacity: what is left drains what bursts leave
_DRAIN: Final = 0.4  # [s] for a queue to go, if that takes no more than
_MOST_DRAIN: Final = 0.5  # of the capacity
_DEEP: Final = 0.5  # [s] of queue that what is sent into it comes too late to be heard:
_SHALLOW: Final = 0.3  # [s] until it's so short nothing is sent at all,
_LONGEST_HOLD: Final = 0.6  # [s] for no longer
_CUT: Final = 0.5  # of the rate, each second that a queue doesn't get shorter
_PATIENCE, _LOOKS = 2.0, 3  # [s] of sending less, and looks at it, then a queue that stays isn't ours
_MISTAKEN: Final = 0.8  # of what it was taken for is a capacity that nothing drained yet
_GONE: Final = 0.15  # of what should have drained by then
_STAYS: Final = 1.2  # of the time in which a queue of ours would be gone, at what the link carried of late,
_STAYS_SECONDS: Final = 0.1  # and a moment more, and it isn't
_OFTEN: Final = 0.5  # [s] between two looks at the path: reports are rarer, and tell of what was
_STILL: Final = 0.5
_AGAIN_SECONDS: Final = 3.0  # after the last one a queue that comes back
_AGAIN_SHARE: Final = 0.85  # while no more than so much of what was carried is sent
_AGAIN_CREDIT: Final = 0.35  # [s] is so much on the way to being believed: it's hardly ours,
_THEIRS: Final = 0.3  # and surely not where packets of others have so much of the link
_ALONE_SECONDS: Final = 10.0  # after the last queue a new one is found at what the link carries
_RETURN: Final = 0.6  # of what came through at best, to drain what others may have left
_LOSS_CUT: Final = 0.5  # of the loss, as GCC does

_RISE: Final = 0.25  # each second, up to the capacity
_BEYOND: Final = 1.5  # of what was carried: no further is anything believed,
_BEYOND_UNKNOWN: Final = 1.2  # where nothing tells how fast the link is,
_BEYOND_UNUSED: Final = 1.3  # or where less was sent than might have been,
_HARDLY_USED: Final = 0.7  # of it, which a pause isn't
_UNTRIED_SECONDS: Final = 2.0  # and nothing for so long that it's slow
_TRIED_SECONDS: Final = 10.0
_PROBE: Final = 1.12  # of the capacity is a little more than it,
_PROBES: Final = (_PROBE, _PROBE, 1.35)  # in a row, each of what the one before carried, that show that the capacity isn't what it was,
_PROBE_SECONDS: Final = 0.8  # each
_BUSY: Final = 0.8  # of what was carried: no link is so slow
_WAIT, _MOST_WAIT, _WAIT_FACTOR = 2.5, 5.0, 1.6  # [s] before the next probe, longer each time that it fails
_MORE: Final = 1.2  # of what was sent before is enough more to tell:
_SATURATED: Final = 0.3  # of the rise, if no more than that arrives, and more is lost than before, the path is full
_FULL_SECONDS: Final = 1.0  # of that, until it's believed
_LOSSLESS: Final = 0.02
_USED: Final = 0.85  # of the budget, else a rise says nothing
_USED_BY_PICTURES: Final = 0.75  # the same for pictures, which leave room for peaks of the sound and for what is sent again
_LEAST_PICTURES: Final = 50_000.0  # [bit/s] with sound


@dataclass(slots=True)
class _Episode:
    """A queue that is being drained."""

    begun_at: float
    queue: float
    capacity: float
    drained: float = 0.0  # [s] of queue that should be gone by now,
    expected: float = 0.0  # [s] or would be, were all of the link ours
    longest: float = 0.0  # [s]
    is_back: bool = False  # the one before had just gone, and less was sent since than was carried before
    looks: int = 0  # at the path since
    cut: float = 1.0  # where it's slow to go: others fill it too


class CongestionController:
    """Of one path, whatever streams share it. All times in seconds of one clock, all rates in bit/s with headers."""

    def __init__(self) -> None:
        self.link: float | None = None  # how fast it looked last [bit/s]
        self.has_pictures = False  # they make use of whatever there is, and grow in steps: it's found out sooner what that is
        self._budget = _FIRST
        self._proven = 0.0  # so much was carried when a queue had gone
        self._capacity: float | None = None  # where a queue began
        self._carried: deque[tuple[float, PathSample]] = deque()  # when, and what was sent without a queue
        self._full_at: float | None = None  # since when the path is full without a delay
        self._episode: _Episode | None = None
        self._congested_at = self._drained_at = -math.inf
        self._others = OthersWatch()
        self._probe_at = 0.0
        self._probe_until: float | None = None
        self._probes = 0  # in a row that were carried
        self._wait = _WAIT
        self._judged_at: float | None = None
        self._floor = FLOOR
        self._held_until = -math.inf

    def is_held(self, moment: float) -> bool:
        """Whether the queue is so long that what is sent into it comes too late to be heard: better nothing for a moment."""
        return moment < self._held_until

    @property
    def budget(self) -> float:
        """What may be sent in all."""
        return max(self._budget, DRAINING_FLOOR if self._episode is not None and self._floor == FLOOR else self._floor)

    @property
    def steady(self) -> float:
        """What may be sent once the queue of now is gone."""
        return self.budget if self._capacity is None else max(self._budget, _SHARE * self._capacity, self._floor)

    def congested_since(self, moment: float) -> bool:
        """Whether a queue of ours stood there after ``moment``, or still does: what got lost then fell out of it."""
        return self._congested_at >= moment or (self._episode is not None and self._congested_at >= self._episode.begun_at)

    def is_beside_others(self, moment: float) -> bool:
        """Whether a queue of others stands there, or did some seconds before."""
        return self._others.are_there(moment)

    def loses_in_bursts(self, moment: float) -> bool:
        """Whether others make us lose some packets in a row."""
        return self._others.lose_in_bursts(moment)

    def judge(self, sample: PathSample, now: float) -> bool:
        """Take a look at the path; whether its queue turned out not to be ours (the delay of now is its least from now on)."""
        since = 0.0 if self._judged_at is None else min(1.0, now - self._judged_at)
        self._judged_at = now
        self.link = sample.link
        fills = self._is_congested(sample)
        is_congested = fills or (self._episode is not None and sample.queue > _EMPTY)
        goes = self._episode is not None and sample.growth <= -_GROWTH and not self._others.are_there(now)
        self._note_others(sample, now, since, is_congested=fills and not goes)
        if is_congested:
            return self._drain(sample, now, since)
        if self._episode is not None:
            self._recover(now)
        if self._others.are_there(now) and sample.loss > _LOSS:
            self._note_congested(now)
            self._budget *= 1 - _LOSS_CUT * sample.loss * since
            return False
        self._rise(sample, now, since)
        return False

    def _is_congested(self, sample: PathSample) -> bool:
        queue = sample.queue
        growing = queue > _GROWING_QUEUE and sample.growth > _GROWTH
        return queue > _QUEUE or growing or (queue > _LOSSY_QUEUE and sample.loss > _LOSS)

    def _note_others(self, sample: PathSample, now: float, since: float, *, is_congested: bool) -> None:
        """A queue that comes back at once, or never goes, isn't ours: giving way to who fills it leaves us with nothing."""
        if self._others.look(sample, now, since, is_congested=is_congested):
            self._capacity = self._others.best
            self._proven, self._budget = _SHARE * self._capacity, _RETURN * self._capacity
        self._set_floor(now)

    def _set_floor(self, now: float) -> None:
        self._floor = max(FLOOR, self._others.least) if self._others.are_there(now) else FLOOR

    def _note_congested(self, now: float) -> None:
        """Of what is lost from now on, our queue is the cause; unless we send as little as there is use in."""
        if not self._others.are_there(now) or self._budget > self._floor:
            self._congested_at = now

    def _drain(self, sample: PathSample, now: float, since: float) -> bool:
        """Send less than what arrives, the less the longer the queue is; whether that doesn't help."""
        capacity, episode = self._measured(sample, now), self._episode
        if episode is None:
            self._note_failed_probe()
            is_back = now - self._drained_at < _AGAIN_SECONDS and sample.sent < self._proven
            credit = _AGAIN_CREDIT if is_back and sample.sent < _AGAIN_SHARE * self._proven else 0.0
            episode = self._episode = _Episode(now, sample.queue, capacity, expected=credit, is_back=is_back)
        else:
            episode.drained += since * max(0.0, 1 - sample.sent / max(episode.capacity, 1.0))
            episode.expected += since * max(0.0, 1 - sample.sent / max(self._others.best, 1.0))
            seen = sample.delay if sample.is_coarse else sample.queue
            fills = seen > _QUEUE and sample.growth > -_GROWTH  # a queue that drains well may be empty for moments
            if sample.is_coarse and capacity < _MISTAKEN * episode.capacity and fills:
                episode.begun_at, episode.queue = now, sample.queue  # more was sent until now, not less
                episode.drained, episode.looks = 0.0, 0
            if fills or capacity > episode.capacity:
                episode.capacity = capacity
        episode.looks += 1
        if sample.queue > _QUEUE and sample.growth > -2 * _GROWTH:
            episode.cut *= 1 - _CUT * since
        self._note_congested(now)
        self._capacity = max(FLOOR, episode.capacity)
        if episode.is_back and sample.queue > _QUEUE and sample.others > _THEIRS:
            self._others.found(now)
            return self._give_way(sample, now)
        if self._is_overdue(sample, episode):
            if (
                since < _OFTEN
                and not sample.is_coarse
                and sample.queue > max(_QUEUE, _STILL * episode.longest)
                and sample.growth > -_GROWTH
            ):
                self._others.found(now)
                return self._give_way(sample, now)
            if sample.queue < _QUEUE and abs(sample.growth) < _GROWTH and not self._others.are_there(now):
                self._recover(now)  # packets take longer: it's a slower link
                return True
        long = sample.queue > episode.queue - _GONE * min(episode.drained, episode.queue)
        goes = sample.growth <= -_GROWTH and not self._others.are_there(now)  # it grew before we sent less: ours, however long it still is
        if now - episode.begun_at > _PATIENCE and episode.looks >= _LOOKS and long and not goes:
            return self._give_way(sample, now)
        depth = max(sample.queue, sample.delay, sample.ahead)
        if depth > _DEEP and not self._others.are_there(now):
            self._held_until = now + min(depth - _SHALLOW, _LONGEST_HOLD)
        self._budget = episode.cut * self._capacity * (_SHARE - min(_MOST_DRAIN, depth / _DRAIN * _MOST_DRAIN))
        return False

    @staticmethod
    def _is_overdue(sample: PathSample, episode: _Episode) -> bool:
        """Whether a queue of ours would be gone by now, at what the link carried of late."""
        episode.longest = max(episode.longest, sample.queue)
        return episode.expected > _STAYS * episode.longest + _STAYS_SECONDS

    def _measured(self, sample: PathSample, now: float) -> float:
        """What the path carries: what arrives; but at first it may be a loud moment, that the whole link was just too slow for."""
        arrives = sample.delivered if sample.delivered is not None else sample.sent
        alone = sample.link is not None and arrives >= _BUSY * sample.link and now - self._drained_at > _ALONE_SECONDS
        return max(arrives, sample.link) if alone and sample.link is not None else arrives

    def _give_way(self, sample: PathSample, now: float) -> bool:
        """Sending less doesn't shorten the queue."""
        assert self._capacity is not None, "set by the caller"
        self._budget = self._capacity
        if sample.loss > _LOSS:
            self._others.found(now)
        if not self._others.are_there(now):
            self._capacity = None
        self._set_floor(now)
        self._episode = None
        return True

    def _recover(self, now: float) -> None:
        """The queue is gone."""
        assert self._capacity is not None, "set where the queue was found"
        if self._episode is not None and not self._others.are_there(now):
            self._others.forget(self._episode.begun_at)
        self._episode, self._drained_at = None, now
        self._budget = self._proven = _SHARE * self._capacity
        self._probe_at = now + self._wait

    def _note_failed_probe(self) -> None:
        failed = self._probe_until is not None or self._probes
        self._wait = min(_MOST_WAIT, self._wait * _WAIT_FACTOR) if failed else _WAIT
        self._probe_until, self._probes = None, 0

    def _rise(self, sample: PathSample, now: float, since: float) -> None:
        """No queue: what was sent is carried."""
        while self._carried and now - self._carried[0][0] >= _TRIED_SECONDS:
            self._carried.popleft()
        if self._is_full(sample) and sample.delivered is not None:
            self._note_full(sample.delivered, now)
            return
        self._full_at = None
        self._carried.append((now, sample))
        if sample.delay > _EMPTY:
            self._be_careful(sample, since)
            return
        if self._capacity is None:
            self._budget = max(self._proven, self._limit(sample, now))
        elif self._probe_until is not None:
            self._judge_probe(sample, now)
        elif self._budget < _SHARE * self._capacity:
            self._budget = min(_SHARE * self._capacity, self._budget * (1 + _RISE * since))
        elif now >= self._probe_at and sample.sent > _USED * self._budget:
            if _is_faster(sample.link, self._capacity):
                self._probe(now)
            elif sample.link is not None and sample.link > self._capacity and sample.loss < _LOSSLESS:
                self._capacity, self._probe_at = sample.link, now + self._wait

    def _be_careful(self, sample: PathSample, since: float) -> None:
        """One report alone tells of a queue, and it takes another to believe it: until then no more than what comes through, where it's a
        long one, or less comes through than was sent, and so much was never carried lately: else something else holds packets up."""
        if sample.delivered is None:
            return
        surges = sample.delay > _DOUBTFUL and sample.growth > _SURGE
        short = sample.delay > _QUEUE and sample.delivered < _SHORT * (1 - sample.loss) * sample.sent
        carried = max((each.sent for _, each in self._carried if each.delay <= _EMPTY), default=0.0)
        if surges or (short and sample.sent > _PROBE * carried and (sample.growth > _GROWTH or not since)):
            self._budget = min(self._budget, max(FLOOR, _SHARE * sample.delivered))

    def _limit(self, sample: PathSample, now: float) -> float:
        """So far is a rise believed: in steps, and not beyond the link."""
        carried = max([each.sent for _, each in self._carried])
        if sample.link is None:
            if self.has_pictures and carried > _LEAST_PICTURES and self._others.fastest in (0.0, math.inf):  # it never looked slow
                return max(self._budget if sample.sent > _USED_BY_PICTURES * self._budget else 0.0, _BEYOND * carried)
            if sample.sent > _USED * self._budget:
                return max(self._budget, _BEYOND_UNKNOWN * carried)
            untried = _BEST_SOUND if now - self._carried[0][0] >= _UNTRIED_SECONDS else UNTOLD
            if carried > _HARDLY_USED * self._budget:
                untried = max(_FIRST, min(untried, _BEYOND_UNUSED * carried))
            return max(untried, min(self._budget, carried))  # who has little to say for a while loses nothing of what was carried
        usual = _BEST_COPIED if math.isinf(self._congested_at) else _BEST_SOUND
        bounded = min(max(_BEYOND * carried, usual), _SHARE * sample.link)
        return bounded if sample.link > _BUSY * carried else carried  # a slower link was only busy when it was measured

    def _is_full(self, sample: PathSample) -> bool:
        """Whether no more of it arrives than of less that was sent before, and more gets lost."""
        delivered = sample.delivered
        if delivered is None or sample.loss < _LOSS:
            return False
        return any(_falls_out(delivered, sample, each) for _, each in self._carried)

    def _note_full(self, delivered: float, now: float) -> None:
        """More is sent and no more arrives: once is chance."""
        self._full_at = now if self._full_at is None else self._full_at
        if now - self._full_at >= _FULL_SECONDS:
            self._full_at, self._capacity, self._congested_at = None, max(FLOOR, delivered), now
            self._carried.clear()
            self._note_failed_probe()
            self._recover(now)

    def _probe(self, now: float) -> None:
        """A little more than the path carried, for a moment."""
        assert self._capacity is not None, "asked by the caller"
        self._budget = _PROBES[self._probes] * self._capacity
        self._probe_until = now + _PROBE_SECONDS

    def _judge_probe(self, sample: PathSample, now: float) -> None:
        if self._probe_until is None or now < self._probe_until:
            return
        self._probe_until = None
        assert self._capacity is not None, "there is none without a probe"
        if sample.sent <= self._capacity:  # nothing was tried: a pause
            self._budget = _SHARE * self._capacity
            return
        self._probes += 1
        self._capacity = self._proven = sample.sent
        if self._probes >= len(_PROBES):
            self._capacity, self._probes, self._wait = None, 0, _WAIT
        elif _is_faster(sample.link, self._capacity):
            self._probe(now)
        else:
            self._end_probes(sample, now)

    def _end_probes(self, sample: PathSample, now: float) -> None:
        """The link is known to carry no more than it does."""
        assert self._capacity is not None and sample.link is not None, "asked by the caller"
        self._capacity = min(self._capacity, sample.link)
        self._budget = _SHARE * self._capacity
        self._probes, self._probe_at = 0, now + self._wait


def _is_faster(link: float | None, capacity: float) -> bool:
    """Whether the link may carry more than that: a slower one than what was carried was only busy when it was measured."""
    return link is None or link > _PROBE * capacity or link < _BUSY * capacity


def _falls_out(delivered: float, sample: PathSample, before: PathSample) -> bool:
    """Whether nearly all of what was added since falls out of a queue that is too short to be seen."""
    if before.delivered is None or sample.sent < _MORE * before.sent or sample.loss < before.loss + _LOSS:
        return False
    expected = before.delivered * (sample.sent / max(before.sent, 1.0) - 1)
    return delivered - before.delivered < _SATURATED * expected
