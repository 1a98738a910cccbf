"""Those who answer the exchange's own numbers: each hears 20 ms and says 20 ms (``media.sound.Party``)."""

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.audio.tones import TONE_DBFS, Sine
from sinchphone.media.sound import Party


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

    def __init__(self, hz: float, level_dbfs: float = TONE_DBFS) -> None:
        self._sine = Sine(hz, level_dbfs)

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
