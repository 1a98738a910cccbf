"""What share of a narrow link others have, told by how far apart packets come that waited one behind the other.

A packet that waits in the queue behind ours comes as much later than that one as the link needs for it, unless packets of others went in
between: then by as much more as those need (packet pairs: Keshav 1991, Dovrolis 2004). A link that has become slower, or is full of what
we send, has packets come evenly; who else fills it makes the gaps differ.
"""

from collections import deque
from typing import Final

from sinchphone.protocol.congestion.history import SentPacket

_SECONDS: Final = 1.0  # of arrivals
_ENOUGH_GAPS: Final = 5  # of them that waited behind another one
_MOST: Final = 500  # in a burst of pictures
_LEAST_SECONDS: Final = 0.2  # that they took in all
_WAITED: Final = 0.015  # [s] is more than jitter
_DRIFT: Final = 0.001  # [s each second] of clocks, and of a route that becomes longer
_ALONE, _ALSO_ALONE = 0.15, 0.35  # of the gaps have nobody else's packet in them, and are equally fast,
_ALIKE: Final = 1.3  # or else they're of bursts, as on radio links
_FASTEST: Final = 400_000.0  # [bit/s] of a link that bursts aren't taken for


class CrossTraffic:
    """Of one path. Times are of two clocks, of which only the differences count."""

    def __init__(self) -> None:
        self._gaps: deque[tuple[float, float, int]] = deque(maxlen=_MOST)  # when the later one came, how much later [s], and its bytes
        self._last: SentPacket | None = None
        self._fastest: float | None = None  # transit

    def arrived(self, packet: SentPacket) -> None:
        """A packet has come; those that were overtaken tell nothing."""
        if packet.arrived_at is None or (self._last is not None and packet.sent_at <= self._last.sent_at):
            return
        last, self._last = self._last, packet
        transit = packet.arrived_at - packet.sent_at
        if last is None or last.arrived_at is None or self._fastest is None:
            self._fastest = transit
            return
        self._fastest = min(transit, self._fastest + _DRIFT * (packet.sent_at - last.sent_at))
        gap = packet.arrived_at - last.arrived_at
        if gap >= 0 and last.arrived_at - packet.sent_at > self._fastest + _WAITED:
            self._gaps.append((packet.arrived_at, gap, packet.size))
        while self._gaps and self._gaps[0][0] < packet.arrived_at - _SECONDS:
            self._gaps.popleft()

    def restart(self) -> None:
        """Arrivals are of another clock from now on."""
        self._gaps.clear()
        self._last = self._fastest = None

    @property
    def told(self) -> tuple[float, float]:
        """The share of the link that others had while a queue stood there in the last second, and how fast the link is [bit/s]; both 0
        where nothing is told."""
        seconds = sum([gap for _, gap, _ in self._gaps])
        if len(self._gaps) < _ENOUGH_GAPS or seconds < _LEAST_SECONDS:
            return 0.0, 0.0
        paces = sorted([gap / size for _, gap, size in self._gaps])
        alone, also = paces[int(_ALONE * len(paces))], paces[int(_ALSO_ALONE * len(paces))]
        if alone < 8 / _FASTEST or also > _ALIKE * alone:
            return 0.0, 0.0
        return max(0.0, 1 - alone * sum([size for _, _, size in self._gaps]) / seconds), 8 / alone
