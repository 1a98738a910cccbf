"""Which tones are in a block of samples: the Goertzel transform at any frequency, and the strongest frequency of all."""

import math
from typing import Final

import numpy as np

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.level import FULL_SCALE, power_to_dbfs

_FFT_PADDING: Final = 4  # bins a quarter as wide: the parabola through three of them errs by less than 0.1 Hz on 100 ms


def tone_power(samples: Samples, hz: float) -> float:
    """The mean square of the sine of ``hz`` in ``samples`` (1.0 for full scale).

    The frequency needn't be a multiple of 1/length: the sum is taken at ``hz`` itself. Use at least ten periods.
    """
    if not len(samples):
        return 0.0
    turns = np.exp(-2j * math.pi * hz / RATE * np.arange(len(samples)))
    line = abs(complex(np.dot(samples.astype(np.float64), turns))) / len(samples) / FULL_SCALE
    return 2 * line**2


def tone_dbfs(samples: Samples, hz: float) -> float:
    """The level of the sine of ``hz`` in ``samples`` [dBFS], ``-inf`` for none."""
    return power_to_dbfs(tone_power(samples, hz))


def share(samples: Samples, hz: float) -> float:
    """How much of the energy of ``samples`` is at ``hz``: 0 (none, or digital silence) to 1 (nothing else).

    The resolution is that of the block: a tone within 1/length of ``hz`` is partly seen.
    """
    wave = samples.astype(np.float64)
    energy = float(np.dot(wave, wave))
    if energy == 0:
        return 0.0
    return min(1.0, tone_power(samples, hz) * len(samples) * FULL_SCALE**2 / energy)


def dominant_hz(samples: Samples) -> float | None:
    """The strongest frequency of ``samples`` [Hz]; ``None`` where there is nothing but silence or a constant."""
    wave = samples.astype(np.float64)
    if len(wave) < 3 or not np.ptp(wave):
        return None
    spectrum = np.abs(np.fft.rfft((wave - wave.mean()) * np.hanning(len(wave)), _FFT_PADDING * len(wave)))
    peak = int(np.argmax(spectrum))
    return (peak + _summit(spectrum[peak - 1 : peak + 2].tolist())) * RATE / (_FFT_PADDING * len(wave))


def _summit(around: list[float]) -> float:
    """How far the summit of a peak lies from the middle of three neighbouring values, in steps: a parabola through their logarithms."""
    if len(around) < 3 or min(around) <= 0:
        return 0.0
    left, middle, right = (math.log(value) for value in around)
    bend = left - 2 * middle + right
    return (left - right) / (2 * bend) if bend else 0.0
