"""Weakening what the filter has left of the echo, and nothing else: a Wiener filter by bands of the spectrum. Pure.

::

    what is left ─┬─> powers of 28 bands, each 20 ms ─┬─> gain of each band ─> linear-phase filter of 4 ms ─┐
                  │        the echo's ────────────────┘                                                     │
                  └──────────────────────────────────────────────────────────> 2 ms later ─> convolved <────┘

How much of the echo is left is learnt for each band from how both powers move together (as in Speex: Valin, IEEE TASLP 15, 2007): what is
said here moves by itself. Nothing is made fainter than the noise that is always there. A filter in time, in place of frames that
overlap, costs 2 ms of delay and not 10.
"""

from typing import Final

import numpy as np

from sinchphone.audio.echo.spectra import BINS, BLOCK, Power, Spectrum, Wave, inverse, power_of, transform

_SIZE: Final = 1_200  # of transforms that hold a block and the filter
_EDGES: Final = 2 * np.array(
    [0, 2, 4, 6, 8, 10, 12, 14, 17, 20, 24, 28, 33, 38, 44, 50, 58, 66, 76, 88, 102, 118, 138, 160, 190, 230, 290, 370]
)  # [25 Hz]
_BANDS: Final = len(_EDGES)
_COUNTS: Final = np.diff(_EDGES, append=BINS).astype(np.float32)
_POINTS: Final = 121  # of the gain as a curve, each 200 Hz
_BAND_AT: Final = np.searchsorted(_EDGES, np.arange(_POINTS) * 8, side="right") - 1
REACH: Final = 96  # samples: the delay, and half the filter's length
_TAPER: Final = np.hanning(2 * REACH + 3)[1:-1].astype(np.float32)
_FADE: Final = 144  # samples, from one filter to the next one
_RISE: Final = np.linspace(0, 1, _FADE, dtype=np.float32)
_MEAN: Final = np.float32(0.08)  # of a power's mean, in a block
_LEARN: Final = np.float32(0.05)
_LEAST_LEAK, _MOST_LEAK = np.float32(1e-5), np.float32(1.0)
_TAIL: Final = np.float32(0.88)  # of the echo's power 10 ms later: what the filter is too short for
_EXCESS: Final = np.float32(4.0)
_SMOOTH: Final = np.float32(0.6)  # of the ratio of speech to echo, where it was that before
_LEAST_GAIN: Final = np.float32(0.03)
_NOISE_RISE: Final = np.float32(1.002)
_FAINT: Final = 0.1  # power of a block: -70 dBFS
_TINY: Final = np.float32(1e-9)


class ResidualSuppressor:
    """Takes what is left and the echo that was taken off, block by block; gives what is to be sent, REACH samples later."""

    def __init__(self) -> None:
        self._waiting = np.zeros(2 * REACH, np.float32)
        self._filter: Wave = np.zeros(2 * REACH + 1, np.float32)
        self._filter[REACH] = 1
        self._left_mean, self._echo_mean = np.zeros(_BANDS, np.float32), np.zeros(_BANDS, np.float32)
        self._both, self._alone = np.full(_BANDS, _TINY), np.full(_BANDS, _TINY)
        self._leak = np.ones(_BANDS, np.float32)
        self._tail = np.zeros(_BANDS, np.float32)
        self._noise = np.full(_BANDS, np.float32(1.0))
        self._speech = np.zeros(_BANDS, np.float32)

    @property
    def left_over(self) -> float:
        """The share of all the echo's power that is left; 0 where there's none."""
        echo = float(self._tail @ _COUNTS)
        return float((self._leak * self._tail) @ _COUNTS) / echo if echo > _FAINT else 0.0

    def push(self, left: Wave, left_spectrum: Spectrum, echo_spectrum: Spectrum) -> Wave:
        """The next block, its spectrum, and that of the echo (``block_spectrum``)."""
        return self._filtered(left, self._gain(_bands(left_spectrum), _bands(echo_spectrum)))

    def _gain(self, left: Power, echo: Power) -> Power:
        self._learn(left, echo)
        self._noise = np.minimum(self._noise * _NOISE_RISE + _TINY, 0.7 * self._noise + 0.3 * left)
        self._tail = np.maximum(echo, _TAIL * self._tail)
        rest = _EXCESS * self._leak * self._tail + _TINY
        ratio = _SMOOTH * self._speech / rest + (1 - _SMOOTH) * np.maximum(left / rest - 1, 0)
        gain = ratio / (1 + ratio)
        self._speech = gain**2 * left
        quiet = np.sqrt(np.minimum(1, self._noise / (left + _TINY)))
        least: Power = np.maximum(quiet, _LEAST_GAIN)
        wanted: Power = np.maximum(gain, least)
        return wanted

    def _learn(self, left: Power, echo: Power) -> None:
        self._left_mean += _MEAN * (left - self._left_mean)
        self._echo_mean += _MEAN * (echo - self._echo_mean)
        moves, with_it = echo - self._echo_mean, left - self._left_mean
        rate = _LEARN * np.minimum(1, echo / (left + _TINY))
        self._both += rate * (moves * with_it - self._both)
        self._alone += rate * (moves * moves - self._alone)
        self._leak = np.clip(self._both / self._alone, _LEAST_LEAK, _MOST_LEAK)

    def _filtered(self, block: Wave, gain: Power) -> Wave:
        response = inverse(gain[_BAND_AT].astype(np.complex64), 2 * _POINTS - 2)
        taps = np.concatenate([response[-REACH:], response[: REACH + 1]])
        taps *= _TAPER
        samples = np.concatenate([self._waiting, block])
        self._waiting = samples[-2 * REACH :]
        spectrum, known = transform(samples, _SIZE), transform(taps, _SIZE)
        new = inverse(spectrum * known, _SIZE)[2 * REACH : 2 * REACH + BLOCK]
        old = np.convolve(samples[: 2 * REACH + _FADE], self._filter, "valid")
        new[:_FADE] = _RISE * new[:_FADE] + (1 - _RISE) * old
        self._filter = taps
        return new


def _bands(spectrum: Spectrum) -> Power:
    """The mean power of a bin in each band."""
    sums: Power = np.add.reduceat(power_of(spectrum), _EDGES)
    return (sums / _COUNTS).astype(np.float32, copy=False)
