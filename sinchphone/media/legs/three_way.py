"""Two calls at one place, joined: the person here and both peers hear each other, each but itself.

::

    first call (has the devices):  person -> send -> + second peer -> first peer      first peer + second peer -> pull -> person
    second call (its devices rest):                  person + first peer -> second peer

Both calls go on with clocks of their own; what one hears waits for the other in short queues, which drop the oldest sound when clocks drift
apart.
"""

import threading
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples, silence
from sinchphone.audio.mix import added

_LEAD: Final = 2 * FRAME_SAMPLES  # what waits before the first is given on: devices give and take in blocks
_MOST: Final = RATE // 5


class _SampleQueue:
    """Samples from one clock to another."""

    def __init__(self) -> None:
        self._samples = silence(0)
        self._flows = False
        self._lock = threading.Lock()

    def push(self, samples: Samples) -> None:
        with self._lock:
            waiting = np.concatenate([self._samples, samples])
            self._samples = waiting[-_LEAD:] if len(waiting) > _MOST else waiting
            self._flows = self._flows or len(self._samples) >= _LEAD

    def pop(self, samples: int) -> Samples:
        """The next ``samples``; silence where there are none yet, or none any more."""
        with self._lock:
            if not self._flows or len(self._samples) < samples:
                self._flows = False
                return silence(samples)
            taken, self._samples = self._samples[:samples], self._samples[samples:]
            return taken


class MixSide:
    """What one of the two calls adds to its own sound."""

    def __init__(self, said: tuple[_SampleQueue, ...], heard: tuple[_SampleQueue, ...], also_sent: tuple[_SampleQueue, ...]) -> None:
        self._said = said  # gets what is said here
        self._heard = heard  # gets what this call's peer says
        self._also_sent = also_sent
        self._also_played: _SampleQueue | None = None

    def plays(self, queue: _SampleQueue) -> None:
        """The person hears that, too."""
        self._also_played = queue

    def send(self, frame: Frame) -> Frame:
        """What the peer gets in place of ``frame``."""
        for queue in self._said:
            queue.push(frame)
        for queue in self._also_sent:
            frame = added(frame, queue.pop(len(frame)))
        return frame

    def pull(self, far: Samples) -> Samples:
        """What is heard here in place of ``far``."""
        for queue in self._heard:
            queue.push(far)
        return far if self._also_played is None else added(far, self._also_played.pop(len(far)))


def three_way() -> tuple[MixSide, MixSide]:
    """The sides of the call that has the devices, and of the other one."""
    person, first, second, second_here = _SampleQueue(), _SampleQueue(), _SampleQueue(), _SampleQueue()
    main = MixSide(said=(person,), heard=(first,), also_sent=(second,))
    main.plays(second_here)
    return main, MixSide(said=(), heard=(second, second_here), also_sent=(person, first))
