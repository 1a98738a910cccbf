"""What a stream of sound is like over time: speech, silence, clipping, a microphone that is dead.

::

    samples -> 20 ms at a time -> level against the noise around it -> Activity          (any number of samples at a time)

Everything is judged on levels, not on words: a radio counts as speech, a whisper below the noise doesn't.
"""

import math
from collections import deque
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, Samples, silence
from sinchphone.audio.levels.level import FULL_SCALE, SILENT_DBFS, Meter, mean_squares, power_to_dbfs
from sinchphone.quick_dataclass import quick_dataclass

SPEECH_OVER_NOISE_DB: Final = 9.0
QUIET_DBFS: Final = -60.0  # below it nobody is understood: silence
_HANGOVER_FRAMES: Final = 10  # speech lasts 200 ms beyond its last loud frame: the ends of words are soft
_ONSET_FRAMES: Final = 3  # 60 ms: a click isn't speech
_NOISE_RISE_DB: Final = 3.0  # a second, so that a new fan is noise after some seconds; downwards the noise is followed at once
CONSTANT_SECONDS: Final = 20.0
_WINDOW_FRAMES: Final = round(CONSTANT_SECONDS / FRAME_SECONDS)  # over which a level counts as constant (Sinch's quality warnings)
_CONSTANT: Final = 0.005  # of full scale
_CLIP_SAMPLES: Final = 3  # at full scale in a row: one is a peak that fits, more are cut off
_CLIPPED: Final = int(FULL_SCALE) - 8
_CLIPPED_POWER: Final = _CLIP_SAMPLES * (_CLIPPED / FULL_SCALE) ** 2 / FRAME_SAMPLES  # a frame with so many can't have less


@quick_dataclass(frozen=True, slots=True)
class Activity:
    """What was heard, at this moment. Levels in dBFS, ``-inf`` for digital silence."""

    level_dbfs: float  # of the last 20 ms
    speech: bool  # somebody speaks (or ended less than 200 ms ago)
    speech_seconds: float  # since the beginning
    silent_seconds: float  # since the last frame above QUIET_DBFS
    zero_seconds: float  # since the last sample that wasn't exactly zero
    clipped_frames: int  # of 20 ms, since the beginning
    frames: int
    constant: bool  # the level moved by less than 0.5 % of full scale for 20 s


class Listener:
    """Follows one stream. ``push`` in one thread; ``activity`` in any."""

    def __init__(self) -> None:
        self.meter: Final = Meter()  # of the same stream
        self._rest = silence(0)
        self._noise = math.inf  # [dBFS]
        self._level = -math.inf
        self._loud = self._hangover = 0  # frames in a row, frames left
        self._speech = self._clipped = self._frames = 0
        self._silent = self._zero = 0  # frames in a row
        self._recent: deque[float] = deque(maxlen=_WINDOW_FRAMES)  # root mean squares, 1.0 for full scale,
        self._sum = self._squares = 0.0  # of these,
        self._constant = False  # and whether they hardly differ

    def push(self, samples: Samples) -> None:
        """The next samples of the stream."""
        samples = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = samples[whole:].copy()
        if whole:
            self._take_all(samples[:whole].reshape(-1, FRAME_SAMPLES))

    @property
    def activity(self) -> Activity:
        """What was heard so far."""
        return Activity(
            level_dbfs=self._level,
            speech=self._hangover > 0,
            speech_seconds=self._speech * FRAME_SECONDS,
            silent_seconds=self._silent * FRAME_SECONDS,
            zero_seconds=self._zero * FRAME_SECONDS,
            clipped_frames=self._clipped,
            frames=self._frames,
            constant=self._constant,
        )

    def _take_all(self, frames: Samples) -> None:
        """A row for each."""
        full = (frames.max(axis=1) >= _CLIPPED) | (frames.min(axis=1) <= -_CLIPPED)
        powers = mean_squares(frames)
        self.meter.note_frames(powers)
        for frame, power, is_full in zip(frames, powers, full.tolist(), strict=True):
            self._take(power, is_clipped=is_full and power >= _CLIPPED_POWER and _is_clipped(frame))
        variance = self._squares / _WINDOW_FRAMES - (self._sum / _WINDOW_FRAMES) ** 2
        self._constant = len(self._recent) == _WINDOW_FRAMES and variance < _CONSTANT**2

    def _take(self, power: float, *, is_clipped: bool) -> None:
        self._level = power_to_dbfs(power)
        self._frames += 1
        self._remember(math.sqrt(power))
        self._clipped += is_clipped
        self._zero = 0 if power else self._zero + 1
        self._silent = 0 if self._level > QUIET_DBFS else self._silent + 1
        self._follow_noise()
        self._follow_speech()

    def _remember(self, level: float) -> None:
        """Whoever asks for what was heard asks several times a second, and for a standard deviation each time: so the sums go along."""
        if len(self._recent) == _WINDOW_FRAMES:
            oldest = self._recent[0]
            self._sum -= oldest
            self._squares -= oldest * oldest
        self._recent.append(level)
        self._sum += level
        self._squares += level * level

    def _follow_noise(self) -> None:
        self._noise = min(max(self._level, SILENT_DBFS), self._noise + _NOISE_RISE_DB * FRAME_SECONDS)

    def _follow_speech(self) -> None:
        loud = self._level > max(QUIET_DBFS, self._noise + SPEECH_OVER_NOISE_DB)
        self._loud = self._loud + 1 if loud else 0
        if self._loud >= _ONSET_FRAMES or (loud and self._hangover):
            self._hangover = _HANGOVER_FRAMES
        elif self._hangover:
            self._hangover -= 1
        self._speech += self._hangover > 0


def _is_clipped(frame: Samples) -> bool:
    """Whether several samples in a row stand at full scale on the same side."""
    for side in (frame >= _CLIPPED, frame <= -_CLIPPED):
        if np.convolve(side, np.ones(_CLIP_SAMPLES, np.int8), "valid").max(initial=0) >= _CLIP_SAMPLES:
            return True
    return False
