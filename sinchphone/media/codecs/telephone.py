"""What the decoders of G.711 and G.722 have alike."""

from typing import Final

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.playout.conceal import Concealer
from sinchphone.audio.resample import Upsampler, Wave, to_samples

_SAMPLES_PER_BYTE: Final = RATE // 8_000  # 64 kbit/s


class TelephoneDecoder:
    """Payloads of any length to sound at 48 kHz; what is lost is made up from what was heard. One thread at a time.

    ``rate`` is the codec's [Hz]. Its packets carry no copies and don't say whether anybody speaks; made-up sound disturbs next to no state.
    """

    def __init__(self, rate: int) -> None:
        self._factor = RATE // rate
        self._concealer = Concealer(rate)
        self._upsampler = Upsampler(self._factor)

    def duration(self, payload: bytes) -> int:
        """Samples in a packet."""
        return len(payload) * _SAMPLES_PER_BYTE

    def recoverable(self, payload: bytes) -> int:
        """There are no copies."""
        return 0

    def is_background(self, payload: bytes) -> bool:
        """It doesn't tell."""
        return False

    def conceal(self, samples: int) -> Samples:
        """``samples`` that carry on the sound before them and fade within 60 ms."""
        return self._at_full_rate(self._concealer.make_up(-(-samples // self._factor)))[:samples]

    def recover(self, payload: bytes, samples: int) -> Samples:
        """As ``conceal``."""
        return self.conceal(samples)

    def note(self) -> bool:
        """Nothing is worth it."""
        return False

    def go_back(self) -> None:
        """Nothing was noted."""

    def _heard(self, wave: Wave) -> Samples:
        return self._at_full_rate(self._concealer.heard(wave))

    def _at_full_rate(self, wave: Wave) -> Samples:
        return to_samples(self._upsampler.push(wave))
