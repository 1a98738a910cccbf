"""What a sender keeps of its last packets, to send them again: as copies in later ones (RFC 2198), or when they're asked for (RFC 4585)."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from sinchphone.audio.redundancy import MAX_COPIES
from sinchphone.protocol.rtp.red import MAX_COPY_BYTES, MAX_OFFSET, Block, encode_red

KEPT: Final = 32  # packets that can be sent again: 0.6 s, nobody waits longer for one
_TIMES: Final = 2  # that one packet is sent again: its receiver may lose it once more, a flood of requests costs no more than that


class Copies:
    """The payloads of the last frames, and packets that repeat them."""

    def __init__(self, payload_type: int) -> None:
        self._payload_type = payload_type  # of each block
        self._past: deque[tuple[int, bytes]] = deque(maxlen=MAX_COPIES)  # time stamp and payload, newest last

    def wrap(self, timestamp: int, payload: bytes, copies: int) -> bytes | None:
        """The redundant payload for a frame, with up to ``copies`` of those before it; ``None`` where there is none to repeat."""
        past = list(self._past)[max(0, len(self._past) - copies) :] if copies else ()
        self._past.append((timestamp, payload))
        blocks = [
            Block(self._payload_type, offset, before)
            for stamp, before in past
            if (offset := (timestamp - stamp) & 0xFFFFFFFF) <= MAX_OFFSET and len(before) <= MAX_COPY_BYTES
        ]
        return encode_red([*blocks, Block(self._payload_type, 0, payload)]) if blocks else None

    def forget(self) -> None:
        """Something else was sent: nothing before it is repeated."""
        self._past.clear()


class Resends:
    """The last packets as they were sent."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._times: dict[int, int] = {}  # by sequence number, of those in ``_sent`` only

    def keep(self, sequence: int, packet: bytes) -> None:
        """The packet went out."""
        if len(self._sent) == KEPT:
            self._times.pop(self._sent[0][0], None)
        self._sent.append((sequence, packet))

    def answer(self, sequences: Iterable[int]) -> tuple[list[bytes], int]:
        """The packets to send again, and how many of them are asked for the first time."""
        wanted = frozenset(sequences)
        packets, first = [], 0
        for sequence, packet in self._sent:
            times = self._times.get(sequence, 0)
            if sequence in wanted and times < _TIMES:
                self._times[sequence] = times + 1
                packets.append(packet)
                first += not times
        return packets, first
