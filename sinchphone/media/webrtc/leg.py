"""The sound face of a port, which may be handed out before the port is connected."""

from typing import TYPE_CHECKING

from sinchphone.audio.frame import Frame, Samples, silence

if TYPE_CHECKING:  # this object is made before libopus is looked for
    from sinchphone.media.receiver import Receiver
    from sinchphone.media.webrtc.sender import Sender


class PortLeg:
    """Implements media.sound.Leg: silence and nothing until the port joins its two sides to it."""

    def __init__(self) -> None:
        self._sender: Sender | None = None
        self._receiver: Receiver | None = None

    def join(self, sender: "Sender", receiver: "Receiver") -> None:
        """From now on sound goes through these."""
        self._sender, self._receiver = sender, receiver

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms of near sound. In the media thread only, once every 20 ms."""
        if self._sender is not None:
            self._sender.send(frame)

    def pull(self, samples: int) -> Samples:
        """The next ``samples`` of far sound; silence before the first packet. Any one thread at a time."""
        return silence(samples) if self._receiver is None else self._receiver.pull(samples)
