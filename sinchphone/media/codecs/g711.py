"""G.711, the codec of every telephone: PCMU and PCMA, 64 kbit/s (ITU-T G.711, RFC 3551 4.5.14)."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.audio.resample import Downsampler, to_samples
from sinchphone.media.codecs.telephone import TelephoneDecoder

_RATE: Final = 8_000
_FACTOR: Final = RATE // _RATE
_BIAS: Final = 33  # of mu-law, in 14-bit steps


@cache
def _expansion(law: str) -> NDArray[np.float32]:
    """The sample of each of the 256 codes, in 16-bit steps (G.711 tables 1 and 2)."""
    codes = np.arange(256)
    if law == "PCMU":
        codes = ~codes & 0xFF
        magnitude = ((((codes & 0x0F) << 1) + _BIAS) << (codes >> 4 & 0x07)) - _BIAS
        return np.where(codes & 0x80, -magnitude, magnitude).astype(np.float32) * 4
    codes = codes ^ 0x55
    segment, step = codes >> 4 & 0x07, (codes & 0x0F) << 1
    magnitude = np.where(segment == 0, step + 1, (step + 33) << np.maximum(segment - 1, 0))
    return np.where(codes & 0x80, magnitude, -magnitude).astype(np.float32) * 8


@cache
def _compression(law: str) -> NDArray[np.uint8]:
    """The code that comes nearest to each 16-bit sample, read as unsigned; of two that are as near, the louder."""
    levels = _expansion(law)
    order = np.lexsort((np.arange(256), levels))  # of the two zeros of mu-law the negative one, 0x7F, comes first: 0xFF is the one to send
    ascending = levels[order]
    samples = np.arange(-32_768, 32_768)
    borders = (ascending[:-1] + ascending[1:]) / 2
    index = np.where(samples >= 0, np.searchsorted(borders, samples, "right"), np.searchsorted(borders, samples, "left"))
    table = np.empty(65_536, np.uint8)
    table[samples.astype(np.uint16)] = order[index]
    return table


@cache
def translation(source: str, sink: str) -> bytes:
    """For each code of one law the nearest of the other: what ``bytes.translate`` takes (G.711 tables 3 and 4)."""
    return _compression(sink)[_expansion(source).astype(np.int16).view(np.uint16)].tobytes()


class Encoder:
    """Sound to 8 bytes a millisecond. ``law``: PCMU or PCMA. One thread at a time."""

    def __init__(self, law: str) -> None:
        self._table = _compression(law)
        self._downsampler = Downsampler(_FACTOR)

    def encode(self, frame: Samples) -> bytes:
        """The payload for the next ``frame``."""
        return self._table[to_samples(self._downsampler.push(frame)).view(np.uint16)].tobytes()

    def adapt(self, setting: RedundancySetting) -> None:
        """There is one bit rate, and nothing to repair with."""


class G711Decoder(TelephoneDecoder):
    """``law``: PCMU or PCMA."""

    def __init__(self, law: str) -> None:
        super().__init__(_RATE)
        self._table = _expansion(law)

    def decode(self, payload: bytes) -> Samples:
        """The packet's sound. Every byte is a sample: no packet is bad."""
        return self._heard(self._table[np.frombuffer(payload, np.uint8)])
