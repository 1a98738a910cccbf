"""What tests measure sound with."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.levels.level import amplitude, power_to_dbfs
from sinchphone.audio.tones.dtmf import COLUMNS, KEYS, ROWS
from sinchphone.audio.tones.goertzel import tone_power

_FFT_PADDING: Final = 4  # bins a quarter as wide: the parabola through three of them errs by less than 0.1 Hz on 100 ms
_WINDOW: Final = RATE // 50
_MOST: Final = 0.8  # of the energy,
_AUDIBLE_DBFS: Final = -50.0  # and no less
_STEADY: Final = 0.8  # of the time


DTMF_HZ = {key: (ROWS[row], COLUMNS[column]) for row, keys in enumerate(KEYS) for column, key in enumerate(keys)}


def tone_of(digit: str, samples: int, level_dbfs: float = -13.0) -> Samples:
    """``samples`` of a digit's two tones, each at ``level_dbfs``. Raises KeyError for what isn't a digit."""
    times = np.arange(samples) / RATE
    wave = sum(np.sin(2 * math.pi * hz * times) for hz in DTMF_HZ[digit])
    tone: Samples = np.rint(np.clip(amplitude(level_dbfs) * wave, -32_768, 32_767)).astype(np.int16)
    return tone


def tone_dbfs(samples: Samples, hz: float) -> float:
    """The level of the sine of ``hz`` in ``samples`` [dBFS], ``-inf`` for none."""
    return power_to_dbfs(tone_power(samples, hz))


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


def tone_windows(samples: Samples, hz: float) -> NDArray[np.bool_]:
    """For each fiftieth of a second whether the sine of ``hz`` is there and hardly anything else."""
    blocks = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW).astype(np.float64)
    turns = np.exp(-2j * math.pi * hz / RATE * np.arange(_WINDOW))
    energy = np.square(blocks).sum(axis=1)
    tone = 2 * np.square(np.abs(blocks @ turns)) / _WINDOW
    return np.asarray((tone > _MOST * energy) & (energy > _WINDOW * amplitude(_AUDIBLE_DBFS) ** 2))


def tone_seconds(samples: Samples, hz: float) -> float:
    """For how long in all the sine of ``hz`` is there [s]: gaps don't count, wherever they are."""
    return float(tone_windows(samples, hz).sum()) * _WINDOW / RATE


def is_steady(samples: Samples, hz: float, seconds: float) -> bool:
    """Whether there are so many seconds in a row of which at most a fifth is without the sine of ``hz``: a busy machine leaves gaps."""
    windows, length = tone_windows(samples, hz), round(seconds * RATE / _WINDOW)
    counts = np.concatenate([[0], np.cumsum(windows)])
    return len(windows) >= length and int((counts[length:] - counts[:-length]).max()) >= _STEADY * length
