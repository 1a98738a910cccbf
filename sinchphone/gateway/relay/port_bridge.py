"""Joins two ports: each one's sound is sent to the other, as it came where both have the same codec, else decoded and encoded.

::

    same codec:  packet of one port -> divert -> forward -> the other        no codec runs, the sender's clock rules
    else:        every 20 ms: pull from one (its jitter buffer evens out both clocks) -> send to the other

Each direction decides for itself, again and again: after hold and resume, and when a peer changes its codec on the way.
"""

from sinchphone.audio.frame import FRAME_SAMPLES
from sinchphone.media.clock import FrameClock
from sinchphone.media.codecs.codec import EncodedFrame
from sinchphone.media.port import PassingPort
from sinchphone.media.thread import MediaThread


class PortBridge:
    """Joins what it is given; nothing before. What arrives while it doesn't join, or before the other end is connected, is dropped."""

    def __init__(self, media: MediaThread) -> None:
        self._media = media
        self._directions: tuple[_Direction, ...] = ()
        self._clock = FrameClock(self._tick)

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
        """For both directions, whether packets pass as they are; empty while nothing is joined."""
        return tuple(way.passes for way in self._directions)

    async def _join(self, one: PassingPort, other: PassingPort, speak: tuple[bool, bool], fill: tuple[bool, bool]) -> None:
        if [(way.source, way.sink) for way in self._directions] != [(one, other), (other, one)]:
            await self._part()
            self._directions = _Direction(one, other, self._clock), _Direction(other, one, self._clock)
        for way, speaks, fills in zip(self._directions, speak, reversed(fill), strict=True):
            way.fills = fills
            way.choose(speaks)

    async def _part(self) -> None:
        self._clock.stop()
        for way in self._directions:
            way.source.divert(None)
        self._directions = ()

    def _tick(self) -> None:
        carried = [way for way in self._directions if not way.passes]
        for way in carried:
            way.carry()
        if not carried:
            self._clock.stop()


class _Direction:
    """One direction. In the media loop only."""

    def __init__(self, source: PassingPort, sink: PassingPort, clock: FrameClock) -> None:
        self.source, self.sink = source, sink
        self.passes = False
        self.fills = True
        self._clock = clock

    def choose(self, speaks: bool) -> None:
        """Pass packets on where that is possible. From a source that may send none the sink gets silence in their place."""
        codec = self.source.codec
        self._set(speaks and codec is not None and codec == self.sink.codec)

    def carry(self) -> None:
        """The next 20 ms, decoded and encoded."""
        sound = self.source.leg.pull(FRAME_SAMPLES)
        if self.fills or not self.source.leg.is_missing():
            self.sink.leg.send(sound)

    def _set(self, passes: bool) -> None:
        self.passes = passes
        if passes:
            self.source.divert(self._pass_on)
        else:
            self.source.divert(None)
            self._clock.start()

    def _pass_on(self, frame: EncodedFrame) -> None:
        """A peer may change between the codecs that it named, and how long its packets are: what the sink doesn't take is decoded from
        then on."""
        if not self.sink.forward(frame) and self.passes and (frame.codec != self.sink.codec or not self.sink.takes(frame)):
            self._set(False)
