"""What a call's sound is joined to in place of its port's leg: what is said may be replaced, and both sides be listened to.

::

    Sound -- send --> [source, or the sound of a hold, in its place] --> the port's leg --> the peer
                               └──> taps: near     (media thread)
    Sound <-- pull --- [silence in a hold] ----------------------------- the port's leg <-- the peer
                               └──> ring --> taps: far          (media thread)

Whatever the sound is (devices, files, a party of code), this end of the call is the same.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.audio.levels.level import Meter
from sinchphone.media.legs.three_way import MixSide
from sinchphone.media.sound import AudioLeg, Skimmable, Tap

HEARD_BLOCKS: Final = 200  # of the loudspeaker, 10 ms and more each, until the next frame is sent


class HoldSound(Protocol):
    """What a peer on hold hears: a sound without end."""

    def pull(self, samples: int) -> Samples:
        """The next ``samples``."""


class FrameSource(Protocol):
    """A sound that is said in place of the near one."""

    def next_frame(self) -> Frame:
        """The next 20 ms. Media thread; doesn't block."""


class CallLeg:
    """Implements media.sound.AudioLeg over another leg. All but ``send`` and ``pull`` may be called, and set, in any thread.

    ``source`` is asked for frames, and taps hear, while ``talks`` is set: when the peer can hear. In a hold the source waits. ``muted``
    silences the source; whoever gives the near sound silences that.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.source: FrameSource | None = None
        self.talks = False
        self.muted = False
        self.mix: MixSide | None = None  # of a call that is joined to this one
        self._clock = clock
        self._leg: AudioLeg | None = None
        self._skimmable: Skimmable | None = None  # the same, if it can be skimmed
        self._held: HoldSound | None = None
        self._taps: tuple[Tap, ...] = ()
        self._tapping = threading.Lock()
        self._heard: deque[tuple[float, Samples]] = deque(maxlen=HEARD_BLOCKS)
        self._said = Meter()

    @property
    def source_dbfs(self) -> float | None:
        """How loud the source is now [dBFS]; None where there is none."""
        return self._said.dbfs if self.source is not None and self.talks else None

    def carry(self, leg: AudioLeg) -> None:
        """Carry sound to and from this leg from now on."""
        self._leg = leg
        self._skimmable = leg if isinstance(leg, Skimmable) else None

    def hold(self, sound: HoldSound | None) -> None:
        """From now on the peer hears ``sound`` and nobody here hears it; ``None``: both hear each other again."""
        self._held = sound

    def tap(self, tap: Tap) -> None:
        """It hears what is said and heard from now on."""
        with self._tapping:
            if not self._taps:
                self._heard.clear()
            self._taps = (*self._taps, tap)

    def untap(self, tap: Tap) -> None:
        """It hears nothing any more, once this has returned. Nothing happens where it isn't one."""
        with self._tapping:
            self._taps = tuple(other for other in self._taps if other is not tap)

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms: what is heard on hold, or the source's in place of ``frame``, where there is one."""
        leg, source, held = self._leg, self.source, self._held
        if leg is None:
            return
        if held is not None:
            frame = held.pull(FRAME_SAMPLES)
        elif source is not None and self.talks:
            frame = source.next_frame()
            if self.muted:
                frame = silence()
            self._said.push(frame)
        mix = self.mix
        leg.send(frame if mix is None or held is not None else mix.send(frame))
        if self._taps and self.talks:
            self._tell_taps(frame)

    def pull(self, samples: int) -> Samples:
        """The next ``samples`` of far sound; the port's buffers move on in a hold too."""
        leg = self._leg
        if leg is None:
            return silence(samples)
        far = leg.pull(samples)
        mix = self.mix
        if self._held is not None:
            far = silence(samples)
        elif mix is not None:
            far = mix.pull(far)
        if self._taps:
            self._heard.append((self._clock(), far))
        return far

    def skim(self, samples: int) -> Samples | None:
        """As ``pull``; ``None`` where the peer's encoder says that nobody speaks, and nobody else hears it."""
        leg = self._skimmable
        if leg is None or self._taps or self._held is not None or self.mix is not None:
            return self.pull(samples)
        return leg.skim(samples)

    def is_missing(self) -> bool:
        """As the leg says; before there is one, nothing came."""
        return self._leg is None or self._leg.is_missing()

    def _tell_taps(self, near: Frame) -> None:
        now = self._clock()
        with self._tapping:
            for tap in self._taps:
                tap.near(near, now)
            while self._heard:
                heard_at, far = self._heard.popleft()
                for tap in self._taps:
                    tap.far(far, heard_at)
            for tap in self._taps:
                tap.flush(now)
