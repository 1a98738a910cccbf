"""How much later than it was played sound comes back: a search for jumps, and a loop that follows clocks which drift apart. Pure."""

from typing import Final

import numpy as np

from sinchphone.audio.echo.recent import RecentSamples
from sinchphone.audio.echo.spectra import BINS, BLOCK, Spectrum, Wave, energy_of, inverse, power_of, transform

_THIN: Final = 4  # samples that become one
_MEAN: Final = np.full(_THIN, 1 / _THIN, np.float32)
_HEARD: Final = 8_192  # 0.68 s
_PLAYED: Final = 16_384  # as long, and the longest delay before it
_EVERY: Final = 20  # blocks
_CLEAR: Final = 9.0  # times the median of all likenesses: a peak that means something
_FAINT: Final = 1e-5  # the mean square of what was played: -50 dBFS

_BINS: Final = slice(8, 160)  # 200 Hz to 4 kHz: above, phases turn too fast
_OMEGA: Final = (np.pi / BLOCK * np.arange(BINS)[_BINS]).astype(np.float32)  # [radians in a sample]
_KEPT: Final = 0.8
_PULL: Final = 0.05
_MOST_DRIFT: Final = 500e-6
_TINY: Final = np.float32(1e-4)


class DelaySearch:
    """Compares what was played with what was heard (GCC-PHAT), each 0.4 s."""

    def __init__(self) -> None:
        self._played, self._heard = RecentSamples(_PLAYED), RecentSamples(_HEARD)
        self._blocks = 0

    def push(self, played: Wave, heard: Wave) -> int | None:
        """The next block of both; the delay [samples] where one was found just now."""
        for history, block in ((self._played, played), (self._heard, heard)):
            history.push(block.reshape(-1, _THIN) @ _MEAN)
        self._blocks += 1
        return None if self._blocks % _EVERY else self._search()

    def _search(self) -> int | None:
        played, heard = self._played.all, self._heard.all
        if energy_of(played) < _FAINT * _PLAYED:
            return None
        cross = np.conj(transform(played)) * transform(heard, _PLAYED)
        cross /= np.abs(cross) + np.float32(1e-9)
        # what was heard begins where what was played is already half over
        likeness = np.abs(np.roll(inverse(cross, _PLAYED), _PLAYED - _HEARD)[: _PLAYED - _HEARD])
        best = int(np.argmax(likeness))
        if likeness[best] < _CLEAR * float(np.median(likeness)):
            return None
        return best * _THIN


class DriftLoop:
    """From how the phase of what is left turns against that of the echo that was expected: how much later the echo is than the filter
    thinks, and so by how much the loudspeaker's clock is off."""

    def __init__(self) -> None:
        self.rate = 0.0  # share by which the loudspeaker's clock is the faster one
        self._turn, self._weight = 0.0, 1e-9

    def push(self, error: Spectrum, echo: Spectrum) -> float:
        """Spectra of a block; by how many samples the next block begins later in what was played than BLOCK after this one."""
        error, echo = error[_BINS], echo[_BINS]
        noise = power_of(error) + _TINY
        turn, weight = _OMEGA * (error * np.conj(echo)).imag / noise, _OMEGA**2 * power_of(echo) / noise
        self._turn = _KEPT * self._turn + float(turn.sum())
        self._weight = _KEPT * self._weight + float(weight.sum())
        early = max(-1.0, min(1.0, self._turn / self._weight))
        self.rate = max(-_MOST_DRIFT, min(_MOST_DRIFT, self.rate + _PULL**2 / 4 * early / BLOCK))
        return _PULL * early + BLOCK * self.rate
