"""Frames that are looked at together, when somebody asks or there are enough: a look at ten costs hardly more than one at one of them."""

import threading
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import FRAME_SAMPLES, Frame

Frames: TypeAlias = NDArray[np.int16]  # a row for each

_MOST: Final = 10  # 200 ms


class FrameBatch:
    """One thread puts, any thread looks."""

    def __init__(self, look: Callable[[Frames], None]) -> None:
        """``look`` is given the frames in order, each once, by one thread at a time; it keeps none of them."""
        self._look = look
        self._lock = threading.Lock()
        self._frames: Frames | None = None  # room for them, once there is one
        self._count = 0

    def put(self, frame: Frame) -> None:
        """The next one; it may be changed afterwards."""
        with self._lock:
            if self._frames is None:
                self._frames = np.empty((_MOST, FRAME_SAMPLES), np.int16)
            self._frames[self._count] = frame
            self._count += 1
            if self._count == _MOST:
                self._look_now()

    def settle(self) -> None:
        """Have all of them looked at."""
        with self._lock:
            self._look_now()

    def _look_now(self) -> None:
        if self._count and self._frames is not None:
            count, self._count = self._count, 0
            self._look(self._frames[:count])
