"""Joins the sound of two legs: what one says the other hears, 20 ms at a time. For calls that don't go through a relay."""

from contextlib import suppress

from sinchphone.audio.frame import FRAME_SAMPLES, Samples
from sinchphone.audio.tones.signals import Loop
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.exchange.destinations.parties import Speaker
from sinchphone.media.clock import FrameClock
from sinchphone.media.sound import AudioLeg
from sinchphone.media.thread import MediaThread


class AudioBridge:
    """Joins two legs, from ``join`` to ``close``."""

    def __init__(self, media: MediaThread) -> None:
        self._media = media
        self._clock = FrameClock(self._tick, media.lateness)
        self._legs: tuple[AudioLeg, AudioLeg] | None = None
        self._fill = (True, True)
        self._speakers = (Speaker(), Speaker())
        self._music: Loop | None = None  # for the one, in place of the other

    def say(self, samples: Samples, *, to_one: bool) -> None:
        """Let one of the two hear that in place of the other. Any thread."""
        self._speakers[0 if to_one else 1].say(samples)

    def play_to_one(self, music: Loop | None) -> None:
        """Let the first of the two hear that in place of the other, until ``None``. Any thread."""
        self._music = music

    async def join(self, one: AudioLeg, other: AudioLeg, *, fill: tuple[bool, bool] = (True, True)) -> None:
        """Carry sound both ways from now on. ``fill``: whether each gets silence where the other one's stream is missing, or nothing."""
        await self._media.run(self._start(one, other, fill))

    async def close(self) -> None:
        """Stop. May be called twice."""
        if self._legs is not None:
            with suppress(LocalProtocolError, MediaError):  # the media thread was stopped, and the clock with it
                await self._media.run(self._stop())

    async def _start(self, one: AudioLeg, other: AudioLeg, fill: tuple[bool, bool]) -> None:
        self._legs, self._fill = (one, other), fill
        self._clock.start()

    async def _stop(self) -> None:
        self._clock.stop()
        self._legs = None

    def _tick(self) -> None:
        if self._legs is None:
            return
        one, other = self._legs
        said, answered = one.pull(FRAME_SAMPLES), other.pull(FRAME_SAMPLES)
        to_one, to_other = self._speakers
        if to_other.speaks:
            other.send(to_other.tick(said))
        elif self._fill[1] or not one.is_missing():
            other.send(said)
        music = self._music  # read once: another thread may change it
        if to_one.speaks:
            one.send(to_one.tick(answered))
        elif music is not None:
            one.send(music.pull())
        elif self._fill[0] or not other.is_missing():
            one.send(answered)
