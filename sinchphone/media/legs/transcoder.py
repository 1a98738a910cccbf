"""One leg's packets in another codec, each as it comes: the far end's buffer evens out what the network did, none in between waits for it.

::

    packet -> in order? -> decode -> sound and its place on the time line -> Outbound.carry of the other leg
                 a gap: rebuilt from the copy in the packet after it, or made up

A packet that comes before its turn waits for one more; what is late by more is made up, and left out when it comes.
"""

from typing import Final

import numpy as np

from sinchphone.audio.frame import Samples, silence
from sinchphone.errors import MediaError
from sinchphone.media.codecs.choice import new_decoder
from sinchphone.media.codecs.codec import CodecFormat, DecodedFrame, Decoder, EncodedFrame

_WAITING: Final = 1  # packets, until what is before them counts as lost
_MADE_UP: Final = 5  # lost packets in a row for which sound is made up; a longer gap is a pause
_LONGEST: Final = 5_760  # samples of a packet: 120 ms, the longest that Opus has


class Transcoder:
    """The first half: from one stream's packets of one codec to sound. One thread at a time."""

    def __init__(self, codec: CodecFormat) -> None:
        """Raises MediaError where the codec isn't there."""
        self.codec = codec
        self._decoder: Decoder = new_decoder(codec)
        self._newest: EncodedFrame | None = None  # of those that were decoded
        self._at = 0  # of its first sample
        self._samples = 0  # in it
        self._waiting: dict[int, EncodedFrame] = {}  # by sequence number

    def push(self, frame: EncodedFrame) -> list[DecodedFrame]:
        """The sound that can go on now, in its order. Doubled packets, late ones and those that aren't of the codec give none."""
        if self._newest is None:
            return self._decode(frame)
        ahead = self._steps_to(frame)
        if abs(ahead) > _MADE_UP + _WAITING:  # another stream, or one that went on after a while
            self._waiting.clear()
            return self._decode(frame)
        if ahead <= 0:
            return []
        self._waiting[frame.sequence] = frame
        return self._in_order()

    def _in_order(self) -> list[DecodedFrame]:
        heard: list[DecodedFrame] = []
        while self._waiting:
            following = min(self._waiting.values(), key=self._steps_to)
            lost = self._steps_to(following) - 1
            if lost > 0 and len(self._waiting) <= _WAITING:
                break
            del self._waiting[following.sequence]
            if lost > 0:
                heard += self._fill(following, lost)
            heard += self._decode(following)
        return heard

    def _fill(self, following: EncodedFrame, lost: int) -> list[DecodedFrame]:
        """Sound for what was lost before a packet, as much as its time stamp says is missing."""
        missing = self._ticks_to(following) * self.codec.samples_per_tick - self._samples
        if not 0 < missing <= lost * _LONGEST:
            return []
        copied = min(self._decoder.recoverable(following.payload), missing)
        try:
            made = [self._conceal(missing - copied), self._decoder.recover(following.payload, copied) if copied else silence(0)]
        except MediaError:
            return []
        return [DecodedFrame(np.concatenate(made), self._at + self._samples)]

    def _conceal(self, samples: int) -> Samples:
        """Made up in pieces as long as the last packet: a codec carries on that much at a time."""
        pieces = [silence(0)]
        while samples > 0:
            pieces.append(self._decoder.conceal(min(samples, self._samples)))
            samples -= len(pieces[-1])
        return np.concatenate(pieces)

    def _decode(self, frame: EncodedFrame) -> list[DecodedFrame]:
        samples = self._decoder.duration(frame.payload)
        if not 0 < samples <= _LONGEST:
            return []
        self._at += 0 if self._newest is None else self._ticks_to(frame) * self.codec.samples_per_tick
        self._newest, self._samples = frame, samples
        try:
            return [DecodedFrame(self._decoder.decode(frame.payload), self._at, frame.marker)]
        except MediaError:
            return []

    def _steps_to(self, frame: EncodedFrame) -> int:
        assert self._newest is not None, "asked after the first packet only"
        return (frame.sequence - self._newest.sequence + 0x8000) % 0x10000 - 0x8000

    def _ticks_to(self, frame: EncodedFrame) -> int:
        assert self._newest is not None, "asked after the first packet only"
        return (frame.timestamp - self._newest.timestamp + 0x80000000) % 0x100000000 - 0x80000000
