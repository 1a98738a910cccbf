"""One end's sound, where others may listen in: recordings, and what listens for answering machines.

::

    pull -> what the end says       -> whoever listens -> the bridge, the room, the party that has the end
    send -> what the end is to hear -> whoever listens -> the end
"""

from typing import Protocol

from sinchphone.audio.frame import Frame, Samples
from sinchphone.media.sound import AudioLeg, Skimmable


class LegListener(Protocol):
    """Hears both directions of an end, in the media thread."""

    def said(self, samples: Samples) -> None:
        """What the end says."""

    def heard(self, frame: Frame) -> None:
        """What it hears."""


class TappedLeg:
    """Implements media.sound.AudioLeg around another one. Listeners may come and go in any thread."""

    def __init__(self, leg: AudioLeg) -> None:
        self._leg = leg
        self._skimmable = leg if isinstance(leg, Skimmable) else None
        self._listeners: tuple[LegListener, ...] = ()

    def send(self, frame: Frame) -> None:
        """As the leg's own."""
        self._leg.send(frame)
        for listener in self._listeners:
            listener.heard(frame)

    def pull(self, samples: int) -> Samples:
        """As the leg's own."""
        far = self._leg.pull(samples)
        for listener in self._listeners:
            listener.said(far)
        return far

    def skim(self, samples: int) -> Samples | None:
        """As the leg's own where nobody listens, else all of it."""
        leg = self._skimmable
        return self.pull(samples) if leg is None or self._listeners else leg.skim(samples)

    def is_missing(self) -> bool:
        """As the leg's own."""
        return self._leg.is_missing()

    def move(self, leg: AudioLeg) -> None:
        """It is that leg's sound from now on, for the same listeners."""
        self._leg = leg
        self._skimmable = leg if isinstance(leg, Skimmable) else None

    def add(self, listener: LegListener) -> None:
        """It hears everything from now on."""
        self._listeners = (*self._listeners, listener)

    def remove(self, listener: LegListener) -> None:
        """It hears nothing more. May be called twice."""
        self._listeners = tuple(one for one in self._listeners if one is not listener)
