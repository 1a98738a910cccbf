"""Does sound come back? A party that sends a pattern of two tones and listens for it: what a call without sound devices is good for.

::

    0.5 s silence, 0.5 s of 700 Hz, 0.5 s of 1100 Hz, silence        listening all the time
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Frame, Samples, silence
from sinchphone.audio.levels.level import amplitude, dbfs
from sinchphone.audio.tones.goertzel import share

CHECK_SECONDS: Final = 5.0
TONES_HZ: Final = (700.0, 1100.0)
LEVEL_DBFS: Final = -14.0
_LEAD_FRAMES: Final = 25
_TONE_FRAMES: Final = 25
_MIN_SHARE: Final = 0.6  # of a frame's energy at the tone; a frame of noise has a few hundredths there
_MIN_TONE_FRAMES: Final = 10  # of each tone: 40 %, so that loss doesn't hide an echo and chance doesn't make one
_MIN_DBFS: Final = -60.0  # what is quieter counts as silence


class Heard(NamedTuple):
    """What came back. ``delay_ms``: from sending the tones to hearing them; ``level_dbfs``: of the tones, else of the loudest sound."""

    echo: bool
    sound: bool
    delay_ms: int | None
    level_dbfs: float | None


class EchoProbe:
    """A ``media.sound.Party``. ``begin`` is called once sound can flow; before that and after the pattern it sends silence."""

    def __init__(self) -> None:
        self._frames = _frames_of(check_pattern())
        self._begun = False
        self._sent = 0
        self._far: list[Frame] = []  # every frame since the start, at most CHECK_SECONDS

    def begin(self) -> None:
        """Start now. From any thread."""
        self._begun = True

    def tick(self, far: Frame) -> Frame:
        """20 ms heard, 20 ms to be sent."""
        if not self._begun:
            return silence()
        if self._sent and len(self._far) < CHECK_SECONDS / FRAME_SECONDS:  # the first frame was heard before the start
            self._far.append(far.copy())
        self._sent += 1
        return self._frames[self._sent - 1] if self._sent <= len(self._frames) else silence()

    def heard(self) -> Heard:
        """What came back so far."""
        far = list(self._far)
        levels = [dbfs(frame) for frame in far]
        first, second = (_tone_frames(far, levels, hz) for hz in TONES_HZ)
        loudest = max(levels, default=-np.inf)
        if min(len(first), len(second)) >= _MIN_TONE_FRAMES and first[0] < second[0]:
            level = float(np.median([levels[number] for number in (*first, *second)]))
            return Heard(True, True, round(1000 * FRAME_SECONDS * max(0, first[0] - _LEAD_FRAMES)), level)
        sound = bool(loudest > _MIN_DBFS)
        return Heard(False, sound, None, float(loudest) if sound else None)


def check_pattern() -> Samples:
    """The tones, with the silence before them."""
    times = np.arange(_TONE_FRAMES * FRAME_SAMPLES) / RATE
    tones = [np.round(amplitude(LEVEL_DBFS) * np.sin(2 * np.pi * hz * times)).astype(np.int16) for hz in TONES_HZ]
    return np.concatenate([silence(_LEAD_FRAMES * FRAME_SAMPLES), *tones])


def _frames_of(sound: Samples) -> list[Frame]:
    return np.split(sound, len(sound) // FRAME_SAMPLES)


def _tone_frames(far: Sequence[Frame], levels: Sequence[float], hz: float) -> list[int]:
    return [number for number, frame in enumerate(far) if levels[number] > _MIN_DBFS and share(frame, hz) > _MIN_SHARE]
