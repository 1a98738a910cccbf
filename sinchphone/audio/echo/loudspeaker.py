"""What a loudspeaker makes of loud sound: it clips, softly or hard, and a linear filter can't follow it there. Pure.

::

    g(x) = x - sum over j of share_j * (what of x is beyond threshold_j)

A piecewise linear curve without memory, in front of the room (a Hammerstein model); the shares are learnt from what the room's filter
leaves, as far as it looks like what was beyond the thresholds, sent through that filter.
"""

from typing import Final

import numpy as np

from sinchphone.audio.echo.recent import RecentSamples
from sinchphone.audio.echo.spectra import BINS, BLOCK, LOW_BINS, SIZE, Power, Spectrum, Wave, energy_of, last_block, transform

_THRESHOLDS: Final = np.array([[0.12], [0.24], [0.48]], np.float32)
_CURVES: Final = len(_THRESHOLDS)
_PARTITIONS: Final = 3  # 60 ms: what comes straight, and first reflections
_EVERY: Final = 4  # blocks
_MEMORY: Final = 0.96
_STEP: Final = 0.3
_RIDGE: Final = 0.02


class LoudspeakerCurve:
    """Takes what it's given, gives what it plays."""

    def __init__(self) -> None:
        self._shares: Power = np.zeros(_CURVES, np.float32)
        self._given = RecentSamples((_PARTITIONS + 1) * BLOCK)
        self._blocks = 0
        self._likeness = np.zeros((_CURVES, _CURVES))
        self._wrong = np.zeros(_CURVES)

    def play(self, block: Wave) -> Wave:
        """The next block as it's played."""
        self._given.push(block)
        return self.plays(block)

    def plays(self, samples: Wave) -> Wave:
        """What it makes of any sound."""
        if _peak(samples) <= _THRESHOLDS[0]:
            return samples
        return samples - self._shares @ (samples - np.clip(samples, -_THRESHOLDS, _THRESHOLDS))

    def learn(self, weights: Spectrum, error: Wave) -> None:
        """``weights`` of the room below 8 kHz, by partition; ``error``: what is left of the capture."""
        self._blocks += 1
        given = self._given.all
        if self._blocks % _EVERY or _peak(given) <= _THRESHOLDS[0]:
            return
        pairs = np.lib.stride_tricks.sliding_window_view(given - np.clip(given, -_THRESHOLDS, _THRESHOLDS), SIZE, axis=1)[:, ::BLOCK]
        beyond = transform(pairs[:, ::-1])[:, :, :LOW_BINS]
        spectra = np.zeros((_CURVES, BINS), np.complex64)
        spectra[:, :LOW_BINS] = np.einsum("jpk,pk->jk", beyond, weights[:_PARTITIONS])
        heard = last_block(spectra)
        trust = 1 / (energy_of(error) + 1e-6)  # little, while somebody speaks here
        self._likeness = _MEMORY * self._likeness + trust * (heard @ heard.T)
        self._wrong = _MEMORY * self._wrong - trust * (heard @ error)
        ridge = 1e-3 + _RIDGE * np.trace(self._likeness) / _CURVES
        step = _STEP * np.linalg.solve(self._likeness + ridge * np.eye(_CURVES), self._wrong)
        self._shares = np.clip(self._shares + step, -0.1, 1.2).astype(np.float32)
        self._wrong -= self._likeness @ step


def _peak(samples: Wave) -> float:
    return max(float(samples.max()), -float(samples.min()))
