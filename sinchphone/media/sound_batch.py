"""Sound that is looked at when somebody asks, or when there is enough: a look at many frames costs hardly more than one at one of them."""

import threading
from collections.abc import Callable
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, Samples

_MOST: Final = 25 * FRAME_SAMPLES  # half a second


class SoundBatch:
    """One thread pushes, any thread settles."""

    def __init__(self, look: Callable[[Samples], None]) -> None:
        """``look`` is given the samples in order, each once, by one thread at a time; it keeps none of them."""
        self._look = look
        self._lock = threading.Lock()
        self._kept: Samples | None = None  # room for them, once there is one
        self._count = 0

    def push(self, samples: Samples) -> None:
        """The next ones; they may be changed afterwards."""
        size = len(samples)
        with self._lock:
            if self._kept is None:
                self._kept = np.empty(_MOST, np.int16)
            if self._count + size > _MOST:
                self._look_now()
            if size > _MOST:
                self._look(samples)
                return
            self._kept[self._count : self._count + size] = samples
            self._count += size

    def settle(self) -> None:
        """Have all of them looked at."""
        with self._lock:
            self._look_now()

    def _look_now(self) -> None:
        if self._count and self._kept is not None:
            count, self._count = self._count, 0
            self._look(self._kept[:count])
