"""What a phone in a test heard of the other side, and what it is to be: each assertion waits for its sound, in order.

::

    far sound, 20 ms at a time (media thread) -> kept -> tone(440), speech(), silence(), digits("12") (the test's thread)

An assertion looks at what came after the sound of the one before it, so that ``tone(440)`` and then ``tone(660)`` is a melody.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples, silence
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.dtmf import Detector
from sinchphone.audio.tones.goertzel import share
from sinchphone.testing.loop_thread import LOOK_S

SILENT_DBFS: Final = -55.0
MAX_SECONDS: Final = 600.0  # kept of a call
_TONE_SHARE: Final = 0.8  # of the energy: Opus and echo leave some beside it
_STEP_FRAMES: Final = 5
_SPEECH_FRAMES: Final = 30  # 600 ms
_SPEECH_LOUD: Final = 0.4  # so much of it is loud
_SPEECH_MOVES_DB: Final = 3.0  # the level of speech goes up and down
_PURE: Final = 0.6  # where one frequency has more than that, it's a tone


class HeardSound:
    """The far sound of one call, and the sound that is said in return. Implements ``media.sound.Party``."""

    def __init__(self, seconds: float) -> None:
        """``seconds``: how long an assertion waits, where it isn't told."""
        self._patience = seconds
        self._lock = threading.Lock()
        self._frames: list[Frame] = []
        self._said = silence(0)
        self._detector = Detector()
        self._in_sound = ""  # digits as tones
        self._as_events = ""  # and as events (RFC 4733)
        self._from = 0  # the first frame that counts for the next assertion
        self._digits_from = [0, 0]
        self._over = threading.Event()

    # The other threads

    def tick(self, far: Frame) -> Frame:
        """20 ms of the call (media thread)."""
        with self._lock:
            if len(self._frames) * FRAME_SAMPLES < MAX_SECONDS * RATE:
                self._frames.append(far.copy())
            self._in_sound += "".join(one.digit for one in self._detector.push(far))
            said, self._said = self._said[:FRAME_SAMPLES], self._said[FRAME_SAMPLES:]
        return np.concatenate([said, silence(FRAME_SAMPLES - len(said))])

    def hear_digit(self, digit: str) -> None:
        """The peer dialled that (any thread)."""
        with self._lock:
            self._as_events += digit

    def end(self) -> None:
        """Nothing more comes (any thread)."""
        self._over.set()

    def say(self, samples: Samples) -> None:
        """Say that, after what is said already."""
        with self._lock:
            self._said = np.concatenate([self._said, samples])

    # The test's

    @property
    def samples(self) -> Samples:
        """All of it so far: 48 kHz, mono, 16 bit."""
        with self._lock:
            return np.concatenate([silence(0), *self._frames])

    def skip(self) -> None:
        """What came until now doesn't count for the assertions that follow."""
        with self._lock:
            self._from, self._digits_from = len(self._frames), [len(self._in_sound), len(self._as_events)]

    def tone(self, hz: float, *, seconds: float = 0.2, within: float | None = None) -> None:
        """A tone of that frequency, so long at least. Raises AssertionError where none comes ``within`` so many seconds."""
        frames = max(2, round(seconds * RATE / FRAME_SAMPLES))
        self._expect(f"a tone of {hz:g} Hz", frames, lambda heard: _is_loud(heard) and share(heard, hz) >= _TONE_SHARE, within)

    def speech(self, *, within: float | None = None) -> None:
        """Somebody who speaks: sound that goes up and down and is no tone. Judged on levels: music may count. Raises AssertionError."""
        self._expect("speech", _SPEECH_FRAMES, is_like_speech, within)

    def silence(self, *, seconds: float = 1.0, within: float | None = None) -> None:
        """So many seconds of silence, from now on or from some time on. Raises AssertionError."""
        frames = max(1, round(seconds * RATE / FRAME_SAMPLES))
        self._expect(f"{seconds:g} s of silence", frames, is_silent, within)

    def digits(self, wanted: str, *, within: float | None = None) -> None:
        """These digits one after the other, dialled as events or as tones. Raises AssertionError."""

        def found() -> bool:
            for number, dialled in enumerate((self._in_sound, self._as_events)):
                at = dialled.find(wanted, self._digits_from[number])
                if at >= 0:
                    self._digits_from[number] = at + len(wanted)
                    return True
            return False

        if not self._wait(found, within):
            heard = self._as_events[self._digits_from[1] :] or self._in_sound[self._digits_from[0] :]
            raise AssertionError(f"the digits {wanted} were not dialled{self._how_long(within)}, but {heard or 'none'}")

    def _expect(self, what: str, frames: int, fits: Callable[[Samples], bool], within: float | None) -> None:
        looked = [self._from]

        def found() -> bool:
            while looked[0] + frames <= len(self._frames):
                if fits(np.concatenate(self._frames[looked[0] : looked[0] + frames])):
                    self._from = looked[0] + frames
                    return True
                looked[0] += min(_STEP_FRAMES, frames)
            return False

        if not self._wait(found, within):
            raise AssertionError(f"{what} was not heard{self._how_long(within)}: {self._summary()}")

    def _wait(self, found: Callable[[], bool], within: float | None) -> bool:
        deadline = time.monotonic() + (self._patience if within is None else within)
        while True:
            over = self._over.is_set()
            with self._lock:
                if found():
                    return True
            if over or time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_S)

    def _how_long(self, within: float | None) -> str:
        if self._over.is_set():
            return " before the call ended"
        return f" within {self._patience if within is None else within:g} s"

    def _summary(self) -> str:
        """What there was instead, in words."""
        with self._lock:
            heard = np.concatenate([silence(0), *self._frames[self._from :]])
        if not len(heard):
            return "no sound came"
        words = "silence" if is_silent(heard) else f"sound of {dbfs(heard):.0f} dBFS"
        strongest = f", the strongest frequency {strongest_hz(heard):.0f} Hz" if not is_silent(heard) else ""
        return f"{len(heard) / RATE:.1f} s came, {words}{strongest}"


def is_silent(samples: Samples) -> bool:
    """Whether nothing is to be heard in any 20 ms of it."""
    return all(dbfs(frame) <= SILENT_DBFS for frame in _frames_of(samples))


def is_like_speech(samples: Samples) -> bool:
    """Whether the sound goes up and down as speech does, and is no tone."""
    levels = np.array([max(dbfs(frame), -90.0) for frame in _frames_of(samples)])
    loud = levels > SILENT_DBFS + 10
    if loud.mean() < _SPEECH_LOUD or float(levels.std()) < _SPEECH_MOVES_DB:
        return False
    pure = [_purity(frame) for frame, counts in zip(_frames_of(samples), loud, strict=True) if counts]
    return float(np.median(pure)) < _PURE


def strongest_hz(samples: Samples) -> float:
    """The frequency that has the most of it [Hz]."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64)))
    return float(np.argmax(spectrum)) * RATE / len(samples)


def _purity(samples: Samples) -> float:
    """How much of the energy one frequency has, 0 to 1."""
    power = np.abs(np.fft.rfft(samples.astype(np.float64) * np.hanning(len(samples)))) ** 2
    peak = int(np.argmax(power))
    return float(power[max(0, peak - 2) : peak + 3].sum() / (power.sum() + 1e-9))


def _is_loud(samples: Samples) -> bool:
    return dbfs(samples) > SILENT_DBFS


def _frames_of(samples: Samples) -> list[Frame]:
    return [samples[at : at + FRAME_SAMPLES] for at in range(0, len(samples), FRAME_SAMPLES)]
