"""How much of a tone is in a block of samples: the Goertzel transform at any frequency."""

import math

import numpy as np

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.levels.level import FULL_SCALE


def tone_power(samples: Samples, hz: float) -> float:
    """The mean square of the sine of ``hz`` in ``samples`` (1.0 for full scale).

    The frequency needn't be a multiple of 1/length: the sum is taken at ``hz`` itself. Use at least ten periods.
    """
    if not len(samples):
        return 0.0
    turns = np.exp(-2j * math.pi * hz / RATE * np.arange(len(samples)))
    line = abs(complex(np.dot(samples.astype(np.float64), turns))) / len(samples) / FULL_SCALE
    return 2 * line**2


def share(samples: Samples, hz: float) -> float:
    """How much of the energy of ``samples`` is at ``hz``: 0 (none, or digital silence) to 1 (nothing else).

    The resolution is that of the block: a tone within 1/length of ``hz`` is partly seen.
    """
    wave = samples.astype(np.float64)
    energy = float(np.dot(wave, wave))
    if energy == 0:
        return 0.0
    return min(1.0, tone_power(samples, hz) * len(samples) * FULL_SCALE**2 / energy)
