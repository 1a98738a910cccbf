"""When a receiver tells which numbered packets have come: by a share of what comes, and soon where they come slower than they did.

Less comes of a link that has become slower, so that feedback by its share alone would be the rarer, the more it's needed.
"""

from typing import Final

_BYTES: Final = 120  # of one packet of feedback, about
_SHARE: Final = 0.05  # of what comes may be spent on it (RFC 3550 6.2), within
_LEAST_SECONDS, _MOST_SECONDS = 0.1, 0.4  # between two
_MEMORY: Final = 0.02  # of the time between two packets
_SLOWER: Final = 1.5  # times as long as usual,
_SLOWER_PACKETS: Final = 4  # so many times in a row
_EARLY: Final = 3  # times it's told sooner for that: others beside us make ours come so all the time,
_REGAINED_SECONDS: Final = 10.0  # and one more after so long


class FeedbackSchedule:
    """Of one path. ``most`` [bit/s]: all that may be sent over it. Times in seconds of one clock."""

    def __init__(self, most: float) -> None:
        own = 8 * _BYTES / (_SHARE * most)
        self._least, self._most = max(_LEAST_SECONDS, own), max(_MOST_SECONDS, own)
        self._octets = 0  # that came since it was told,
        self._told_at = 0.0  # and when it was
        self._usual: float | None = None  # [s] between two packets
        self._last_at: float | None = None
        self._slower = 0  # packets in a row that came after a longer time
        self._early = float(_EARLY)  # times that are left

    def is_due(self, size: int, now: float) -> bool:
        """Whether it's time to tell of the packet of ``size`` bytes that came at ``now``, and those before: they count as told of then."""
        self._note_gap(now)
        self._octets += size
        since = now - self._told_at
        regular = since >= self._most or (since >= self._least and _SHARE * self._octets > _BYTES)
        early = since >= self._least and self._slower >= _SLOWER_PACKETS and self._early >= 1
        if regular or early:
            self._early = min(float(_EARLY), self._early + min(since, _MOST_SECONDS) / _REGAINED_SECONDS) - (not regular)
            self._octets, self._told_at = 0, now
        return regular or early

    def _note_gap(self, now: float) -> None:
        last, self._last_at = self._last_at, now
        if last is None:
            return
        gap = now - last
        usual = self._usual = gap if self._usual is None else self._usual
        self._slower = self._slower + 1 if gap > _SLOWER * usual else 0
        self._usual += _MEMORY * (gap - usual)
