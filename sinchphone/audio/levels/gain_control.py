"""Evens out how loud somebody arrives: towards TARGET_DBFS while he speaks, and never louder than samples can hold. Pure.

::

    block -> is it speech? -> level of the speech, over seconds -> gain, which moves slowly -> limiter -> block
"""

import math
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, Frame
from sinchphone.audio.levels.level import dbfs

TARGET_DBFS: Final = -23.0  # of speech while it lasts
_MOST_DB, _LEAST_DB = 20.0, -20.0
_NOISE_DBFS: Final = -50.0  # what is there besides speech is not made louder than this
_ABOVE_NOISE_DB: Final = 9.0  # so is speech
_FAINTEST_DBFS: Final = -60.0
_BELOW_LOUDEST_DB: Final = 20.0  # a pause, or a breath: no speech
_MEMORY_SECONDS: Final = 2.0  # of speech
_UP_DB: Final = 6 * FRAME_SECONDS  # in a block: 6 dB a second
_DOWN_DB: Final = 20 * FRAME_SECONDS
_NOISE_UP_DB: Final = 2 * FRAME_SECONDS
_LOUDEST_DOWN_DB: Final = 4 * FRAME_SECONDS
_CEILING: Final = 29_204.0  # -1 dB of full scale
_FIRST_BLOCKS: Final = 10  # of speech, before the gain moves
_KEPT: Final = 1 - FRAME_SECONDS / _MEMORY_SECONDS
_RISE: Final = np.linspace(0, 1, FRAME_SAMPLES, dtype=np.float32)


class GainControl:
    """One microphone's."""

    def __init__(self) -> None:
        self._gain_db = 0.0
        self._power, self._weight = 0.0, 0.0  # of speech, and how much of it there was
        self._blocks = 0
        self._noise_dbfs = 0.0
        self._loudest_dbfs = -math.inf
        self._factor = 1.0  # that the last block ended with

    def push(self, block: Frame, *, holds: bool = False) -> Frame:
        """20 ms (960 samples, int16), evened out; ``holds``: it's none of the speaker's, so nothing is learnt of it."""
        level = max(dbfs(block), -100.0)
        if not holds and self._is_speech(level):
            self._learn(level)
        peak = float(np.abs(block.astype(np.float32)).max())
        factor = min(10 ** (self._gain_db / 20), _CEILING / max(peak, 1.0))
        before, self._factor = min(self._factor, _CEILING / max(peak, 1.0)), factor
        louder = block * (before + (factor - before) * _RISE)
        evened: Frame = np.clip(np.rint(louder), -32_768, 32_767).astype(np.int16)
        return evened

    def _is_speech(self, level: float) -> bool:
        self._noise_dbfs = min(level, self._noise_dbfs + _NOISE_UP_DB)
        self._loudest_dbfs = max(level, self._loudest_dbfs - _LOUDEST_DOWN_DB)
        least = max(_FAINTEST_DBFS, self._noise_dbfs + _ABOVE_NOISE_DB, self._loudest_dbfs - _BELOW_LOUDEST_DB)
        return level > least

    def _learn(self, level: float) -> None:
        self._power = _KEPT * self._power + 10 ** (level / 10)
        self._weight = _KEPT * self._weight + 1
        self._blocks += 1
        if self._blocks < _FIRST_BLOCKS:
            return
        speech = 10 * math.log10(self._power / self._weight)
        most = min(_MOST_DB, max(0.0, _NOISE_DBFS - self._noise_dbfs))
        wanted = max(_LEAST_DB, min(most, TARGET_DBFS - speech))
        self._gain_db += max(-_DOWN_DB, min(_UP_DB, wanted - self._gain_db))
