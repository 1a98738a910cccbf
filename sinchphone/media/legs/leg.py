"""The sound face of a port, which may be handed out before the port is connected."""

from typing import TYPE_CHECKING

from sinchphone.audio.frame import Frame, Samples, silence

if TYPE_CHECKING:  # this object is made before libopus is looked for
    from sinchphone.media.legs.inbound import Inbound
    from sinchphone.media.legs.outbound import Outbound


class PortLeg:
    """Implements media.sound.AudioLeg: silence and nothing until the port joins its two sides to it."""

    def __init__(self) -> None:
        self._outbound: Outbound | None = None
        self._inbound: Inbound | None = None

    def join(self, outbound: "Outbound", inbound: "Inbound") -> None:
        """From now on sound goes through these."""
        self._outbound, self._inbound = outbound, inbound

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms of near sound. In the media thread only, once every 20 ms."""
        if self._outbound is not None:
            self._outbound.send(frame)

    def pull(self, samples: int) -> Samples:
        """The next ``samples`` of far sound; silence before the first packet. Any one thread at a time."""
        return silence(samples) if self._inbound is None else self._inbound.receiver.pull(samples)

    def skim(self, samples: int) -> Samples | None:
        """As ``pull``; ``None`` where the peer's encoder says that nobody speaks. As the one who pulls."""
        return silence(samples) if self._inbound is None else self._inbound.receiver.skim(samples)

    def is_missing(self) -> bool:
        """Whether the peer ought to send, and nothing comes, or nothing ever came. Any thread."""
        return self._inbound is None or self._inbound.is_missing()
