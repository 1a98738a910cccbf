"""The sound face of a port, which may be handed out before the port is connected."""

from typing import TYPE_CHECKING

from sinchphone.audio.frame import Frame, Samples, silence

if TYPE_CHECKING:  # this object is made before libopus is looked for
    from sinchphone.media.outbound import Outbound
    from sinchphone.media.receiver import Receiver


class PortLeg:
    """Implements media.sound.Leg: silence and nothing until the port joins its two sides to it."""

    def __init__(self) -> None:
        self._outbound: Outbound | None = None
        self._receiver: Receiver | None = None

    def join(self, outbound: "Outbound", receiver: "Receiver") -> None:
        """From now on sound goes through these."""
        self._outbound, self._receiver = outbound, receiver

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms of near sound. In the media thread only, once every 20 ms."""
        if self._outbound is not None:
            self._outbound.send(frame)

    def pull(self, samples: int) -> Samples:
        """The next ``samples`` of far sound; silence before the first packet. Any one thread at a time."""
        return silence(samples) if self._receiver is None else self._receiver.pull(samples)
