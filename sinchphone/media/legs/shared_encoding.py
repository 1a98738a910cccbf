"""One line of frames that many legs send alike, as to the listeners of a conference: each frame is encoded once, not once for each leg.

::

    SharedEncoders.frame(samples) -> leg.send -> ... -> Outbound: LegEncoder.encode -> the same payload for all who ask alike

The frame itself knows its encoders, so that nothing between has to pass them on; whoever changes a sample makes an array of its own,
which has none.

An encoder keeps the last milliseconds of what it was given for the next packet, and both it and the peer's decoder go by what came before.
So where a leg's packets are another encoder's from now on, that one has encoded the same frames as the one before for a while: else the
peer would hear a piece of what the other encoder was given last, as somebody who falls silent would hear themselves.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import numpy as np

from sinchphone.audio.frame import Frame, Samples
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.media.codecs.choice import new_encoder
from sinchphone.media.codecs.codec import CodecFormat, Encoder

_UNUSED: Final = 50  # frames, after which an encoder that nobody asked for goes
_ALIKE: Final = 10  # frames, after which two encoders' packets are alike: with 5 a tone breaks at 24 kbit/s, with 10 at no bit rate

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
        self._newest: deque[Frame] = deque(maxlen=_ALIKE + 1)

    def frame(self, samples: Frame) -> SharedFrame:
        """The next frame of the line, with ``samples`` in it."""
        self._number += 1
        self._encodings = {terms: one for terms, one in self._encodings.items() if self._number - one.used <= _UNUSED}
        self._newest.append(samples)
        shared = samples.view(SharedFrame)
        shared.encoders = self
        return shared

    @property
    def before(self) -> list[Frame]:
        """The last frames before the newest."""
        return list(self._newest)[:-1]

    def encode(self, frame: SharedFrame, codec: CodecFormat, setting: RedundancySetting) -> bytes:
        """The payload for the newest frame. Raises MediaError."""
        terms = codec.name, setting.bitrate, setting.fec_percent, setting.dtx
        found = self._encodings.get(terms)
        if found is None or found.used < self._number - 1:
            encoder = new_encoder(codec)
            encoder.adapt(setting)
            _prime(encoder, self.before)
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


class LegEncoder:
    """The encoder of one leg: of what it sends alone; what it sends like others is encoded once for all of them. One thread at a time."""

    def __init__(self, codec: CodecFormat) -> None:
        """Raises MediaError where there's no such codec."""
        self._codec = codec
        self._own = new_encoder(codec)
        self._setting: RedundancySetting | None = None
        self._line: SharedEncoders | None = None  # whose packets were sent last
        self._own_left = 0  # frames that the own encoder still encodes before the line's does

    def adapt(self, setting: RedundancySetting) -> None:
        """From the next frame on spend so many bits. Raises MediaError."""
        self._own.adapt(setting)
        self._setting = setting

    def encode(self, sound: Samples) -> bytes:
        """The payload for what a packet holds. Raises MediaError."""
        if not isinstance(sound, SharedFrame) or sound.encoders is None:
            return self._encode_own(sound, own_left=_ALIKE)
        if self._setting is None or (self._line is None and self._own_left):
            return self._encode_own(sound, own_left=self._own_left - 1)
        self._line = sound.encoders
        return self._line.encode(sound, self._codec, self._setting)

    def _encode_own(self, sound: Samples, *, own_left: int) -> bytes:
        if self._line is not None:
            _prime(self._own, self._line.before)
            self._line = None
        self._own_left = own_left
        return self._own.encode(sound)


def _prime(encoder: Encoder, before: Iterable[Frame]) -> None:
    """Give it what another one's packets held, which the peer has."""
    for frame in before:
        encoder.encode(frame)
