"""A decoder whose sound tells what it was made from."""

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, Samples


class NumberedPackets:
    """A packet's sound is the number in it, made-up sound is 7. ``+`` before a number: it carries a copy of the one before, whose sound is
    that number's negative."""

    def duration(self, payload: bytes) -> int:
        return FRAME_SAMPLES

    def recoverable(self, payload: bytes) -> int:
        return FRAME_SAMPLES if payload.startswith(b"+") else 0

    def is_background(self, payload: bytes) -> bool:
        return False

    def decode(self, payload: bytes) -> Samples:
        return np.full(FRAME_SAMPLES, int(payload), np.int16)

    def conceal(self, samples: int) -> Samples:
        return np.full(samples, 7, np.int16)

    def note(self) -> bool:
        return False

    def go_back(self) -> None:
        raise AssertionError("nothing was noted")

    def recover(self, payload: bytes, samples: int) -> Samples:
        return np.full(samples, -int(payload), np.int16)
