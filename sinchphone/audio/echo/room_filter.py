"""What of the loudspeaker's sound comes back to the microphone: an adaptive filter that models loudspeaker, room and microphone. Pure.

A partitioned-block Kalman filter in the frequency domain (Enzner & Vary, Signal Processing 86, 2006; Kuech et al., ICASSP 2014): each
bin of each partition has its own uncertainty, so the step is large where little is known, and small while somebody speaks here. Blocks
of 20 ms; below 8 kHz it reaches 360 ms back, above, where rooms are deader and speech is faint, 80 ms.
"""

from typing import Final

import numpy as np

from sinchphone.audio.echo.recent import RecentRows
from sinchphone.audio.echo.spectra import BINS, BLOCK, LOW_BINS, Power, Spectrum, Wave, energy_of, inverse, last_block, power_of, transform

_LOW_PARTITIONS: Final = 18
_HIGH_PARTITIONS: Final = 4
_FORGET: Final = np.float32(0.999)  # of what is known, in a block: 0.9995 squared
_NOISE_MEMORY: Final = np.float32(0.5)
_FLOOR: Final = np.float32(0.01)  # of the divisor: sound at -90 dBFS
_MUCH_BETTER: Final = 0.5
_DECAY: Final = 0.15  # of what is expected of each further partition


class _Band:
    """The bins that have the same number of partitions."""

    def __init__(self, bins: slice, partitions: int) -> None:
        self.bins, self.partitions = bins, partitions
        count = bins.stop - bins.start
        self.weights: Spectrum = np.zeros((partitions, count), np.complex64)
        self.expected: Power = np.repeat(np.exp(-_DECAY * np.arange(partitions, dtype=np.float32))[:, None], count, axis=1)
        self._share: Power = np.empty((partitions, count), np.float32)  # scratch memory
        self._step: Spectrum = np.empty((partitions, count), np.complex64)
        self.unknown: Power = self.expected.copy()  # the variance of each weight

    def adapt(self, spectra: Spectrum, powers: Power, error: Spectrum, noise: Power) -> None:
        """One Kalman step: ``error`` is what the weights have left, ``noise`` the power of what is in it besides echo."""
        share, step = self._share, self._step
        np.multiply(powers, self.unknown, out=share)
        divisor = share.sum(axis=0) + 2 * noise + _FLOOR
        np.conjugate(spectra, out=step)
        step *= self.unknown
        step *= error / divisor
        self.weights += step
        share *= np.float32(-0.5) / divisor
        share += 1
        share *= _FORGET
        self.unknown *= share
        np.abs(self.weights, out=share)
        share *= share
        share *= 1 - _FORGET
        self.unknown += share

    def move(self, blocks: int) -> None:
        """Each partition becomes the one so many before it."""
        kept = slice(max(0, blocks), max(0, self.partitions + min(0, blocks)))
        weights, unknown = self.weights[kept].copy(), self.unknown[kept].copy()
        self.weights[:] = 0
        self.unknown[:] = self.expected
        moved = slice(max(0, -blocks), max(0, -blocks) + len(weights))
        self.weights[moved], self.unknown[moved] = weights, unknown


class RoomFilter:
    """Takes what was played and what was heard, block by block; gives the echo in it."""

    def __init__(self) -> None:
        self._bands = (_Band(slice(0, LOW_BINS), _LOW_PARTITIONS), _Band(slice(LOW_BINS, BINS), _HIGH_PARTITIONS))
        self._spectra = RecentRows(_LOW_PARTITIONS, (BINS,), np.complex64)  # of the last blocks that were played
        self._powers = RecentRows(_LOW_PARTITIONS, (BINS,), np.float32)
        self._noise: Power = np.zeros(BINS, np.float32)
        self._next = 0  # of the partitions to be constrained

    @property
    def low_weights(self) -> Spectrum:
        """The weights below 8 kHz, by partition."""
        return self._bands[0].weights

    @property
    def partitions(self) -> int:
        """Blocks that it reaches back."""
        return _LOW_PARTITIONS

    def doubt(self) -> None:
        """The room may have changed: all that is known is known half."""
        for band in self._bands:
            np.maximum(band.unknown, np.float32(0.5) * power_of(band.weights), out=band.unknown)

    def move(self, blocks: int) -> None:
        """What was played is read so many blocks earlier from now on (``replay``): what is known of each partition is the next one's."""
        for band in self._bands:
            band.move(blocks)

    def suppose(self, spectra: Spectrum, heard: Wave, echo: Wave) -> bool:
        """Whether what was ``heard`` fits much better to the echo of these ``spectra``, newest first, than to ``echo``."""
        return energy_of(heard - self._echo_of(spectra)) < _MUCH_BETTER * energy_of(heard - echo)

    def replay(self, spectra: Spectrum) -> None:
        """These are the spectra of what was played, newest first."""
        self._spectra.replace(spectra)
        self._powers.replace(power_of(spectra))

    def play(self, spectrum: Spectrum) -> None:
        """The spectrum of the last two blocks that were played."""
        self._spectra.push(spectrum)
        self._powers.push(power_of(spectrum))

    def echo(self) -> Wave:
        """What is expected of it in the block that was captured meanwhile."""
        return self._echo_of(self._spectra.all)

    def _echo_of(self, spectra: Spectrum) -> Wave:
        spectrum = np.empty(BINS, np.complex64)
        for band in self._bands:
            spectrum[band.bins] = np.einsum("pk,pk->k", spectra[: band.partitions, band.bins], band.weights)
        return last_block(spectrum)

    def learn(self, error: Spectrum) -> None:
        """``error``: the spectrum of what was left of the capture (``block_spectrum``)."""
        self._noise = _NOISE_MEMORY * self._noise + (1 - _NOISE_MEMORY) * power_of(error)
        spectra, powers = self._spectra.all, self._powers.all
        for band in self._bands:
            known = spectra[: band.partitions, band.bins], powers[: band.partitions, band.bins]
            band.adapt(*known, error[band.bins], self._noise[band.bins])
        self._constrain(self._next)
        self._next = (self._next + 1) % _LOW_PARTITIONS

    def _constrain(self, partition: int) -> None:
        """A partition is as long as a block: what the steps have put behind it is taken out, of one in each block."""
        bands = [band for band in self._bands if partition < band.partitions]
        spectrum = np.zeros(BINS, np.complex64)
        for band in bands:
            spectrum[band.bins] = band.weights[partition]
        response = inverse(spectrum)
        response[BLOCK:] = 0
        spectrum = transform(response)
        for band in bands:
            band.weights[partition] = spectrum[band.bins]
