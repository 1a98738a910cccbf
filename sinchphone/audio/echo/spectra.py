"""Blocks of 20 ms and their spectra, as all parts of the echo canceller have them. Pure."""

from typing import Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

Wave: TypeAlias = NDArray[np.float32]  # 1.0 is full scale
Spectrum: TypeAlias = NDArray[np.complex64]
Power: TypeAlias = NDArray[np.float32]

BLOCK: Final = 960
SIZE: Final = 2 * BLOCK
BINS: Final = BLOCK + 1  # of 25 Hz
LOW_BINS: Final = 320  # up to 8 kHz


def transform(samples: Wave, size: int | None = None) -> Spectrum:
    """Of real samples, of the last axis; numpy keeps the precision, which its types don't say."""
    return cast(Spectrum, np.fft.rfft(samples, size))


def inverse(spectrum: Spectrum, size: int = SIZE) -> Wave:
    """The samples of a spectrum."""
    return cast(Wave, np.fft.irfft(spectrum, size))


def power_of(spectrum: Spectrum) -> Power:
    """Of each bin."""
    return cast(Power, spectrum.real**2 + spectrum.imag**2)


def block_spectrum(block: Wave) -> Spectrum:
    """Of a block behind one of zeros."""
    padded = np.zeros(SIZE, np.float32)
    padded[BLOCK:] = block
    return transform(padded)


def last_block(spectrum: Spectrum) -> Wave:
    """The second half of the samples (overlap-save)."""
    return inverse(spectrum)[..., BLOCK:]


def energy_of(wave: Wave) -> float:
    """The sum of the squares."""
    return float(wave @ wave)
