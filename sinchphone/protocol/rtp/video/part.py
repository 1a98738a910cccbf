"""What one packet holds of a frame, whatever the codec."""

from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Part:
    """Bytes for the decoder, to be joined to those of the frame's other packets; ``starts``: a frame may begin here."""

    data: bytes
    starts: bool
