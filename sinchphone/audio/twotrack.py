"""Lays near and far sound side by side on one time line, so that a recording stays in step for hours.

::

    near blocks (at their times) ─┐
                                  ├─> TwoTrack -> stereo blocks: near left, far right
    far blocks (at their times) ──┘

Two sound cards never count seconds alike, and either may stall. Each side is therefore held against the clock: it begins
exactly in its place, may then run up to ``SLACK_SECONDS`` early or late, which is the unevenness of blocks; beyond that
it is padded with silence, or cut.
"""

from collections import deque
from enum import IntEnum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Samples, silence

Stereo: TypeAlias = NDArray[np.int16]  # shape (samples, 2)

SLACK_SECONDS: Final = 0.120  # six frames: a clock that catches up after a stall gives five at once
PATIENCE_SECONDS: Final = 0.300  # a side that is silent for so long isn't waited for


class TrackSide(IntEnum):
    """Which column of the stereo block."""

    NEAR = 0
    FAR = 1


class _Track:
    """One side: the samples not yet taken, and how many there were since the start."""

    def __init__(self) -> None:
        self._blocks: deque[Samples] = deque()
        self.waiting = 0
        self.placed = 0

    def append(self, samples: Samples) -> None:
        self._blocks.append(samples)
        self.waiting += len(samples)
        self.placed += len(samples)

    def take(self, samples: int) -> Samples:
        pieces: list[Samples] = [silence(0)]
        self.waiting -= samples
        while samples:
            block = self._blocks.popleft()
            if len(block) > samples:
                self._blocks.appendleft(block[samples:])
                block = block[:samples]
            pieces.append(block)
            samples -= len(block)
        return np.concatenate(pieces)


class TwoTrack:
    """The time line begins at ``started_at`` (seconds of any clock); every ``now`` is of the same clock."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._tracks = (_Track(), _Track())

    def put(self, side: TrackSide, samples: Samples, now: float) -> None:
        """``samples`` of one side, the last of which belongs to ``now``."""
        track, slack = self._tracks[side], round(SLACK_SECONDS * RATE)
        late = self._position(now) - track.placed - len(samples)
        if late > (slack if track.placed else 0):
            track.append(silence(late))
        elif late < -slack:
            samples = samples[min(len(samples), -late - slack) :]
        track.append(samples)

    def pull(self, now: float) -> Stereo:
        """What is complete on both sides by ``now``; a side that has been missing for too long counts as silent."""
        due = self._position(now - PATIENCE_SECONDS)
        for track in self._tracks:
            if track.placed < due:
                track.append(silence(due - track.placed))
        return self._take(min(track.waiting for track in self._tracks))

    def finish(self) -> Stereo:
        """All the rest, the shorter side padded."""
        longest = max(track.waiting for track in self._tracks)
        for track in self._tracks:
            track.append(silence(longest - track.waiting))
        return self._take(longest)

    def _take(self, samples: int) -> Stereo:
        return np.stack([track.take(samples) for track in self._tracks], axis=1)

    def _position(self, now: float) -> int:
        return max(0, round((now - self._started_at) * RATE))
