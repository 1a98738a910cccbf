"""What a port's stream does for it, over whichever transport: events, digits, and packets of another port as they are."""

from sinchphone.media.codecs.codec import CodecFormat, DecodedFrame, EncodedFrame
from sinchphone.media.legs.inbound import Sink
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.stream import Stream
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import PortEvent


class StreamPort:
    """The part of ``media.port.PassingPort`` that WebRTC and RTP have alike. Who inherits it makes the ``_stream``."""

    _stream: Stream

    def __init__(self, events: Outbox[PortEvent] | None, leg: PortLeg | None) -> None:
        """``events`` and ``leg`` where they were handed out before the port was made."""
        self._events = events or Outbox[PortEvent]()
        self._leg = leg or PortLeg()

    def events(self) -> Outbox[PortEvent]:
        """What happens, in order; ends when the port is closed. One reader, on any loop."""
        return self._events

    @property
    def leg(self) -> PortLeg:
        """The sound face."""
        return self._leg

    @property
    def codec(self) -> CodecFormat | None:
        """What was agreed on; ``None`` before that."""
        return self._stream.codec

    async def dtmf(self, digits: str) -> None:
        """Send digits after those asked for before; returns when they are sent. Raises LocalProtocolError, MediaError."""
        await self._stream.dtmf(digits)

    def divert(self, sink: Sink | None) -> None:
        """From now on give what comes to ``sink`` instead of decoding it; ``None`` ends that. In the media loop only."""
        self._stream.divert(sink)

    def takes(self, frame: EncodedFrame) -> bool:
        """Whether the peer takes such packets of another port as they are. In the media loop only."""
        return self._stream.takes(frame)

    def forward(self, frame: EncodedFrame) -> bool:
        """Send a packet of another port as it is; whether it went out. In the media loop only."""
        return self._stream.forward(frame)

    def carry(self, heard: DecodedFrame) -> None:
        """Encode and send what a packet of another port held. In the media loop only."""
        self._stream.carry(heard)
