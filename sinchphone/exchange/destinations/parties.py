"""Those who answer the exchange's own numbers: each hears 20 ms and says 20 ms (``media.sound.Party``)."""

import math
import random
from collections import deque
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples, silence
from sinchphone.audio.levels.level import amplitude
from sinchphone.audio.tones.signals import TONE_DBFS, Loop, Sine
from sinchphone.media.sound import Party

_NOISE_DBFS: Final = -45.0  # of a bad line
MAX_UNSAID: Final = 32  # recordings that wait to be said


class Silence:
    """Listens and says nothing."""

    def tick(self, far: Frame) -> Frame:
        """Silence."""
        return silence()


class Echo:
    """Says what it has just heard."""

    def tick(self, far: Frame) -> Frame:
        """The same 20 ms."""
        return far.copy()


class Tone:
    """Says one tone for ever. ``hz`` is above 0 and below 24 000; raises ValueError otherwise."""

    def __init__(self, hz: float) -> None:
        self._sine = Sine(hz, TONE_DBFS)

    def tick(self, far: Frame) -> Frame:
        """The next 20 ms of the tone."""
        return self._sine.pull()


class Recording:
    """Says ``samples`` once, then nothing."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._position = 0

    @property
    def finished(self) -> bool:
        """Whether all of it was said."""
        return self._position >= len(self._samples)

    def tick(self, far: Frame) -> Frame:
        """The next 20 ms; the last frame is filled up with silence."""
        frame = silence()
        piece = self._samples[self._position : self._position + FRAME_SAMPLES]
        frame[: len(piece)] = piece
        self._position += len(piece)
        return frame


class Sequence:
    """Says a recording, then hands over to another party, which hears nothing of what came before."""

    def __init__(self, first: Recording, then: Party) -> None:
        self._first = first
        self._then = then

    def tick(self, far: Frame) -> Frame:
        """The recording's next 20 ms, or the other party's."""
        return self._then.tick(far) if self._first.finished else self._first.tick(far)


class Speaker:
    """Says what it is told to, one after the other, and nothing in between. ``say`` may be called in any thread."""

    def __init__(self) -> None:
        self._unsaid: deque[Recording] = deque(maxlen=MAX_UNSAID)

    def say(self, samples: Samples, *, interrupt: bool = False) -> None:
        """Say it after what there is to say, or in place of it."""
        if interrupt:
            self._unsaid.clear()
        self._unsaid.append(Recording(samples))

    @property
    def speaks(self) -> bool:
        """Whether there is anything left to say."""
        return any(not one.finished for one in tuple(self._unsaid))

    def tick(self, far: Frame) -> Frame:
        """The next 20 ms of what there is to say, or silence."""
        try:
            while self._unsaid[0].finished:
                self._unsaid.popleft()
            return self._unsaid[0].tick(far)
        except IndexError:  # nothing is left, perhaps only just now
            return silence()


class BadLine:
    """Another party over a bad line: ``lost`` of its frames are missing, and there is noise. The same line each time."""

    def __init__(self, party: Party, *, lost: float = 0.1) -> None:
        self._party = party
        self._lost = lost
        self._random = random.Random(0)
        noise = np.random.default_rng(0).normal(0, amplitude(_NOISE_DBFS) / math.sqrt(2), RATE)
        self._noise = Loop(np.rint(noise).astype(np.int16))

    def tick(self, far: Frame) -> Frame:
        """What the party says, or what is left of it."""
        said = self._party.tick(far)
        arrived = said if self._random.random() >= self._lost else silence()
        frame: Frame = np.clip(arrived.astype(np.int32) + self._noise.pull(), -32_768, 32_767).astype(np.int16)
        return frame
