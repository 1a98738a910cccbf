"""The sound of a call that takes another one's place: nobody hears it before it does, and then that call's own sound is heard."""

import math

from sinchphone.media.outbox import Outbox
from sinchphone.media.sound import AudioLeg, Levels, Signal, SoundEvent


class Unheard:
    """Implements media.sound.Sound."""

    def __init__(self) -> None:
        self._events: Outbox[SoundEvent] = Outbox()

    async def open(self) -> None:
        """Nothing to take."""

    async def connect(self, leg: AudioLeg, *, early: bool = False) -> None:
        """Somebody else gives and takes sound there."""

    async def signal(self, signal: Signal | None) -> bool:
        """Nobody listens."""
        return False

    def mute(self, muted: bool) -> None:
        """Nobody speaks."""

    def levels(self) -> Levels:
        """Silence."""
        return Levels(near_dbfs=-math.inf, far_dbfs=-math.inf)

    def events(self) -> Outbox[SoundEvent]:
        """Nothing happens; ends when it's closed."""
        return self._events

    async def close(self) -> None:
        """May be called twice."""
        self._events.end()
