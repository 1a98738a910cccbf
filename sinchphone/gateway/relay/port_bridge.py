"""Joins two ports: each one's sound is sent to the other, as it came where both have the same codec, else in the other's codec.

::

    same codec:      packet of one port -> divert -> forward -> the other      no codec runs, the sender's clock rules
    PCMU and PCMA:   the same, each byte by a table
    else:            packet -> decode -> encode -> the other                   at once; the far end's buffer does the waiting
    may be silent:   every 20 ms: pull from one (its jitter buffer evens out both clocks) -> send to the other

Each direction decides for itself, packet by packet: after hold and resume, and when a peer changes its codec on the way. Where sound
is decoded and nothing came for a while, silence goes in its place: only then, and for a peer that may be silent, a clock runs.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from sinchphone.audio.frame import FRAME_SAMPLES, silence
from sinchphone.errors import MediaError
from sinchphone.media.clock import FrameClock
from sinchphone.media.codecs.codec import PCMA, PCMU, CodecFormat, EncodedFrame
from sinchphone.media.codecs.g711 import translation
from sinchphone.media.legs.transcoder import Transcoder
from sinchphone.media.port import PassingPort
from sinchphone.media.thread import MediaThread

_G711: Final = (PCMU, PCMA)
_PAUSE_SECONDS: Final = 0.2  # without a packet, after which silence is sent


class PortBridge:
    """Joins what it is given; nothing before. What arrives while it doesn't join, or before the other end is connected, is dropped."""

    def __init__(self, media: MediaThread) -> None:
        self._media = media
        self._directions: tuple[_Direction, ...] = ()
        self._clock = FrameClock(self._tick, media.lateness)
        self._look_timer: asyncio.TimerHandle | None = None

    async def join(
        self,
        one: PassingPort,
        other: PassingPort,
        *,
        speak: tuple[bool, bool] = (True, True),
        fill: tuple[bool, bool] = (True, True),
    ) -> None:
        """Join these two from now on, or look again at how they can be joined. ``speak``: whether the peers send all the time.
        ``fill``: whether each of them gets silence where the other one's stream is missing; else it gets nothing, and can say so."""
        await self._media.run(self._join(one, other, speak, fill))

    async def part(self) -> None:
        """Join nothing. May be called twice."""
        await self._media.run(self._part())

    @property
    def passes(self) -> tuple[bool, ...]:
        """For both directions, whether packets pass without being decoded; empty while nothing is joined."""
        return tuple(way.passes for way in self._directions)

    async def _join(self, one: PassingPort, other: PassingPort, speak: tuple[bool, bool], fill: tuple[bool, bool]) -> None:
        if [(way.source, way.sink) for way in self._directions] != [(one, other), (other, one)]:
            await self._part()
            self._directions = _Direction(one, other, self._look), _Direction(other, one, self._look)
        for way, speaks, fills in zip(self._directions, speak, reversed(fill), strict=True):
            way.fills = fills
            way.choose(speaks)

    async def _part(self) -> None:
        self._clock.stop()
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        for way in self._directions:
            way.source.divert(None)
        self._directions = ()

    def _look(self) -> None:
        """Start the clock where it's needed, and look again as long as it may be."""
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        if any(way.is_due() for way in self._directions):
            self._clock.start()
        elif not all(way.passes for way in self._directions):
            self._look_timer = asyncio.get_running_loop().call_later(_PAUSE_SECONDS / 2, self._look)

    def _tick(self) -> None:
        due = [way for way in self._directions if way.is_due()]
        for way in due:
            way.tick()
        if not due:
            self._clock.stop()
            self._look()


class _Direction:
    """One direction. In the media loop only."""

    def __init__(self, source: PassingPort, sink: PassingPort, look: Callable[[], None]) -> None:
        """``look`` is called when it no longer passes packets: whether it's due is to be looked for."""
        self.source, self.sink = source, sink
        self.passes = False  # nothing is decoded, and no clock is needed
        self.fills = True
        self._speaks = False
        self._look = look
        self._transcoder: Transcoder | None = None
        self._came_at = 0.0

    def choose(self, speaks: bool) -> None:
        """Send packets on as they come. From a source that may send none the sink gets silence in their place."""
        codec = self.source.codec
        self._speaks = speaks and codec is not None
        self._pass(self._speaks and (codec == self.sink.codec or _is_translated(codec, self.sink.codec)))
        self.source.divert(self._send_on if self._speaks else None)

    def is_due(self) -> bool:
        """Whether no packet brings the next 20 ms: ``tick`` must."""
        return not self.passes and not (self._speaks and time.monotonic() - self._came_at <= _PAUSE_SECONDS)

    def tick(self) -> None:
        """The next 20 ms."""
        sound = silence() if self._speaks else self.source.leg.pull(FRAME_SAMPLES)
        if self.fills or not self.source.leg.is_missing():
            self.sink.leg.send(sound)

    def _pass(self, passes: bool) -> None:
        self.passes = passes
        if not passes:
            self._look()

    def _send_on(self, frame: EncodedFrame) -> None:
        """A peer may change between the codecs that it named, and how long its packets are: what the sink doesn't take is encoded anew."""
        self._came_at = time.monotonic()
        fitting = _in_codec_of(self.sink, frame)
        taken = self.sink.takes(fitting)
        if taken != self.passes:
            self._pass(taken)
        if taken:
            self._transcoder = None
            self.sink.forward(fitting)
        else:
            self._transcode(frame)

    def _transcode(self, frame: EncodedFrame) -> None:
        if self._transcoder is None or self._transcoder.codec != frame.codec:
            try:
                self._transcoder = Transcoder(frame.codec)
            except MediaError:  # as where a library is missing: the packet can't be read
                return
        for heard in self._transcoder.push(frame):
            self.sink.carry(heard)


def _in_codec_of(sink: PassingPort, frame: EncodedFrame) -> EncodedFrame:
    """The packet, in the other law of G.711 where that's what the sink has."""
    codec = sink.codec
    if codec is None or codec == frame.codec or not _is_translated(frame.codec, codec):
        return frame
    payload = frame.payload.translate(translation(frame.codec.name, codec.name))
    return EncodedFrame(codec, payload, frame.timestamp, frame.sequence, frame.marker)


def _is_translated(source: CodecFormat | None, sink: CodecFormat | None) -> bool:
    """Whether a table makes packets of one codec those of the other."""
    return source in _G711 and sink in _G711
