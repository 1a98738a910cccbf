"""Push-button tones in the sound itself: made and recognised (ITU-T Q.23, limits of Q.24).

::

    samples -> every 5 ms a window of 20 ms -> the strongest row and column tone -> rules -> the same digit in 4 windows: a digit
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.levels.level import FULL_SCALE, mean_square, power_to_dbfs
from sinchphone.audio.windows import windows
from sinchphone.quick_dataclass import quick_dataclass

ROWS: Final = (697.0, 770.0, 852.0, 941.0)  # [Hz]
COLUMNS: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = ("123A", "456B", "789C", "*0#D")

_HOP: Final = 240  # samples
_WINDOW: Final = 960  # a window that a tone fills to less than four fifths fails the share of energy
_WINDOWS_AT_ONCE: Final = 4  # windows that are looked into: BLAS shares larger products out to threads, which wait busily
_MEAN: Final = 6  # samples that are one where tones are looked for: they are all below 1.8 kHz
_SHARE: Final = 0.8  # of the energy of a window that both tones have: speech rarely has so much in two lines
_MIN_DBFS: Final = -40.0  # of each tone; Q.24 leaves it to the administrations (-25 to -40 dBm)
_REVERSE_TWIST_DB: Final = 8.5  # the row louder than the column (Q.24 table A-1: up to 4 to 10 dB)
_TWIST_DB: Final = 6.5  # the column louder
_WINDOWS_FOR_A_DIGIT: Final = 4  # 40 ms of tone give 5, 20 ms give 2 (Q.24: 40 ms must be taken, 20 ms must not)
_WINDOWS_FOR_A_PAUSE: Final = 7  # an interruption of 10 ms costs 5, a pause of 40 ms costs 10
_TOLERANCE: Final = 0.025  # Q.24: 1.5 % off must be taken, 3.5 % must not
_GRID: Final = np.arange(-0.045, 0.0451, 0.005)  # how far off a tone is looked for


@quick_dataclass(frozen=True, slots=True)
class ToneDigit:
    """A digit that has ended. ``at`` counts samples from the first that was pushed to its beginning, within some 5 ms."""

    digit: str
    at: int
    samples: int


class Detector:
    """Recognises digits in a stream. ``push`` takes any number of samples and gives the digits that ended in them."""

    def __init__(self) -> None:
        self._rest = silence(0)
        self._position = 0  # of the first sample of ``_rest``
        self._digit: str | None = None  # candidate or digit that lasts
        self._began = self._last = self._seen = self._missed = 0

    def push(self, samples: Samples) -> list[ToneDigit]:
        """The next samples of the stream."""
        self._rest = np.concatenate([self._rest, samples])
        ended: list[ToneDigit] = []
        while (count := min(_WINDOWS_AT_ONCE, 1 + (len(self._rest) - _WINDOW) // _HOP)) > 0:
            for digit in _digits_in(self._rest[: _WINDOW + (count - 1) * _HOP]):
                ended += self._take(digit)
                self._position += _HOP
            self._rest = self._rest[count * _HOP :]
        return ended

    def _take(self, digit: str | None) -> Iterator[ToneDigit]:
        if digit is not None and digit == self._digit:
            self._seen, self._missed, self._last = self._seen + 1, 0, self._position
            return
        self._missed += 1
        if self._digit is not None and (digit is not None or self._missed >= _WINDOWS_FOR_A_PAUSE):
            if self._seen >= _WINDOWS_FOR_A_DIGIT:
                yield ToneDigit(self._digit, self._began, self._last - self._began + _WINDOW)
            self._digit = None
        if digit is not None:
            self._digit, self._began, self._last, self._seen, self._missed = digit, self._position, self._position, 1, 0


def _lines(hertz: tuple[float, ...]) -> NDArray[np.float64]:
    """A row for each frequency and each deviation of the grid, which picks that line out of the means of a window: all cosines, then all
    sines. What means weaken of a line, the row makes up for."""
    deviating = 2 * math.pi * np.array([hz * (1 + deviation) for hz in hertz for deviation in _GRID]) / RATE  # [radians a sample]
    weakened = np.sin(deviating * _MEAN / 2) / (_MEAN * np.sin(deviating / 2))
    turns = np.outer(deviating, np.arange(0, _WINDOW, _MEAN))
    scale = (FULL_SCALE * _WINDOW // _MEAN * weakened)[:, None]
    return np.concatenate([np.cos(turns) / scale, np.sin(turns) / scale])


_ROW_LINES: Final = _lines(ROWS)
_COLUMN_LINES: Final = _lines(COLUMNS)


_MEANS: Final = np.full(_MEAN, 1 / _MEAN)


def _strongest(lines: NDArray[np.float64], columns: NDArray[np.float64]) -> list[tuple[int, float]]:
    """Of each window (one a column) the tone (0 to 3) and its mean square; nothing (0.0) where it is too far off its frequency."""
    cosines, sines = (lines @ columns).reshape(2, -1, columns.shape[1])
    powers = 2 * (cosines * cosines + sines * sines)
    found = []
    for column, best in enumerate(powers.argmax(axis=0)):
        tone, deviation = divmod(int(best), len(_GRID))
        found.append((tone, float(powers[best, column]) if abs(_GRID[deviation]) < _TOLERANCE + 1e-9 else 0.0))
    return found


def _digits_in(samples: Samples) -> list[str | None]:
    """In each of the windows, of which the next one begins a hop later."""
    starts = range(0, len(samples) - _WINDOW + 1, _HOP)
    energies = [mean_square(samples[start : start + _WINDOW]) for start in starts]
    if power_to_dbfs(max(energies)) < _MIN_DBFS:
        return [None] * len(energies)
    means = samples.reshape(-1, _MEAN) @ _MEANS
    columns = windows(means, _WINDOW // _MEAN, _HOP // _MEAN).T
    return [_digit(*found) for found in zip(energies, _strongest(_ROW_LINES, columns), _strongest(_COLUMN_LINES, columns), strict=True)]


def _digit(energy: float, row: tuple[int, float], column: tuple[int, float]) -> str | None:
    """What a window of that mean square holds, where these are its strongest tones."""
    low, high = row[1], column[1]
    if not low or not high or low + high < _SHARE * energy or power_to_dbfs(min(low, high)) < _MIN_DBFS:
        return None
    twist_db = power_to_dbfs(high) - power_to_dbfs(low)
    return KEYS[row[0]][column[0]] if -_REVERSE_TWIST_DB <= twist_db <= _TWIST_DB else None
