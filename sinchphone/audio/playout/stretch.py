"""Time-stretching of speech: a block becomes one pitch period shorter or longer and keeps its pitch (a step of WSOLA).

The period is where the block resembles itself best. Leaving one out, or playing one twice, with a cross-fade between the two likenesses
changes how long the sound lasts and nothing else. It takes about 0.1 ms for 20 ms of sound.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.windows import windows
from sinchphone.quick_dataclass import quick_dataclass

_Signal: TypeAlias = NDArray[np.float32]

MIN_SAMPLES: Final = 480  # 10 ms; a period is searched for in the first half

_DECIMATION: Final = 6  # the search begins at 8 kHz
_SHORTEST: Final = 20  # 2.5 ms at 8 kHz; of higher voices several periods are taken
_LONGEST: Final = 80  # 10 ms at 8 kHz: 100 Hz
_REFINE: Final = 5  # samples at 48 kHz around the coarse period
_INAUDIBLE: Final = 0.9  # likeness
_OVERSHOOT: Final = 1.5  # of what the delay is short by: up to so much is looked for first
_QUIET_RMS: Final = 60.0  # of 32768, -55 dBFS: any cut will do


@quick_dataclass(frozen=True, slots=True)
class Period:
    """How long a period is [samples], how alike two of them are (1 for the same), and how loud the block is (RMS)."""

    samples: int
    likeness: float
    rms: float


def find_period(block: Samples, longest: int = _LONGEST * _DECIMATION) -> Period:
    """The period (2.5 to 10 ms, at most half the block) after which ``block`` resembles itself best.

    ``block`` has at least ``MIN_SAMPLES``; ``longest`` is how many a period may have, 120 or more.
    """
    signal = block.astype(np.float32)
    coarse, likeness = _coarse(signal, longest // _DECIMATION)
    return Period(_refine(signal, coarse), likeness, float(np.sqrt(np.mean(signal * signal))))


def shrink(block: Samples, period: int) -> Samples:
    """``block`` without one period: ``len(block) - period`` samples. ``period`` is at most half the block."""
    faded = _cross_fade(block[:period], block[period : 2 * period])
    return np.concatenate([faded, block[2 * period :]])


def grow(block: Samples, period: int) -> Samples:
    """``block`` with one period twice: ``len(block) + period`` samples. ``period`` is at most half the block."""
    faded = _cross_fade(block[period : 2 * period], block[:period])
    return np.concatenate([block[:period], faded, block[period:]])


def adjust(block: Samples, excess: float) -> Samples:
    """``block`` some periods shorter where ``excess`` [s] is above 0, longer where it's below; as it was where that could be heard.

    The further off, the less the periods need to be alike. Little more is added than is short where so short periods are alike.
    """
    if len(block) < MIN_SAMPLES or excess == 0:
        return block
    most = longest = min(_LONGEST * _DECIMATION, len(block) // 2)
    if excess < 0:
        longest = min(most, max(_SHORTEST * _DECIMATION, round(-_OVERSHOOT * excess * RATE)))
    period = find_period(block, longest)
    if period.rms < _QUIET_RMS:
        period = Period(longest, 1.0, period.rms)
    while period.likeness <= _likeness_needed(abs(excess)):
        if longest >= most:
            return block
        longest = min(most, 2 * longest)
        period = find_period(block, longest)
    return shrink(block, period.samples) if excess > 0 else grow(block, period.samples)


def trim(block: Samples, most: int) -> Samples:
    """``block`` up to ``most`` samples shorter; as it was where that could be heard."""
    if len(block) < MIN_SAMPLES or most < _SHORTEST * _DECIMATION:
        return block
    period = find_period(block, min(most, _LONGEST * _DECIMATION))
    if period.rms < _QUIET_RMS:
        return shrink(block, min(most, len(block) // 2))
    return shrink(block, period.samples) if period.samples <= most and period.likeness > _INAUDIBLE else block


def _likeness_needed(off: float) -> float:
    """The likeness that makes a cut inaudible, or worth its price where the delay is far ``off`` [s]."""
    if off < 0.020:
        return _INAUDIBLE
    return 0.75 if off < 0.060 else 0.65


def _coarse(signal: _Signal, most: int) -> tuple[int, float]:
    """The best period in a view at 8 kHz, in samples at 48 kHz, and how alike it is."""
    count = len(signal) // _DECIMATION
    view = signal[: count * _DECIMATION].reshape(count, _DECIMATION).mean(axis=1)
    longest = min(most, count // 2)
    width = count - longest
    head = view[:width]
    shifted = windows(view, width)[_SHORTEST : longest + 1]
    likeness = (shifted @ head) / (np.sqrt((shifted * shifted).sum(axis=1) * (head @ head)) + 1e-6)
    best = int(np.argmax(likeness))
    return (best + _SHORTEST) * _DECIMATION, float(likeness[best])


def _refine(signal: _Signal, coarse: int) -> int:
    """The best period at full rate near the coarse one."""
    last = min(coarse + _REFINE, len(signal) // 2)
    first = min(coarse - _REFINE, last)
    width = len(signal) - last
    head = signal[:width]
    shifted = windows(signal, width)[first : last + 1]
    likeness = (shifted @ head) / (np.sqrt((shifted * shifted).sum(axis=1)) + 1e-6)
    return first + int(np.argmax(likeness))


def _cross_fade(before: Samples, after: Samples) -> Samples:
    """From the one to the other in a straight line: right for sounds that are alike."""
    ramp = np.linspace(0, 1, len(before), dtype=np.float32)
    mixed = before.astype(np.float32) * (1 - ramp) + after.astype(np.float32) * ramp
    return np.rint(mixed).astype(np.int16)
