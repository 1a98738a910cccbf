"""What a call's sound is joined to in place of its port's leg: the same, or music for a peer on hold.

::

    sound -> CallLeg.send -> the port's leg          on hold: what is said here is dropped, music or silence goes out
    sound <- CallLeg.pull <- the port's leg          on hold: silence; what the peer sends all the same is dropped
"""

from typing import Protocol

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.media.sound import AudioLeg


class HoldSound(Protocol):
    """What a peer on hold hears: a sound without end."""

    def pull(self, samples: int) -> Samples:
        """The next ``samples``."""


class CallLeg:
    """Implements media.sound.AudioLeg over another leg. ``hold`` may be called in any thread."""

    def __init__(self, leg: AudioLeg) -> None:
        self._leg = leg
        self._held: HoldSound | None = None

    def hold(self, sound: HoldSound | None) -> None:
        """From now on the peer hears ``sound`` and nobody here hears it; ``None``: both hear each other again."""
        self._held = sound

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms of near sound, or of what is heard on hold."""
        held = self._held
        self._leg.send(frame if held is None else held.pull(FRAME_SAMPLES))

    def pull(self, samples: int) -> Samples:
        """The next ``samples`` of far sound; the port's buffers move on in a hold too."""
        far = self._leg.pull(samples)
        return far if self._held is None else silence(samples)

    def is_missing(self) -> bool:
        """Whether the peer ought to send, and nothing comes."""
        return self._leg.is_missing()
