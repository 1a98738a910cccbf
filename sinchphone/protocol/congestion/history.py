"""When which packet was sent, and how large it was: what feedback about packets is compared with."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from sinchphone.protocol.rtp.sequence import PAST, SEQUENCES

KEPT_PACKETS: Final = 1024  # 20 s of sound
_WRAP_SECONDS: Final = 60.0  # a number that is used again after so long is another packet's
_RATE_SECONDS: Final = 1.0
_LEAST_SPAN: Final = 0.2  # [s]


@dataclass(slots=True)
class SentPacket:
    """One packet under way, and what became of it. Times in seconds: ``sent_at`` of our clock, ``arrived_at`` of the peer's."""

    number: int
    sent_at: float
    size: int  # [bytes] with all headers
    padding: int = 0  # of them
    arrived_at: float | None = None
    missing: bool = False  # the peer said that it hasn't come


@dataclass(slots=True)
class SentPackets:
    """The last packets by their 16-bit numbers, oldest first."""

    packets: deque[SentPacket] = field(default_factory=lambda: deque(maxlen=KEPT_PACKETS))
    _by_number: dict[int, SentPacket] = field(default_factory=dict)
    _recent: deque[SentPacket] = field(default_factory=deque)  # of the second before _forgotten_until
    _recent_octets: int = 0
    _forgotten_until: float = -math.inf

    def add(self, number: int, size: int, now: float, padding: int = 0) -> None:
        """A packet goes out, ``padding`` of its ``size`` bytes without a meaning. One that was sent before keeps its first time."""
        known = self._by_number.get(number)
        if known is not None and now - known.sent_at < _WRAP_SECONDS:
            return
        if len(self.packets) == KEPT_PACKETS:
            self._by_number.pop(self.packets[0].number, None)
        packet = SentPacket(number, now, size, padding)
        self.packets.append(packet)
        self._by_number[number] = packet
        self._recent.append(packet)
        self._recent_octets += size
        self._forget(now)

    def find(self, number: int) -> SentPacket | None:
        """The packet of that number, if it's still known."""
        return self._by_number.get(number % SEQUENCES)

    def size_between(self, after: int, until: int) -> int:
        """Bytes of the packets numbered from the one after ``after`` up to ``until``."""
        span = (until - after) % SEQUENCES
        if span >= PAST:
            return 0
        found = [self._by_number.get((after + step) % SEQUENCES) for step in range(1, min(span, KEPT_PACKETS) + 1)]
        return sum([packet.size for packet in found if packet is not None])

    def rate(self, until: float) -> float:
        """What was sent in the second before ``until`` [bit/s], or since the first packet."""
        if not self.packets:
            return 0.0
        span = min(_RATE_SECONDS, max(_LEAST_SPAN, until - self.packets[0].sent_at))
        return self._octets_before(until) * 8 / span

    def _octets_before(self, until: float) -> int:
        """Of that second. Whoever sends a packet asks for the second before now: only what has left it since then is looked at."""
        if until >= self.packets[-1].sent_at and until >= self._forgotten_until:
            self._forget(until)
            return self._recent_octets
        octets = 0
        for packet in reversed(self.packets):
            if packet.sent_at <= until - _RATE_SECONDS:
                break
            if packet.sent_at <= until:
                octets += packet.size
        return octets

    def _forget(self, until: float) -> None:
        self._forgotten_until = max(self._forgotten_until, until)
        since, recent = until - _RATE_SECONDS, self._recent
        while recent and recent[0].sent_at <= since:
            self._recent_octets -= recent.popleft().size
