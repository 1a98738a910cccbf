"""The sound of one room: every 20 ms each seat is heard, mixed and answered. Lives in the media loop.

::

    leg.pull of each seat -> voice, unless muted or on hold -> who speaks? -> mix-minus -> leg.send of each who speaks
    leg.skim where nobody speaks ──────────────────────────────┘             └──> one mix, encoded once -> all others
                             + the tone of who just came, of who just went
"""

import math
import time
from collections import deque
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.levels.talkers import TALKERS, Talkers
from sinchphone.audio.mix import Mixer, added
from sinchphone.audio.tones.signals import JOINED, LEFT, Loop, render
from sinchphone.media.clock import FrameClock, Lateness
from sinchphone.media.legs.shared_encoding import SharedEncoders
from sinchphone.media.sound import AudioLeg, Levels, Skimmable

_NOBODY: Final = ""  # says the tones of those who left
_LISTENERS: Final = " "  # hears what all hear who don't speak
_METERED: Final = 5  # frames: measured only when somebody asks
_HEARD_ANYWAY: Final = 25  # ticks, after which a seat is heard whose encoder finds no speech: other sound may be loud
_NOTHING: Final = silence()  # in place of what wasn't decoded

_joined: Final = render(JOINED)
_left: Final = render(LEFT)


class Seat:
    """One participant's place. The flags may be set in any thread and count from the next tick on.

    ``muted``: nobody hears them. ``hold``: they hear that in place of the room, and nobody hears them. ``deaf``: they hear silence.
    ``alone``: they hear that as long as nobody else is there.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.muted = False
        self.spoke_at = -math.inf  # monotonic time
        self.deaf = False
        self.hold: Loop | None = None
        self.alone: Loop | None = None
        self.said: deque[Samples] = deque(maxlen=_METERED)
        self.heard: deque[Samples] = deque(maxlen=_METERED)

    def levels(self) -> Levels:
        """How loud the participant's last tenth of a second was, as far and near sound."""
        return Levels(near_dbfs=dbfs(_joined_up(self.heard)), far_dbfs=dbfs(_joined_up(self.said)))


class Room:
    """A room. ``join`` and ``leave`` are called in the media loop; the clock runs while somebody is there."""

    def __init__(self, talkers: int = TALKERS, lateness: Lateness | None = None) -> None:
        """``talkers``: how many are heard at once; ``lateness`` is told how late its ticks come."""
        self._clock = FrameClock(self._tick, lateness)
        self._mixer: Mixer[str] = Mixer()
        self._talkers: Talkers[Seat] = Talkers(talkers)
        self._speaking: frozenset[Seat] = frozenset()
        self._alike = SharedEncoders()  # of what the listeners hear
        self._legs: dict[Seat, AudioLeg] = {}
        self._skimmable: dict[Seat, Skimmable] = {}  # those of them that need not be decoded while nobody speaks
        self._ticks = 0
        self._tones: dict[str, Samples] = {}  # what is left of each, by who says it

    @property
    def dropped(self) -> int:
        """Ticks that were left out after stalls."""
        return self._clock.dropped

    async def join(self, seat: Seat, leg: AudioLeg) -> None:
        """Carry sound between the seat and the room from now on. Those who are there hear a short tone, unless a seat only changes its
        leg."""
        if self._legs and seat not in self._legs:
            self._tones[seat.name] = _joined
        self._legs[seat] = leg
        self._skimmable.pop(seat, None)
        if isinstance(leg, Skimmable):
            self._skimmable[seat] = leg
        self._clock.start()

    async def leave(self, seat: Seat) -> None:
        """The seat is empty; those who are still there hear a short tone. May be called twice."""
        if self._legs.pop(seat, None) is None:
            return
        self._skimmable.pop(seat, None)
        self._tones.pop(seat.name, None)
        if self._legs:
            self._tones[_NOBODY] = _left
        else:
            self._clock.stop()

    def _tick(self) -> None:
        heard = self._mixer.mix(self._listen())
        for_all = self._alike.frame(heard[_LISTENERS])
        for seat, leg in self._legs.items():
            frame = _played_to(seat, heard.get(seat.name, for_all), alone=len(self._legs) == 1)
            seat.heard.append(frame)
            leg.send(frame)

    def _listen(self) -> dict[str, Frame]:
        """What is said in these 20 ms, by each who speaks."""
        voices: dict[Seat, Frame] = {}
        self._ticks += 1
        for number, (seat, leg) in enumerate(self._legs.items(), self._ticks):
            voice = self._hear(seat, leg, is_due=number % _HEARD_ANYWAY == 0)
            seat.said.append(voice)
            if not seat.muted and seat.hold is None:
                voices[seat] = voice
        before = self._speaking
        levels = {seat: -math.inf if voice is _NOTHING else dbfs(voice) for seat, voice in voices.items()}
        self._speaking = self._talkers.choose(levels)
        now = time.monotonic()
        for seat in self._speaking:
            seat.spoke_at = now
        said: dict[str, Frame] = {_LISTENERS: silence()}
        for seat, voice in voices.items():
            if seat in self._speaking or seat in before:
                said[seat.name] = _faded(voice, comes=seat not in before, goes=seat not in self._speaking)
        for name in list(self._tones):
            said[name] = added(said.get(name, silence()), self._next_of_tone(name))
        return said

    def _hear(self, seat: Seat, leg: AudioLeg, *, is_due: bool) -> Frame:
        """What somebody says; also where nobody hears it: the jitter buffer goes on."""
        skimmable = self._skimmable.get(seat)
        if skimmable is None or is_due or seat in self._speaking:
            return leg.pull(FRAME_SAMPLES)
        voice = skimmable.skim(FRAME_SAMPLES)
        return _NOTHING if voice is None else voice

    def _next_of_tone(self, name: str) -> Frame:
        tone, frame = self._tones.pop(name), silence()
        frame[: min(FRAME_SAMPLES, len(tone))] = tone[:FRAME_SAMPLES]
        if len(tone) > FRAME_SAMPLES:
            self._tones[name] = tone[FRAME_SAMPLES:]
        return frame


def _faded(voice: Frame, *, comes: bool, goes: bool) -> Frame:
    """A voice whose first or last frame is heard without a click."""
    if not comes and not goes:
        return voice
    rise = np.linspace(0, 1, FRAME_SAMPLES, dtype=np.float32)
    faded: Frame = (voice * (np.minimum(1, 4 * rise) if comes else 1 - rise)).astype(np.int16)
    return faded


def _played_to(seat: Seat, mixed: Frame, *, alone: bool) -> Frame:
    hold = seat.hold or (seat.alone if alone else None)  # read once: another thread may change it
    if hold is not None:
        return hold.pull(FRAME_SAMPLES)
    return silence() if seat.deaf else mixed


def _joined_up(frames: deque[Samples]) -> Samples:
    """One line of samples; the media thread may be adding frames meanwhile."""
    kept = list(frames)
    return np.concatenate(kept) if kept else silence(0)
