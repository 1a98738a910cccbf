"""How loud the loudspeaker plays and the microphone is sent, turned in mid-call: what is said to the peer follows the microphone alone."""

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.mix import CEILING, amplified
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.local_audio.audio_io import AudioIo
from sinchphone.media.sound import Volume
from tests.instruments import tone_dbfs


class Leg:
    """The peer says 1 kHz at -20 dBFS, and what is said to it is kept."""

    def __init__(self) -> None:
        self.sent = silence(0)
        self._tone = Sine(1000)

    def send(self, frame: Samples) -> None:
        self.sent = np.concatenate([self.sent, frame])

    def pull(self, samples: int) -> Samples:
        return self._tone.pull(samples)

    def is_missing(self) -> bool:
        return False


def talk(volume: Volume) -> tuple[float, float]:
    """The level of what is sent of a microphone that hears 440 Hz at -20 dBFS, and of what is played [dBFS]."""
    audio_io, leg, tone = AudioIo(lambda function: function()), Leg(), Sine(440)
    audio_io.volume = volume
    audio_io.connect(leg)
    played = silence(0)
    for _ in range(RATE // FRAME_SAMPLES):
        audio_io.capture(tone.pull(FRAME_SAMPLES))
        played = np.concatenate([played, audio_io.render(FRAME_SAMPLES)])
    return tone_dbfs(leg.sent, 440), tone_dbfs(played, 1000)


def test_each_is_turned_by_itself() -> None:
    sent, played = talk(Volume())
    assert abs(sent + 20) < 0.1
    assert abs(played + 20) < 0.1
    sent, played = talk(Volume(loudspeaker_db=-12))
    assert abs(sent + 20) < 0.1
    assert abs(played + 32) < 0.1
    sent, played = talk(Volume(microphone_db=9))
    assert abs(sent + 11) < 0.1
    assert abs(played + 20) < 0.1


def test_what_is_too_loud_is_cut_off_and_does_not_turn_over() -> None:
    loud = np.full(FRAME_SAMPLES, 30_000, np.int16)
    assert (amplified(loud, 18) == CEILING).all()
    assert (amplified(-loud, 18) == -CEILING - 1).all()
