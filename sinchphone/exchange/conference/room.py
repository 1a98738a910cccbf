"""The sound of one room: every 20 ms each seat is heard, mixed and answered. Lives in the media loop.

::

    leg.pull of each seat -> voice, unless muted or on hold -> mix-minus -> leg.send of each seat
                             + the tone of who just came, of who just went
"""

from collections import deque
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.audio.level import dbfs
from sinchphone.audio.mix import Mixer
from sinchphone.audio.tones.signals import JOINED, LEFT, Loop, render
from sinchphone.media.clock import FrameClock
from sinchphone.media.sound import AudioLeg, Levels

_NOBODY: Final = ""  # says the tones of those who left
_FULL_SCALE: Final = 32_767
_METERED: Final = 5  # frames: measured only when somebody asks

_joined: Final = render(JOINED)
_left: Final = render(LEFT)


class Seat:
    """One participant's place. The flags may be set in any thread and count from the next tick on.

    ``muted``: nobody hears them. ``hold``: they hear that in place of the room, and nobody hears them. ``deaf``: they hear silence.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.muted = False
        self.deaf = False
        self.hold: Loop | None = None
        self.said: deque[Samples] = deque(maxlen=_METERED)
        self.heard: deque[Samples] = deque(maxlen=_METERED)

    def levels(self) -> Levels:
        """How loud the participant's last tenth of a second was, as far and near sound."""
        return Levels(near_dbfs=dbfs(_joined_up(self.heard)), far_dbfs=dbfs(_joined_up(self.said)))


class Room:
    """A room. ``join`` and ``leave`` are called in the media loop; the clock runs while somebody is there."""

    def __init__(self) -> None:
        self._clock = FrameClock(self._tick)
        self._mixer: Mixer[str] = Mixer()
        self._legs: dict[Seat, AudioLeg] = {}
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
        self._clock.start()

    async def leave(self, seat: Seat) -> None:
        """The seat is empty; those who are still there hear a short tone. May be called twice."""
        if self._legs.pop(seat, None) is None:
            return
        self._tones.pop(seat.name, None)
        if self._legs:
            self._tones[_NOBODY] = _left
        else:
            self._clock.stop()

    def _tick(self) -> None:
        heard = self._mixer.mix(self._listen())
        for seat, leg in self._legs.items():
            frame = _played_to(seat, heard[seat.name])
            seat.heard.append(frame)
            leg.send(frame)

    def _listen(self) -> dict[str, Frame]:
        """What is said in these 20 ms, by each."""
        said: dict[str, Frame] = {}
        for seat, leg in self._legs.items():
            voice = leg.pull(FRAME_SAMPLES)  # also where nobody hears it: the jitter buffer goes on
            seat.said.append(voice)
            said[seat.name] = silence() if seat.muted or seat.hold is not None else voice
        for name in list(self._tones):
            said[name] = _add(said.get(name), self._next_of_tone(name))
        return said

    def _next_of_tone(self, name: str) -> Frame:
        tone, frame = self._tones.pop(name), silence()
        frame[: min(FRAME_SAMPLES, len(tone))] = tone[:FRAME_SAMPLES]
        if len(tone) > FRAME_SAMPLES:
            self._tones[name] = tone[FRAME_SAMPLES:]
        return frame


def _played_to(seat: Seat, mixed: Frame) -> Frame:
    hold = seat.hold  # read once: another thread may change it
    if hold is not None:
        return hold.pull(FRAME_SAMPLES)
    return silence() if seat.deaf else mixed


def _joined_up(frames: deque[Samples]) -> Samples:
    """One line of samples; the media thread may be adding frames meanwhile."""
    kept = list(frames)
    return np.concatenate(kept) if kept else silence(0)


def _add(voice: Frame | None, tone: Frame) -> Frame:
    if voice is None:
        return tone
    both: Frame = np.clip(voice.astype(np.int32) + tone, -_FULL_SCALE - 1, _FULL_SCALE).astype(np.int16)
    return both
