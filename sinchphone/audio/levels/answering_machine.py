"""Tells people who answer a phone from machines, by how they greet; and hears the beep after a machine's greeting. Pure.

::

    far sound, 20 ms at a time -> AnsweringMachineDetector -> Detection
    a short word, then silence: somebody      a long greeting, or none at all: a machine      a steady tone: its beep
"""

from enum import Enum
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Frame
from sinchphone.audio.levels.level import dbfs

VOICE_DBFS: Final = -42.0
_SILENCE_DBFS: Final = -70.0  # nothing at all, not even a line's noise
_ABOVE_NOISE_DB: Final = 10.0
_VOICE_AT_LEAST_DBFS: Final = -28.0  # so loud nobody's noise is, and somebody who speaks at once is heard
INITIAL_SILENCE_SECONDS: Final = 2.5  # these four as open PBXs have them by default
GREETING_SECONDS: Final = 1.5
AFTER_GREETING_SECONDS: Final = 0.8
ANALYSIS_SECONDS: Final = 5.0
BEEP_SECONDS: Final = 0.2
_BEEP_HZ: Final = (350.0, 2500.0)
_PURE: Final = 0.85  # share of the energy that is in one line and its neighbours
_WINDOW: Final = np.hanning(FRAME_SAMPLES)


class Detection(Enum):
    """Who it is."""

    HUMAN = "human"
    LONG_GREETING = "long greeting"
    INITIAL_SILENCE = "initial silence"
    BEEP = "beep"
    NOT_SURE = "not sure"


class BeepDetector:
    """Hears a steady tone."""

    def __init__(self) -> None:
        self._line = 0
        self._frames = 0

    def push(self, frame: Frame) -> bool:
        """Whether there was a tone for long enough by now."""
        line = _line(frame)
        self._frames = self._frames + 1 if line is not None and line == self._line else int(line is not None)
        self._line = line or 0
        return self._frames * FRAME_SECONDS >= BEEP_SECONDS


class AnsweringMachineDetector:
    """One call's. Feed it from the answer on."""

    def __init__(self) -> None:
        self.seconds = 0.0  # heard so far
        self._beep = BeepDetector()
        self._voice_s = self._silence_s = 0.0
        self._noise_dbfs = 0.0  # the least that was heard

    def push(self, frame: Frame) -> Detection | None:
        """The next 20 ms; a verdict as soon as there is one, and NOT_SURE when it has taken too long."""
        self.seconds += FRAME_SECONDS
        if self._beep.push(frame):
            return Detection.BEEP
        if self._is_voice(dbfs(frame)):
            self._voice_s += FRAME_SECONDS + (self._silence_s if self._voice_s else 0.0)  # pauses between words are a part of it
            self._silence_s = 0.0
        else:
            self._silence_s += FRAME_SECONDS
        if not self._voice_s and self._silence_s >= INITIAL_SILENCE_SECONDS:
            return Detection.INITIAL_SILENCE
        if self._voice_s >= GREETING_SECONDS:
            return Detection.LONG_GREETING
        if self._voice_s and self._silence_s >= AFTER_GREETING_SECONDS:
            return Detection.HUMAN
        return Detection.NOT_SURE if self.seconds >= ANALYSIS_SECONDS else None

    def _is_voice(self, level: float) -> bool:
        """Whether that is louder than the line's own noise."""
        if level > _SILENCE_DBFS:
            self._noise_dbfs = min(self._noise_dbfs, level)
        return level > max(VOICE_DBFS, min(self._noise_dbfs + _ABOVE_NOISE_DB, _VOICE_AT_LEAST_DBFS))


def _line(frame: Frame) -> int | None:
    """The number of the spectrum's line that nearly all energy is in, where it is a tone that machines beep with."""
    if dbfs(frame) <= VOICE_DBFS:
        return None
    power = np.abs(np.fft.rfft(frame * _WINDOW)) ** 2
    peak = int(power.argmax())
    hertz = peak * RATE / FRAME_SAMPLES
    near = power[max(0, peak - 2) : peak + 3].sum()
    return peak if _BEEP_HZ[0] <= hertz <= _BEEP_HZ[1] and near > _PURE * power.sum() else None
