"""How loud sound is: levels in dBFS and a meter that follows them.

0 dBFS is the root mean square of a square wave of full scale, so a sine of full scale reads -3.01 dBFS.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Samples

FULL_SCALE: Final = 32_768.0
METER_SECONDS: Final = 0.05  # time constant: 86 % of the reading is the last tenth of a second
_KEEP_FRAME: Final = math.exp(-FRAME_SECONDS / METER_SECONDS)
_SILENT_POWER: Final = 1 / 12 / FULL_SCALE**2  # noise of 16-bit rounding, -101 dBFS: nothing a sample can hold is quieter


def mean_square(samples: Samples) -> float:
    """The power of ``samples``, 1.0 for full scale; 0 for none."""
    if not len(samples):
        return 0.0
    wave = samples.astype(np.float64)
    return float(wave.dot(wave)) / len(samples) / FULL_SCALE**2


def mean_squares(frames: Samples) -> list[float]:
    """The power of each frame of 20 ms, of whole ones in a row."""
    waves = frames.astype(np.float64).reshape(-1, FRAME_SAMPLES)
    return [float(power) for power in np.einsum("ij,ij->i", waves, waves) / FRAME_SAMPLES / FULL_SCALE**2]


def power_to_dbfs(power: float) -> float:
    """A mean square (1.0 for full scale) as dBFS; ``-inf`` for nothing."""
    return 10 * math.log10(power) if power > 0 else -math.inf


SILENT_DBFS: Final = power_to_dbfs(_SILENT_POWER)


def dbfs(samples: Samples) -> float:
    """The root mean square of ``samples`` [dBFS]; ``-inf`` for digital silence and for no samples."""
    return power_to_dbfs(mean_square(samples))


def amplitude(level_dbfs: float) -> float:
    """The peak of a sine whose root mean square is ``level_dbfs``, in sample steps; above -3.01 dBFS it is clipped to full scale."""
    return float(min(FULL_SCALE - 1, math.sqrt(2) * FULL_SCALE * 10 ** (level_dbfs / 20)))


class Meter:
    """Follows the loudness of a stream and decays by 87 dB a second when it stops.

    One thread pushes, any thread reads.
    """

    def __init__(self) -> None:
        self._power = 0.0

    def push(self, samples: Samples) -> None:
        """The next samples of the stream, any number of them."""
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        if whole:
            self.note_frames(mean_squares(samples[:whole]))
        if whole < len(samples):
            self._note(mean_square(samples[whole:]), len(samples) - whole)

    def note_frames(self, powers: Iterable[float]) -> None:
        """Frames of 20 ms of those mean squares came next."""
        power = self._power
        for frame in powers:
            power = power * _KEEP_FRAME + frame * (1 - _KEEP_FRAME)
            power = power if power > _SILENT_POWER else 0.0
        self._power = power

    def _note(self, power: float, samples: int) -> None:
        """So many samples of that mean square came next."""
        keep = math.exp(-samples / (METER_SECONDS * RATE))
        power = self._power * keep + power * (1 - keep)
        self._power = power if power > _SILENT_POWER else 0.0

    @property
    def dbfs(self) -> float:
        """The loudness now [dBFS]; ``-inf`` before the first sample and after a second or so of digital silence."""
        return power_to_dbfs(self._power)
