"""How to send so that it's heard well: bit rate and redundancy, chosen from what the peer reports of the line.

::

    reports of loss            --->
    requests for lost packets  ---> RedundancyController ---> RedundancySetting: bit rate, in-band FEC, copies, frames in a packet
    what the path carries      --->

What each setting is worth at 48 kbit/s (wideband PESQ without redundancy, with FEC, with one copy): at 5 % loss 2.8, 4.1, 4.4; at 10 %
2.1, 3.6, 4.0. On a clean line FEC costs 0.1 and copies cost bits only, so nothing is spent where nothing is lost.

What a path carries is told by its delay (``protocol.congestion``). Where all that is wanted doesn't fit, copies go first, then bits of
the codec's, then headers: two or three frames in a packet. Some lines are narrow and have no queue that would show it, so that copies make
the loss worse: a step up is on trial, and taken back where the loss grows by so much that the copies can't mend it. If the loss then
stays, it wasn't our doing, and they return.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from sinchphone.quick_dataclass import quick_dataclass

BITRATE: Final = 48_000  # [bit/s] unless the path is too narrow for it
_COPIED_BITRATES: Final = (BITRATE, BITRATE, 40_000, 32_000)  # [bit/s] with no copy, one, …: all of them together stay below 150 kbit/s
HEADER_BYTES: Final = 50  # IPv4, UDP, RTP, and the tag of SRTP
MAX_COPIES: Final = 3  # each makes the listener wait 20 ms more

_RISE, _FALL = 0.5, 0.1  # loss is believed quickly and forgotten slowly,
_USUAL: Final = 0.2  # but several copies are for what usually gets lost
_INTERRUPTED: Final = 0.4  # of the packets of one report, and few before and after: no copy reaches over that
_FEC_ON, _FEC_OFF = 0.01, 0.007  # share of packets lost
_FEC_PERCENT: Final = range(5, 26)  # of loss that the encoder is told; it spends half its bits on copies at the upper end
_FORESEEN_PERCENT: Final = 15  # beside others (with 25: 80 kbit/s beside TCP PESQ 2.98 to 2.72, 40: 2.45 to 2.33)
_COPY_ON: Final = (0.03, 0.17, 0.30)  # so much loss for the first copy, the second, the third
_COPY_OFF: Final = (0.015, 0.08, 0.15)

_EARLY: Final = 3, 1.0  # so many packets asked for within so many seconds: the first copy doesn't wait for the next report,
_EARLY_MORE: Final = 5, 2.0  # nor, so many, does another one
_UNMENDED: Final = 0.025  # share of packets that are asked for although copies followed them: lost in bursts, another one helps
_UNMENDED_PACKETS: Final = 4  # and no fewer since the last step
_UNMENDED_MEMORY: Final = 0.2
_PATIENCE: Final = 30.0  # [s] before one of several copies is given up, doubled each time it's missed
_MAX_PATIENCE: Final = 120.0

_BEFORE, _TRIAL = 3, 4  # reports
_WORSE_FACTOR, _WORSE_SHARE = 2.0, 0.10  # the loss after a step up that condemns it: so much on the whole,
_WORSE_EACH: Final = 0.05  # and in each report; a burst is over soon
_BETTER: Final = 0.75  # of that loss must be left after the step back, else it was somebody else's
_HOLD: Final = 15.0  # [s] without copies after a step that was taken back, doubled each time
_MAX_HOLD: Final = 120.0

_FRAMES_PER_SECOND: Final = 50
_MAX_FRAMES: Final = 3  # in a packet: 60 ms, as long as Opus' frames for speech get (RFC 6716 2.1.4)
_LEAST_COPIED: Final = 22_000  # [bit/s] that a copy isn't worth: below, in-band FEC and one good encoding sound better
_LEAST: Final = (20_000, 16_000, 8_000)  # [bit/s] with one frame in a packet, two, three; below, headers are saved first
_ROOMY: Final = 1.3  # of it must fit for shorter packets,
_ROOMY_SECONDS: Final = 5.0  # for so long: a queue that is being drained asks for few bits for a moment;
_AMPLE: Final = 1.2  # or at once, where the queue is others'
_IN_BURSTS: Final = 2  # frames in a packet: the copy in the next one is of both (80 kbit/s beside TCP: PESQ 1.8 to 2.5, 64: 1.7 to 2.0)
_RED_BYTES: Final = 5  # of headers for the first copy, 4 for each other (RFC 2198 3)
_STEP: Final = 1_000  # [bit/s] between two bit rates


@quick_dataclass(frozen=True, slots=True)
class RedundancySetting:
    """How to send: Opus bit rate [bit/s], packets before it that each one repeats, the loss for in-band FEC [%], 0 for none, frames of
    20 ms in a packet, and whether nothing is sent while nobody speaks (DTX)."""

    bitrate: int
    copies: int = 0
    fec_percent: int = 0
    frames: int = 1
    dtx: bool = False


@dataclass(slots=True)
class _Trial:
    """A step up that is watched: the loss before it, and since."""

    before: float | None  # where there was no report before, the first one since tells
    since: list[float] = field(default_factory=list)

    @property
    def condemned(self) -> bool:
        """Whether the loss is so much worse since."""
        before, recent = self.before or 0.0, self.since[-_TRIAL:]
        worse = fmean(recent) > _WORSE_FACTOR * before + _WORSE_SHARE and min(recent) > before + _WORSE_EACH
        return len(recent) == _TRIAL and worse


@dataclass(slots=True)
class _Retreat:
    """A step back that is watched: the loss that made us take it, and since."""

    condemned: float
    since: list[float] = field(default_factory=list)

    @property
    def helped(self) -> bool:
        """Whether much of the loss was our doing."""
        return fmean(self.since) <= _BETTER * self.condemned


class RedundancyController:
    """One sender's. Shares are of 1, times in seconds of one clock.

    ``fec``, ``red``, ``max_bitrate`` and ``max_frames`` (in a packet): what the peer takes; ``dtx``: it wants no silence. ``header_bytes``:
    of each packet.
    """

    def __init__(
        self,
        *,
        fec: bool,
        red: bool,
        dtx: bool = False,
        max_bitrate: int | None = None,
        max_frames: int = 1,
        header_bytes: int = HEADER_BYTES,
    ) -> None:
        self._fec = fec
        self._dtx = dtx
        self._red = red
        self._max_bitrate = max_bitrate or BITRATE
        self._max_frames = min(max_frames, _MAX_FRAMES)
        self._header_bytes = header_bytes
        self.relay_bytes = 0  # more of each packet, on the way that it goes now
        self._budget = math.inf
        self._frames = 1
        self._short_at: float | None = None  # since when shorter packets would do
        self._copies = 0  # that are wanted
        self._protects = False  # by FEC
        self._foreseen = False  # that packets will get lost,
        self._least_frames = 1  # in bursts that packets of fewer don't outlast
        self._loss = 0.0
        self._usual = 0.0
        self._interrupted = False  # so much was lost in the last report alone
        self._reports = 0
        self._recent: deque[float] = deque(maxlen=_BEFORE)
        self._reported_at: float | None = None
        self._trial: _Trial | None = None
        self._retreat: _Retreat | None = None
        self._held_until = 0.0
        self._hold = _HOLD
        self._asked: deque[float] = deque(maxlen=_EARLY_MORE[0])  # when, since the last step
        self._requests = 0  # since the last report
        self._requested = 0  # since the last step
        self._unmended = 0.0
        self._stepped_at = 0.0
        self._gave_up = False  # a copy, at the last step
        self._patience = _PATIENCE

    @property
    def setting(self) -> RedundancySetting:
        """How to send now."""
        copies = next((count for count in range(self._copies, 0, -1) if self._bitrate(count) >= self._least_copied), 0)
        percent = min(_FEC_PERCENT[-1], max(_FEC_PERCENT[0], round(120 * self._loss))) if self._protects and not copies else 0
        percent = _FORESEEN_PERCENT if self._foreseen and self._fec and not copies else percent
        bitrate = max(_LEAST[-1], self._bitrate(copies, 1 if copies else self._frames))
        return RedundancySetting(bitrate, copies, percent, 1 if copies else self._frames, self._dtx)

    @property
    def wanted(self) -> float:
        """What there is use for [bit/s], all headers included, on a path that carries anything."""
        headers = self._headers(self._copies) * 8 * _FRAMES_PER_SECOND
        return headers + (1 + self._copies) * min(self._max_bitrate, _COPIED_BITRATES[self._copies])

    @property
    def is_short(self) -> bool:
        """Whether copies are wanted that don't fit."""
        return self.setting.copies < self._copies

    @property
    def loss(self) -> float:
        """The share of packets that get lost, smoothed."""
        return self._loss

    def requested(self, packets: int, now: float) -> None:
        """The peer asked for so many packets, for the first time."""
        self._requests += packets
        self._requested += packets
        self._asked.extend([now] * packets)
        count, seconds = _EARLY_MORE if self._copies else _EARLY
        if len(self._asked) >= count and now - self._asked[-count] < seconds:
            self._loss = max(self._loss, _COPY_ON[0])
            self._unmended = max(self._unmended, count / (_FRAMES_PER_SECOND * seconds))
            self._choose(now)

    def reported(self, lost: float, now: float) -> None:
        """The peer reports the share of packets lost since its last report, by the line and not out of a queue of ours.

        Nothing follows from one report of a line that was interrupted for a moment, as in a hand-over: what comes after tells.
        """
        self._interrupted = not self._interrupted and lost > _INTERRUPTED
        if self._interrupted:
            return
        self._learn(lost, now)
        self._judge(lost, now)
        self._choose(now)

    def expect(self, *, lossy: bool, in_bursts: bool) -> None:
        """Whether packets will get lost, whatever was reported until now, and some in a row: others fill the path's queue."""
        self._foreseen = lossy
        self._least_frames = min(_IN_BURSTS if in_bursts else 1, self._max_frames)

    def limit(self, budget: float, steady: float, now: float) -> None:
        """All that is sent is to be no more than ``budget`` [bit/s], headers included; for some time probably ``steady``."""
        self._budget = budget
        fitting = next((count for count in range(1, self._max_frames) if self._fits(count, steady, self._least(count))), self._max_frames)
        least = self._least_frames
        fitting = max(fitting, least)
        if fitting >= self._frames:
            self._frames, self._short_at = fitting, None
        elif self._foreseen and self._fits(least, steady, round(_AMPLE * self._least(least))):
            self._frames, self._short_at = least, None
        elif self._short_at is None and self._fits(self._frames - 1, steady, round(_ROOMY * self._least(self._frames - 1))):
            self._short_at = now
        elif self._short_at is not None and now - self._short_at >= _ROOMY_SECONDS:
            self._frames, self._short_at = self._frames - 1, None

    def _fits(self, frames: int, budget: float, bitrate: int) -> bool:
        """Whether so many frames in a packet leave so much for the codec."""
        return budget - self._headers(0) * 8 * _FRAMES_PER_SECOND / frames >= bitrate

    def _bitrate(self, copies: int, frames: int = 1) -> int:
        """The codec's share of the budget, as far as it can make use of it."""
        most = min(self._max_bitrate, _COPIED_BITRATES[copies])
        if math.isinf(self._budget):
            return most
        fits = (self._budget - self._headers(copies) * 8 * _FRAMES_PER_SECOND / frames) / (1 + copies)
        return min(most, max(0, int(fits // _STEP) * _STEP))

    def _headers(self, copies: int) -> int:
        return self._header_bytes + self.relay_bytes + (_RED_BYTES + 4 * (copies - 1) if copies else 0)

    def _least(self, frames: int) -> int:
        return min(_LEAST[frames - 1], self._max_bitrate)

    @property
    def _least_copied(self) -> int:
        return min(_LEAST_COPIED, self._max_bitrate)

    def _learn(self, lost: float, now: float) -> None:
        self._reports += 1
        self._loss += (max(_RISE, 1 / self._reports) if lost > self._loss else _FALL) * (lost - self._loss)
        self._usual += max(_USUAL, 1 / self._reports) * (lost - self._usual)
        self._recent.append(lost)
        if self._reported_at is not None and now > self._reported_at and self._copies:
            share = min(1.0, self._requests / (_FRAMES_PER_SECOND * (now - self._reported_at)))
            self._unmended += _UNMENDED_MEMORY * (share - self._unmended)
        self._requests = 0
        self._reported_at = now

    def _judge(self, lost: float, now: float) -> None:
        """What became of the last step."""
        if self._trial is not None:
            if self._trial.before is None:
                self._trial.before = lost
            self._trial.since.append(lost)
            if self._trial.condemned:
                self._step_back(now)
            elif len(self._trial.since) > 2 * _TRIAL:
                self._trial = None
        elif self._retreat is not None:
            self._retreat.since.append(lost)
            if len(self._retreat.since) >= _TRIAL:
                if not self._retreat.helped:
                    self._held_until = now  # the line is just bad
                self._retreat = None

    def _step_back(self, now: float) -> None:
        """Copies make it worse, or seem to."""
        self._retreat = _Retreat(fmean(self._trial.since) if self._trial is not None and self._trial.since else self._loss)
        self._trial = None
        self._copies = 0
        self._held_until = now + self._hold
        self._hold = min(_MAX_HOLD, 2 * self._hold)

    def _choose(self, now: float) -> None:
        if self._red:
            wanted = self._wanted_copies(now) if now >= self._held_until else 0
            if wanted > self._copies:
                self._trial = _Trial(self._loss_before())
            if wanted != self._copies:
                self._note_step(wanted < self._copies, now)
            self._copies = wanted
        self._protects = self._fec and self._loss > (_FEC_OFF if self._protects else _FEC_ON)

    def _loss_before(self) -> float | None:
        """Before the first of the steps that are on trial."""
        if self._trial is not None:
            return self._trial.before
        return max(fmean(self._recent), self._usual) if self._recent else None

    def _note_step(self, down: bool, now: float) -> None:
        if self._gave_up and not down and now - self._stepped_at < self._patience:
            self._patience = min(_MAX_PATIENCE, 2 * self._patience)
        self._gave_up = down
        self._stepped_at = now
        self._unmended, self._requested = 0.0, 0
        self._asked.clear()

    def _wanted_copies(self, now: float) -> int:
        """One more at a time where those that there are don't mend enough, or as many as the loss asks for; fewer as it goes."""
        copies = self._copies
        loss = self._loss if copies <= 1 else self._usual
        if copies and loss < _COPY_OFF[copies - 1] and (copies == 1 or now - self._stepped_at > self._patience):
            return copies - 1
        if 0 < copies < MAX_COPIES and self._unmended > _UNMENDED and self._requested >= _UNMENDED_PACKETS:
            return copies + 1
        first, *others = _COPY_ON
        return max(copies, (self._loss >= first) + sum(self._usual >= threshold for threshold in others))
