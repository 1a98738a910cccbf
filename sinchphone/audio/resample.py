"""Between 48 kHz and the rates of telephone codecs: polyphase filters that work block by block (8 kHz: factor 6, 16 kHz: factor 3).

A Kaiser-windowed sinc, linear in phase. Its delay is 1.5 ms each way for 8 kHz and 0.9 ms for 16 kHz; what
lies above the lower rate's band is at least 56 dB down from 4.6 (8.9) kHz on, and the pass band reaches to 3.4 (7.1) kHz.
"""

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import Samples
from sinchphone.audio.windows import windows

Wave: TypeAlias = NDArray[np.float32]  # samples as they come out of a filter: int16 steps, with fractions, maybe beyond full scale

_TAPS: Final = {3: 30, 6: 24}  # of each phase
_KAISER_BETA: Final = 5.65  # some 60 dB


def to_samples(wave: Wave) -> Samples:
    """Rounded and clipped to 16 bits."""
    return np.clip(np.rint(wave), -32_768, 32_767).astype(np.int16)


def _low_pass(factor: int) -> NDArray[np.float64]:
    """The filter at the higher rate: sum 1, ``factor * taps + 1`` long."""
    length = factor * _TAPS[factor] + 1
    around = np.arange(length) - (length - 1) / 2
    response = np.sinc(around / factor) * np.kaiser(length, _KAISER_BETA)
    return response / math.fsum(response)


class Upsampler:
    """To a rate ``factor`` (3 or 6) times as high."""

    def __init__(self, factor: int) -> None:
        taps = _TAPS[factor]
        phases = np.zeros((taps + 1) * factor)
        phases[: factor * taps + 1] = _low_pass(factor) * factor
        self._phases = phases.reshape(taps + 1, factor)[::-1].astype(np.float32)
        self._past = np.zeros(taps, np.float32)

    def push(self, wave: Wave) -> Wave:
        """``factor`` samples for each one in ``wave``, of any length."""
        line = np.concatenate([self._past, wave])
        self._past = line[len(line) - len(self._past) :]
        if not len(wave):
            return wave
        pieces = windows(line, len(self._phases))
        return (np.ascontiguousarray(pieces) @ self._phases).ravel()


class Downsampler:
    """To a rate ``factor`` (3 or 6) times lower."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._filter = _low_pass(factor)[::-1].astype(np.float32)
        self._past = np.zeros(len(self._filter) - factor, np.float32)

    def push(self, samples: Samples) -> Wave:
        """One sample for every ``factor``; what is left over is kept for the next block."""
        line = np.concatenate([self._past, samples.astype(np.float32)])
        count = (len(line) - len(self._filter)) // self._factor + 1
        if count <= 0:
            self._past = line
            return np.zeros(0, np.float32)
        self._past = line[count * self._factor :]
        pieces = windows(line, len(self._filter), self._factor)
        return np.ascontiguousarray(pieces) @ self._filter
