"""One line of frames that many legs send alike, as to the listeners of a conference: each frame is encoded once, not once for each leg.

::

    SharedEncoders.frame(samples) -> leg.send -> ... -> Outbound: encoded(codec, setting) -> the same payload for all who ask alike

The frame itself knows its encoders, so that nothing between has to pass them on; whoever changes a sample makes an array of its own,
which has none.
"""

from typing import Any, Final, TypeAlias

import numpy as np

from sinchphone.audio.frame import Frame
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.media.codecs.choice import new_encoder
from sinchphone.media.codecs.codec import CodecFormat, Encoder

_UNUSED: Final = 50  # frames, after which an encoder that nobody asked for goes

_Terms: TypeAlias = tuple[str, int, int, bool]  # codec, bit rate, loss for in-band FEC, silence suppression


class SharedFrame(np.ndarray[Any, np.dtype[np.int16]]):
    """A frame of such a line."""

    encoders: "SharedEncoders | None"

    def __array_finalize__(self, source: object) -> None:
        """Called by numpy for every view and result: these have no encoders."""
        self.encoders = None


class SharedEncoders:
    """The encoders of one line. One thread at a time."""

    def __init__(self) -> None:
        self._encodings: dict[_Terms, _FrameEncoder] = {}
        self._number = 0

    def frame(self, samples: Frame) -> SharedFrame:
        """The next frame of the line, with ``samples`` in it."""
        self._number += 1
        self._encodings = {terms: one for terms, one in self._encodings.items() if self._number - one.used <= _UNUSED}
        shared = samples.view(SharedFrame)
        shared.encoders = self
        return shared

    def encode(self, frame: SharedFrame, codec: CodecFormat, setting: RedundancySetting) -> bytes:
        """The payload for the newest frame. Raises MediaError."""
        terms = codec.name, setting.bitrate, setting.fec_percent, setting.dtx
        found = self._encodings.get(terms)
        if found is None:
            encoder = new_encoder(codec)
            encoder.adapt(setting)
            found = self._encodings[terms] = _FrameEncoder(encoder)
        return found.encode(frame, self._number)


class _FrameEncoder:
    def __init__(self, encoder: Encoder) -> None:
        self.used = 0  # the last frame that somebody asked for
        self._encoder = encoder
        self._payload = b""

    def encode(self, frame: SharedFrame, number: int) -> bytes:
        if self.used != number:
            self._payload, self.used = self._encoder.encode(frame), number
        return self._payload


def encoded(encoder: Encoder, sound: Frame, codec: CodecFormat, setting: RedundancySetting) -> bytes:
    """The payload for a leg's sound: that of all who send it, or by the leg's own encoder. Raises MediaError."""
    if isinstance(sound, SharedFrame) and sound.encoders is not None:
        return sound.encoders.encode(sound, codec, setting)
    return encoder.encode(sound)
