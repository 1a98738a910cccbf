"""A sound in memory that is said once, frame by frame: a text that was spoken."""

from collections.abc import Callable

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.media.sound import PlayFinished, PlayStarted


class Clip:
    """Says ``samples``, then silence. ``report`` is told in the media thread when it begins and when it's over, under that name."""

    def __init__(self, samples: Samples, name: str, report: Callable[[PlayStarted | PlayFinished], None]) -> None:
        self._samples = samples
        self._name = name
        self._report = report
        self._said = 0
        self._over = False

    def next_frame(self) -> Frame:
        """The next 20 ms. Doesn't block."""
        if self._said == 0:
            self._report(PlayStarted(path=self._name))
        piece = self._samples[self._said : self._said + FRAME_SAMPLES]
        self._said += FRAME_SAMPLES
        if self._said >= len(self._samples) and not self._over:
            self._over = True
            self._report(PlayFinished(path=self._name, last=True))
        return piece if len(piece) == FRAME_SAMPLES else np.concatenate([piece, silence(FRAME_SAMPLES - len(piece))])
