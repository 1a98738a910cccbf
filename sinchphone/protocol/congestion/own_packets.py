"""Whether what a peer sends are packets of ours that it returns: by their payloads, since it may number them anew."""

from typing import Final

_COMPARED: Final = 16  # bytes at the end: those before may be a header that the peer adds or leaves out (RFC 2198)
_KEPT: Final = 512  # packets: of sound and pictures, five seconds


class OwnPackets:
    """The last payloads that were sent. One that was sent twice, as silence is, may be anybody's."""

    def __init__(self) -> None:
        self._ends: dict[bytes, bool] = {}  # of payloads, and whether it was sent just once

    def sent(self, payload: bytes) -> None:
        """A packet goes out."""
        if len(payload) < _COMPARED:
            return
        end = payload[-_COMPARED:]
        self._ends[end] = self._ends.pop(end, None) is None
        if len(self._ends) > _KEPT:
            del self._ends[next(iter(self._ends))]

    def returns(self, payload: bytes) -> bool:
        """Whether a packet that came is one of them; each counts once."""
        end = payload[-_COMPARED:]
        if not self._ends.get(end, False):
            return False
        self._ends[end] = False
        return True
