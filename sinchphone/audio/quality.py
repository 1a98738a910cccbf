"""How good a call is: once a second counters go in, a report and the warnings that begin or end come out. Pure.

Names and thresholds of the warnings are the Sinch SDK's (call quality warning events); ``SilentInboundAudio`` and
``ClippedOutboundAudio`` are ours. What the SDK leaves open is decided here: a level counts as zero after 5 s of exact zeros, inbound
sound as silent after 10 s below -60 dBFS, a microphone as too loud while more than a tenth of its frames of the last 4 s are clipped, and
a stream as missing after a second without a packet where one ought to come, whatever ICE says. What came while the call was on hold
counts for none of them.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from sinchphone.audio.emodel import RECOVERED_COSTS, mos
from sinchphone.audio.frame import RATE
from sinchphone.audio.levels.activity import CONSTANT_SECONDS, Activity
from sinchphone.audio.quality_warning import QualityWarning
from sinchphone.quick_dataclass import quick_dataclass

ROUND_TRIP_MS: Final = 300.0
JITTER_MS: Final = 30.0
LOSS_PERCENT: Final = 1.0
MISSING_SECONDS: Final = 1.0
ZERO_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 10.0
CLIPPED_SHARE: Final = 0.1  # of the frames in a spell: speech at a level that is right has none, shouting into a hot microphone 30 %
_SPELL: Final = 4  # samples that jitter, loss and clipping are judged over
_BAD_OF_SPELL: Final = 3
_WORST: Final = 1.0  # the score of nothing at all (ITU-T P.800)
_PACKET_MS: Final = 20.0
_DEVICES_MS: Final = 40.0  # capture and playout at both ends, which nobody can measure from here: taken as this


@quick_dataclass(frozen=True, slots=True)
class Change:
    """A warning begins (``triggered``) or is over."""

    name: str
    triggered: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A call at one moment. Counters count from the call's start; ``None``: not known (yet)."""

    at: float  # any clock [s]
    connected: bool
    muted: bool = False
    held: bool = False  # on hold, by either side: then silence, and nothing at all, is right
    codec: str | None = None
    packets_received: int = 0
    packets_lost: int = 0
    line_bytes_sent: int = 0  # with all headers
    line_bytes_received: int = 0
    concealed_samples: int = 0
    absent_samples: int = 0  # silence in place of sound that never came, which isn't among the concealed ones
    played_samples: int = 0  # with both
    recovered_samples: int = 0  # from the codec's own, coarser copies
    coded_bytes: int = 0  # of the packets that were decoded, but for those of pauses,
    coded_samples: int = 0  # and the sound in them
    silent_s: float | None = None  # since the peer's last packet; None where none need come
    sent_loss_percent: float | None = None  # what the peer reports of our packets
    jitter_ms: float | None = None
    delay_ms: float | None = None
    round_trip_ms: float | None = None
    near: Activity | None = None
    far: Activity | None = None

    @property
    def quiet(self) -> bool:
        """Whether nothing that is said here is to be heard."""
        return self.muted or self.held


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """The time between two samples. ``mos`` is an estimate (ITU-T G.107.1), 1.0 to 4.5; where nothing was to be heard of the peer it's 1.0.
    ``concealed_percent``: of what was heard, made up or silence in place of sound. ``None``: nothing to judge by."""

    sent_kbps: float | None
    received_kbps: float | None
    received_loss_percent: float | None
    sent_loss_percent: float | None
    concealed_percent: float | None
    mos: float | None


class Quality:
    """Judges one call."""

    def __init__(self) -> None:
        self._began_at: float | None = None
        self._before: Sample | None = None
        self._held_at: float | None = None  # last
        self._coded_kbps: float | None = None  # of what was decoded last
        self._last = QualityReport(
            sent_kbps=None, received_kbps=None, received_loss_percent=None, sent_loss_percent=None, concealed_percent=None, mos=None
        )
        self._jitter_spell: deque[bool] = deque(maxlen=_SPELL)
        self._loss_spell: deque[bool] = deque(maxlen=_SPELL)
        self._near_spell: deque[Activity] = deque(maxlen=_SPELL + 1)  # what lies between the first and the last is the spell
        self._active: set[str] = set()
        self._scores = 0  # how many estimates there were,
        self._score = 0.0  # and their sum

    @property
    def report(self) -> QualityReport:
        """About the last second."""
        return self._last

    @property
    def mean_mos(self) -> float | None:
        """The mean of all estimates since the call began."""
        return self._score / self._scores if self._scores else None

    @property
    def active(self) -> frozenset[str]:
        """The warnings that are in force."""
        return frozenset(self._active)

    def push(self, sample: Sample) -> list[Change]:
        """Take the next sample, about a second after the one before; what changed by it."""
        before, self._before = self._before, sample
        missing = self.look(sample)
        if before is not None:
            self._coded_kbps = _coded_kbps(before, sample) or self._coded_kbps
            missing_stream = QualityWarning.MISSING_STREAM.value in self._active
            self._last = _compare(before, sample, missing=missing_stream, coded_kbps=self._coded_kbps)
        if self._last.mos is not None:
            self._scores, self._score = self._scores + 1, self._score + self._last.mos
        self._jitter_spell.append((sample.jitter_ms or 0) > JITTER_MS)
        self._loss_spell.append((self._last.received_loss_percent or 0) > LOSS_PERCENT)
        if sample.near is not None:
            self._near_spell.append(sample.near)
        flowing_s = self._flowing_s(before, sample)
        return missing + [change for name, rule in _RULES.items() for change in self._judge(name, rule(self, sample, flowing_s))]

    def look(self, sample: Sample) -> list[Change]:
        """Between two samples: whether the peer's stream has gone or come back. What else is in ``sample`` counts for nothing."""
        self._began_at = sample.at if self._began_at is None else self._began_at
        silent = min(sample.silent_s or 0.0, sample.at - self._began_at)  # before it was our call it may have had a reason
        return self._judge(QualityWarning.MISSING_STREAM.value, not sample.connected or silent >= MISSING_SECONDS)

    def _flowing_s(self, before: Sample | None, sample: Sample) -> float:
        """For how long what comes is to be judged; 0 where nothing comes or the call is on hold."""
        if sample.held:
            self._held_at = sample.at
        if before is None or sample.held or sample.packets_received <= before.packets_received:
            return 0.0
        return math.inf if self._held_at is None else sample.at - self._held_at

    def _judge(self, name: str, wrong: bool) -> list[Change]:
        if wrong == (name in self._active):
            return []
        (self._active.add if wrong else self._active.discard)(name)
        return [Change(name, wrong)]

    def _is_bad_spell(self, spell: "deque[bool]") -> bool:
        return sum(spell) >= _BAD_OF_SPELL

    def _is_clipped(self) -> bool:
        """Whether the microphone's peaks were cut off too often of late."""
        if len(self._near_spell) <= _SPELL:
            return False
        first, last = self._near_spell[0], self._near_spell[-1]
        return last.clipped_frames - first.clipped_frames > CLIPPED_SHARE * (last.frames - first.frames)


_Rule = Callable[[Quality, Sample, float], bool]  # the last: for how many seconds what comes is to be judged

_RULES: Final[Mapping[str, _Rule]] = MappingProxyType(
    {
        QualityWarning.HIGH_ROUND_TRIP.value: lambda _, sample, __: (sample.round_trip_ms or 0) > ROUND_TRIP_MS,
        QualityWarning.HIGH_JITTER.value: lambda quality, _, __: quality._is_bad_spell(quality._jitter_spell),
        QualityWarning.HIGH_LOSS.value: lambda quality, _, __: quality._is_bad_spell(quality._loss_spell),
        QualityWarning.CONSTANT_OUTBOUND.value: lambda _, sample, __: not sample.quiet and _is_constant(sample.near),
        QualityWarning.CONSTANT_INBOUND.value: lambda _, sample, flowing_s: (
            flowing_s >= CONSTANT_SECONDS and _is_constant(sample.far) and not _is_silent(sample.far)
        ),
        QualityWarning.ZERO_OUTBOUND.value: lambda _, sample, __: not sample.quiet and _is_zero(sample.near),
        QualityWarning.ZERO_INBOUND.value: lambda _, sample, flowing_s: flowing_s >= ZERO_SECONDS and _is_zero(sample.far),
        QualityWarning.SILENT_INBOUND.value: lambda _, sample, flowing_s: (
            flowing_s >= SILENT_SECONDS and _is_silent(sample.far) and not _is_zero(sample.far)
        ),
        QualityWarning.CLIPPED_OUTBOUND.value: lambda quality, sample, __: not sample.quiet and quality._is_clipped(),
    }
)


def _is_zero(activity: Activity | None) -> bool:
    return activity is not None and activity.zero_seconds >= ZERO_SECONDS


def _is_constant(activity: Activity | None) -> bool:
    return activity is not None and activity.constant and not _is_zero(activity)


def _is_silent(activity: Activity | None) -> bool:
    return activity is not None and activity.silent_seconds >= SILENT_SECONDS


def _compare(before: Sample, now: Sample, *, missing: bool, coded_kbps: float | None) -> QualityReport:
    seconds = now.at - before.at
    received, lost = now.packets_received - before.packets_received, now.packets_lost - before.packets_lost
    played, concealed = now.played_samples - before.played_samples, now.concealed_samples - before.concealed_samples
    absent = now.absent_samples - before.absent_samples
    share = _share(concealed + absent, played) if played > 0 else None
    worsened = concealed + round(RECOVERED_COSTS * (now.recovered_samples - before.recovered_samples))
    return QualityReport(
        sent_kbps=_kbps(now.line_bytes_sent - before.line_bytes_sent, seconds),
        received_kbps=_kbps(now.line_bytes_received - before.line_bytes_received, seconds),
        received_loss_percent=100 * max(0, lost) / (received + max(0, lost)) if received > 0 else None,
        sent_loss_percent=now.sent_loss_percent,
        concealed_percent=100 * share if share is not None else None,
        mos=None if before.held or now.held else _WORST if missing and not played else _score(now, worsened, absent, played, coded_kbps),
    )


def _share(part: int, whole: int) -> float:
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0


def _score(now: Sample, worsened: int, absent: int, played: int, coded_kbps: float | None) -> float | None:
    """What there was to hear counts for its share of the time: G.107.1 knows lost packets, and no time without any."""
    if now.codec is None or played <= 0:
        return None
    gone = _share(absent, played)
    heard = mos(now.codec, _share(worsened, played - absent), _one_way_ms(now), kbps=coded_kbps)
    return gone * _WORST + (1 - gone) * heard


def _coded_kbps(before: Sample, now: Sample) -> float | None:
    """Of speech; ``None`` where there was none."""
    samples = now.coded_samples - before.coded_samples
    return _kbps(now.coded_bytes - before.coded_bytes, samples / RATE) if samples > 0 else None


def _kbps(octets: int, seconds: float) -> float | None:
    return 8 * octets / seconds / 1000 if seconds > 0 else None


def _one_way_ms(sample: Sample) -> float:
    """From mouth to ear, as far as it can be known at one end: the other end's jitter buffer is taken to be like ours."""
    return (sample.round_trip_ms or 0) / 2 + (sample.delay_ms or 0) + _PACKET_MS + _DEVICES_MS
