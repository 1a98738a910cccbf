"""Joins a leg to a microphone, a loudspeaker and a recording, across the thread lines.

::

    microphone's thread: capture() -> ring -> voice ─┐
    files, tone, silence: every tick ────────────────┴> mute -> meter -> recording -> AudioLeg.send      (media loop)
    loudspeaker's thread: render() <- AudioLeg.pull, or a signal
                              └-> ring -> meter -> recording                               (media loop)

Whoever has a clock drives: each device its own direction, and ``tick``, called every 20 ms, every direction that has no
device, or one that has stalled.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.audio.levels.activity import Listener
from sinchphone.audio.levels.level import Meter
from sinchphone.audio.mix import added, amplified
from sinchphone.media.legs.call_leg import HEARD_BLOCKS
from sinchphone.media.local_audio.recorder import Recorder
from sinchphone.media.local_audio.voice import VoiceProcessing
from sinchphone.media.sound import AudioLeg, Levels, Volume
from sinchphone.media.sound_batch import SoundBatch

MICROPHONE_STALL_SECONDS: Final = 0.060  # devices give blocks of up to 30 ms at a time
LOUDSPEAKER_STALL_SECONDS: Final = 0.200
_CAPTURE_BLOCKS: Final = 10  # 100 ms: what the media loop may be late without a loss


class SampleSource(Protocol):
    """A sound without end."""

    def pull(self, samples: int) -> Samples:
        """The next ``samples``."""


class AudioIo:
    """One end of one call. ``wake`` has a function called in the media loop, soon, from any thread.

    ``near`` gives the frames to be sent; without it the microphone does, and where that is silent, silence is sent. ``hears`` takes the
    far sound of an answered call, in the media loop.
    """

    def __init__(
        self,
        wake: Callable[[Callable[[], None]], None],
        *,
        near: Callable[[], Frame] | None = None,
        recorder: Recorder | None = None,
        hears: Callable[[Samples], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.muted = False
        self.signal: SampleSource | None = None  # what the person hears in place of the far sound
        self.over: SampleSource | None = None  # what the person hears together with it
        self.volume = Volume()
        self._wake = wake
        self._near = near
        self._recorder = recorder
        self._hears = hears
        self._clock = clock
        self._leg: AudioLeg | None = None
        self._talks = False  # the call was answered: what is said here is sent and recorded
        self._pulling = threading.Lock()  # a stalled loudspeaker may come back while a tick pulls in its place
        self.has_microphone = False  # one is open, whether it gives anything or not
        self.voice: VoiceProcessing | None = None  # what is done to the microphone's sound; may be changed in any thread
        self._used_voice: VoiceProcessing | None = None
        self._captured: deque[Samples] = deque(maxlen=_CAPTURE_BLOCKS)
        self._unsent = silence(0)
        self._heard: deque[tuple[float, Samples]] = deque(maxlen=HEARD_BLOCKS)
        self._captured_at = self._rendered_at = float("-inf")
        self._near_meter = Meter()
        self._near_listener, self._far_listener = Listener(), Listener()
        self._near_batch, self._far_batch = SoundBatch(self._near_listener.push), SoundBatch(self._far_listener.push)
        self._sent_batch = SoundBatch(self._near_meter.push)

    @property
    def levels(self) -> Levels:
        """How loud both directions are; the near sound is what is sent."""
        for batch in (self._near_batch, self._far_batch, self._sent_batch):
            batch.settle()
        listens = self._near is None and (self.has_microphone or math.isfinite(self._captured_at))
        near = self._near_listener.activity if listens else None
        return Levels(near_dbfs=self._near_meter.dbfs, far_dbfs=self._far_listener.meter.dbfs, near=near, far=self._far_listener.activity)

    def connect(self, leg: AudioLeg, *, early: bool = False) -> None:
        """Carry sound from now on, and begin the recording; ``early``: only hear. In the media loop, like ``tick`` and ``disconnect``."""
        self._captured.clear()
        if self._recorder is not None and not early and not self._talks:
            self._recorder.start(self._clock())
        self._talks = not early
        self._leg = leg

    def disconnect(self) -> None:
        """Let go of the leg; hands the last sound to the recording."""
        self._leg = None
        self._write_heard()

    def capture(self, samples: Samples) -> None:
        """Takes a block from the microphone. The device's thread; doesn't block."""
        if self._leg is None or not self._talks:
            return
        self._captured_at = self._clock()
        self._captured.append(samples)
        self._wake(self._send_captured)

    def render(self, samples: int) -> Samples:
        """Gives the loudspeaker its next ``samples``: the signal, the far sound or silence. The device's thread; doesn't block."""
        self._rendered_at = self._clock()
        far = self._pull(samples)
        signal, over, voice = self.signal, self.over, self.voice
        sound = amplified(far if signal is None else signal.pull(samples), self.volume.loudspeaker_db)
        if over is not None:
            sound = added(sound, over.pull(samples))
        if voice is not None:
            voice.far(sound)
        return sound

    def tick(self) -> None:
        """Every 20 ms: does what no device does."""
        now = self._clock()
        if not self._talks:
            if self._leg is not None:
                self._leg.send(silence())
        elif self._near is not None:
            self._send(self._near())
        elif now - self._captured_at > MICROPHONE_STALL_SECONDS:
            self._send(silence())
        if now - self._rendered_at > LOUDSPEAKER_STALL_SECONDS:
            self._pull(FRAME_SAMPLES)
        self._write_heard()
        if self._recorder is not None:
            self._recorder.flush(now)

    def _send_captured(self) -> None:
        if self._near is not None:
            return
        voice = self.voice
        if voice is not self._used_voice:  # which gives whole frames: a rest before them would make all of them later
            self._used_voice, self._unsent = voice, silence(0)
        while self._captured:
            block = self._captured.popleft()
            self._unsent = np.concatenate([self._unsent, block if voice is None else voice.near(block)])
        while len(self._unsent) >= FRAME_SAMPLES:
            frame, self._unsent = self._unsent[:FRAME_SAMPLES], self._unsent[FRAME_SAMPLES:]
            self._send(amplified(frame, self.volume.microphone_db))

    def _send(self, frame: Frame) -> None:
        leg = self._leg
        if leg is None:
            return
        self._near_batch.push(frame)
        if self.muted:
            frame = silence()
        self._sent_batch.push(frame)
        if self._recorder is not None:
            self._recorder.near(frame, self._clock())
        leg.send(frame)

    def _pull(self, samples: int) -> Samples:
        leg = self._leg
        if leg is None:
            return silence(samples)
        with self._pulling:
            far = leg.pull(samples)
        self._heard.append((self._clock(), far))
        return far

    def _write_heard(self) -> None:
        while self._heard:
            heard_at, far = self._heard.popleft()
            self._far_batch.push(far)
            if self._hears is not None and self._talks:
                self._hears(far)
            if self._recorder is not None and self._talks:
                self._recorder.far(far, heard_at)
