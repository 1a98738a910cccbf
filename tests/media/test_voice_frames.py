"""Processing that begins in mid-call makes the microphone's sound no later than its own delay."""

from collections.abc import Callable

import numpy as np

from sinchphone.audio.frame import Frame, Samples, silence
from sinchphone.media.local_audio.audio_io import AudioIo
from sinchphone.media.local_audio.voice import VoiceProcessing


class Sent:
    """A leg that keeps what is sent."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)

    def pull(self, samples: int) -> Samples:
        return silence(samples)

    def is_missing(self) -> bool:
        return False


def at_once(action: Callable[[], None]) -> None:
    action()


def test_half_a_frame_from_before_the_processing_makes_nothing_later() -> None:
    audio_io, leg = AudioIo(at_once), Sent()
    audio_io.connect(leg)
    audio_io.capture(np.full(480, 1, np.int16))
    audio_io.voice = VoiceProcessing()
    for value in (2, 3):
        audio_io.capture(np.full(480, value, np.int16))
    assert [sorted(set(frame.tolist())) for frame in leg.frames] == [[2, 3]]
