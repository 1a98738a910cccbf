"""Mix-minus: what each of several seats hears, which is everybody but itself.

::

    said by each (20 ms) -> sum -> minus one's own -> limiter of that seat -> heard by it (20 ms)

A sum that fits into 16 bits is left as it is. Where it doesn't, the seat's gain goes down just far enough, by ramps of a millisecond,
and comes back slowly: a mix that pumps is worse than one that is a little quieter for a second.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples

CEILING: Final = 32_767  # the loudest sample there is
RELEASE_SECONDS: Final = 0.5  # time constant: slower than syllables, so that speech doesn't modulate the others' level
_STEP: Final = RATE // 1000  # samples: the gain is decided each millisecond and drawn as a straight line between
_STEPS: Final = FRAME_SAMPLES // _STEP
_KEEP: Final = math.exp(-1 / (1000 * RELEASE_SECONDS))
_NEARLY_ONE: Final = 0.999  # 0.01 dB

Seat = TypeVar("Seat", bound=Hashable)
_Sums = NDArray[np.int32]
_Gains = NDArray[np.float32]


def added(one: Samples, other: Samples) -> Samples:
    """Both together, clipped where they are too loud for 16 bits."""
    both: Samples = np.clip(one.astype(np.int32) + other, -CEILING - 1, CEILING).astype(np.int16)
    return both


def amplified(samples: Samples, db: float) -> Samples:
    """``samples`` so much louder; peaks that don't fit are cut off."""
    if not db:
        return samples
    louder: Samples = np.rint(np.clip(samples * 10 ** (db / 20), -CEILING - 1, CEILING)).astype(np.int16)
    return louder


class Mixer(Generic[Seat]):
    """Mixes one room. Remembers each seat's gain from one tick to the next."""

    def __init__(self) -> None:
        self._gains: dict[Seat, float] = {}

    def mix(self, said: Mapping[Seat, Frame]) -> dict[Seat, Frame]:
        """What every seat of ``said`` hears in these 20 ms: a new frame each. At most 65 535 seats. A seat that is missing is forgotten."""
        seats = list(said)
        if not seats:
            self._gains = {}
            return {}
        own: _Sums = np.stack([said[seat] for seat in seats]).astype(np.int32)
        heard = own.sum(axis=0, dtype=np.int32) - own
        gains = np.array([self._gains.get(seat, 1.0) for seat in seats], np.float32)
        loud = (gains < 1) | (np.abs(heard).max(axis=1) > CEILING)
        if loud.any():
            heard[loud], gains[loud] = _limit(heard[loud], gains[loud])
        self._gains = {seat: float(gain) for seat, gain in zip(seats, gains, strict=True) if gain < 1}
        return dict(zip(seats, heard.astype(np.int16), strict=True))


def _limit(sums: _Sums, before: _Gains) -> tuple[_Sums, _Gains]:
    """Those rows within 16 bits, and the gain each row ends with."""
    peaks = np.abs(sums).reshape(len(sums), _STEPS, _STEP).max(axis=2)
    marks = _gains_at_marks(np.minimum(1.0, CEILING / np.maximum(peaks, 1)).astype(np.float32), before)
    rise = np.linspace(0, 1, _STEP, endpoint=False, dtype=np.float32)
    lines = marks[:, :-1, None] + (marks[:, 1:] - marks[:, :-1])[:, :, None] * rise
    limited = np.rint(sums.astype(np.float32) * lines.reshape(sums.shape))
    # Only a peak in the very first millisecond of a frame can meet a gain that doesn't know of it yet.
    return np.clip(limited, -CEILING - 1, CEILING).astype(np.int32), marks[:, -1]


def _gains_at_marks(allowed: _Gains, before: _Gains) -> _Gains:
    """The gain at the start and the end of each millisecond; ``allowed`` is the highest within each. At a mark between two of them both
    count, so that the line between two marks stays below what is allowed."""
    marks = np.empty((len(allowed), _STEPS + 1), np.float32)
    marks[:, 0] = before
    for step in range(_STEPS):
        released = 1 - (1 - marks[:, step]) * _KEEP
        limit = allowed[:, step] if step + 1 == _STEPS else np.minimum(allowed[:, step], allowed[:, step + 1])
        marks[:, step + 1] = np.minimum(released, limit)
    marks[:, -1][marks[:, -1] > _NEARLY_ONE] = 1.0
    return marks
