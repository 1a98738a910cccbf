"""The rate of the narrowest link of a path, told by how much longer a large packet takes than a small one.

A link passes a packet of S bytes in 8 S / rate seconds. So a packet of a pause, padded to what a loud moment makes of it, tells how fast
the link is, and fills no queue (pathchar, Jacobson 1997). What else delays a packet makes the link look slower, what delays those that
it's compared with makes it look faster: of several the second fastest counts. It is an upper bound of what may be tried, not what is free:
others may use the link too.
"""

from collections import deque
from typing import Final

from sinchphone.protocol.congestion.history import SentPacket

_EAGER: Final = 5  # padded packets at first, each
_EAGER_SECONDS, _AGAIN_SECONDS = 0.06, 0.3  # and when that came to nothing
_FIRST_SECONDS: Final = 0.1  # of packets that they are compared with
_SECONDS: Final = 2.0  # between two later on,
_PAUSE_SECONDS: Final = 1.0  # as soon as there is a small packet, at the latest after so long
_SMALL: Final = 0.75  # of the mean size
_LONGER: Final = 0.015  # [s] that a padded packet takes longer at the rate that is sent now
_LEAST_PADDING, _MOST_PADDING = 60, 250  # bytes; RTP tells its length in one (RFC 3550 5.1)
_MEMORY: Final = 0.1  # of sizes

_REFERENCES: Final = 2.0  # [s] before a padded packet, whose fastest packet it's compared with,
_JITTER: Final = 0.010  # [s] unless the middle one of those that are about as large is so much slower: nothing can be told,
_ALIKE: Final = 20  # bytes that they may have more
_FEWEST: Final = 4  # of them
_KNOWN: Final = 5  # padded packets: the last ones count,
_ENOUGH: Final = 3  # at least so many,
_FRESH: Final = 12.0  # [s] for so long
_RESOLUTION: Final = 0.0015  # [s] that a difference may be by chance
FASTEST_TOLD: Final = 8 * _LEAST_PADDING / _RESOLUTION  # [bit/s]


class LinkRate:
    """Of one path. Says how much to pad, and what came of it."""

    def __init__(self) -> None:
        self._begun = 0  # padded packets
        self._eager_seconds = _EAGER_SECONDS
        self._due_at: float | None = None
        self._mean_size: float | None = None
        self._recent: deque[tuple[float, int, float]] = deque()  # when sent, bytes, transit
        self._paces: deque[tuple[float, float]] = deque(maxlen=_KNOWN)  # when sent, seconds for each byte

    def is_due(self, size: int, now: float) -> bool:
        """Whether a packet of ``size`` that is about to be sent should be padded; mostly not."""
        mean = self._mean_size = size if self._mean_size is None else self._mean_size + _MEMORY * (size - self._mean_size)
        if self._due_at is None:
            self._due_at = now + _FIRST_SECONDS
        return now >= self._due_at and (self._begun < _EAGER or size <= _SMALL * mean or now >= self._due_at + _PAUSE_SECONDS)

    def padding(self, sent: float, now: float) -> int:
        """Bytes to add to the packet that is due, where ``sent`` bit/s are sent now."""
        self._begun += 1
        self._due_at = now + (self._eager_seconds if self._begun < _EAGER else _SECONDS)
        return max(_LEAST_PADDING, min(_MOST_PADDING, round(_LONGER * sent / 8)))

    def arrived(self, packet: SentPacket, transit: float) -> None:
        """A packet was told of; transits are differences of two clocks."""
        if not packet.padding:
            self._recent.append((packet.sent_at, packet.size, transit))
            while self._recent[0][0] < packet.sent_at - _REFERENCES:
                self._recent.popleft()
            return
        if len(self._recent) < _FEWEST:
            return
        _, size, fastest = min(self._recent, key=lambda each: each[2])
        alike = sorted(each for _, bytes_, each in self._recent if bytes_ <= size + _ALIKE)
        if transit < fastest - _RESOLUTION or alike[len(alike) // 2] - fastest > _JITTER:
            return  # they stood in a queue, or this is no time to measure
        if packet.size - size >= _LEAST_PADDING / 2:
            self._paces.append((packet.sent_at, max(0.0, transit - fastest) / (packet.size - size)))

    def restart(self) -> None:
        """Transits are of another clock from now on."""
        self._recent.clear()

    def forget(self) -> None:
        """What was known doesn't hold any more: learn it anew."""
        self._paces.clear()
        self._begun, self._eager_seconds = 0, _AGAIN_SECONDS

    def rate(self, now: float) -> float | None:
        """The rate of the narrowest link [bit/s], infinite where it's too fast to be told; ``None`` where it isn't known."""
        paces = [pace for at, pace in self._paces if now - at < _FRESH]
        if len(paces) < _ENOUGH:
            return None
        least = sorted(paces)[1]
        return 8 / least if least * _LEAST_PADDING > _RESOLUTION else float("inf")
