"""G.722 at 64 kbit/s by way of FFmpeg: 16 kHz of sound, which most desk phones call HD (ITU-T G.722, RFC 3551 4.5.2).

FFmpeg's codec keeps its state from packet to packet and takes any number of bytes, so what is lost is made up here.
"""

from typing import Final, Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.audio.resample import Downsampler, to_samples
from sinchphone.errors import MediaError
from sinchphone.media.codecs.telephone import TelephoneDecoder

_RATE: Final = 16_000
_FACTOR: Final = RATE // _RATE
_STEP: Final = 80  # samples that the encoder takes at once: 5 ms, of which every packet is made


class Encoder:
    """Sound to 8 bytes a millisecond. One thread at a time."""

    def __init__(self) -> None:
        """Raises MediaError where FFmpeg has no G.722."""
        self._context = _open("w")
        self._downsampler = Downsampler(_FACTOR)

    def encode(self, frame: Samples) -> bytes:
        """The payload for the next ``frame``. Raises MediaError."""
        samples = to_samples(self._downsampler.push(frame))
        try:
            return b"".join(self._encode(samples[at : at + _STEP]) for at in range(0, len(samples), _STEP))
        except av.FFmpegError as error:
            raise MediaError(f"G.722 could not be encoded: {error}") from error

    def _encode(self, samples: Samples) -> bytes:
        sound = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        sound.sample_rate = _RATE
        return b"".join(bytes(packet) for packet in self._context.encode(sound))

    def adapt(self, setting: RedundancySetting) -> None:
        """There is one bit rate, and nothing to repair with."""


class G722Decoder(TelephoneDecoder):
    """FFmpeg's."""

    def __init__(self) -> None:
        """Raises MediaError where FFmpeg has no G.722."""
        super().__init__(_RATE)
        self._context = _open("r")

    def decode(self, payload: bytes) -> Samples:
        """The packet's sound. Raises MediaError for an empty one, which would end FFmpeg's stream."""
        if not payload:
            raise MediaError("a G.722 packet is empty")
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise MediaError(f"a G.722 packet could not be decoded: {error}") from error
        sound = [frame.to_ndarray().ravel().astype(np.float32) for frame in frames]
        return self._heard(np.concatenate([np.zeros(0, np.float32), *sound]))


def _open(mode: Literal["r", "w"]) -> AudioCodecContext:
    try:
        context = av.CodecContext.create("g722", mode)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError("there is no G.722 in this FFmpeg", hint="reinstall PyAV: pip install --force-reinstall av") from error
    context.sample_rate = _RATE
    context.format = "s16"
    context.layout = "mono"
    if mode == "w":
        context.options = {"frame_size": str(_STEP)}
    return context
