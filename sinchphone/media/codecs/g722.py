"""G.722 at 64 kbit/s by way of FFmpeg: 16 kHz of sound, which most desk phones call HD (ITU-T G.722, RFC 3551 4.5.2).

FFmpeg's codec keeps its state from packet to packet and takes any number of bytes, so what is lost is made up here.
"""

from typing import Final, Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.playout.conceal import Concealer
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.audio.resample import Downsampler, Upsampler, Wave, to_samples
from sinchphone.errors import MediaError

_RATE: Final = 16_000
_FACTOR: Final = RATE // _RATE
_STEP: Final = 80  # samples that the encoder takes at once: 5 ms, of which every packet is made
_SAMPLES_PER_BYTE: Final = 6  # at 48 kHz: a byte is two samples at 16 kHz


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


class Decoder:
    """Payloads of any length to sound at 48 kHz; what is lost is made up from what was heard. One thread at a time."""

    def __init__(self) -> None:
        """Raises MediaError where FFmpeg has no G.722."""
        self._context = _open("r")
        self._concealer = Concealer(_RATE)
        self._upsampler = Upsampler(_FACTOR)

    def duration(self, payload: bytes) -> int:
        """Samples in a packet."""
        return len(payload) * _SAMPLES_PER_BYTE

    def recoverable(self, payload: bytes) -> int:
        """There are no copies."""
        return 0

    def is_background(self, payload: bytes) -> bool:
        """It doesn't tell."""
        return False

    def decode(self, payload: bytes) -> Samples:
        """The packet's sound. Raises MediaError for an empty one, which would end FFmpeg's stream."""
        if not payload:
            raise MediaError("a G.722 packet is empty")
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise MediaError(f"a G.722 packet could not be decoded: {error}") from error
        sound = [frame.to_ndarray().ravel().astype(np.float32) for frame in frames]
        return self._at_full_rate(self._concealer.heard(np.concatenate([np.zeros(0, np.float32), *sound])))

    def conceal(self, samples: int) -> Samples:
        """``samples`` that carry on the sound before them and fade within 60 ms."""
        return self._at_full_rate(self._concealer.make_up(-(-samples // _FACTOR)))[:samples]

    def recover(self, payload: bytes, samples: int) -> Samples:
        """As ``conceal``."""
        return self.conceal(samples)

    def note(self) -> bool:
        """There is next to no state that made-up sound disturbs."""
        return False

    def go_back(self) -> None:
        """Nothing was noted."""

    def _at_full_rate(self, wave: Wave) -> Samples:
        return to_samples(self._upsampler.push(wave))


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
