"""A TCP flow that shares a narrow place: Reno's window (RFC 5681), always with something to send, its acknowledgements never lost."""

import heapq
from collections.abc import Callable
from typing import Final

SEGMENT_BYTES: Final = 576  # as on slow lines: a larger one would hold 24 kbit/s up for half a second
DUPLICATES: Final = 3  # a loss is known when so many later ones were acknowledged
TIMEOUT_S: Final = 1.0


class TcpFlow:
    """``run`` sends what is due. ``passing`` tells when a packet of so many bytes has passed the narrow place, or that it is lost."""

    def __init__(self, passing: Callable[[int, float], float | None], round_trip_s: float) -> None:
        self.acknowledged = 0  # segments
        self._pass = passing
        self._round_trip_s = round_trip_s
        self._window = 2.0  # segments
        self._threshold = 64.0
        self._under_way = 0
        self._acks: list[tuple[float, bool]] = []  # when, and whether it tells of a loss
        self._begun = False
        self._halved_at = -1.0

    def run(self, now: float) -> None:
        """Everything until now, in order."""
        if not self._begun:
            self._begun = True
            self._send(now)
        while self._acks and self._acks[0][0] <= now:
            at, lost = heapq.heappop(self._acks)
            self._under_way -= 1
            if lost:
                self._shrink(at)
            else:
                self.acknowledged += 1
                self._window += 1.0 if self._window < self._threshold else 1 / self._window
            self._send(at)

    def _send(self, at: float) -> None:
        while self._under_way < int(self._window):
            passed = self._pass(SEGMENT_BYTES, at)
            self._under_way += 1
            heapq.heappush(self._acks, (self._known_at(at) if passed is None else passed + self._round_trip_s, passed is None))

    def _known_at(self, at: float) -> float:
        """When a loss is known: once what is under way before it has been acknowledged, or after a while where that is too little."""
        before = [when for when, lost in self._acks if not lost]
        return max(before) if len(before) >= DUPLICATES else at + TIMEOUT_S

    def _shrink(self, at: float) -> None:
        """At most once in a round trip."""
        if at - self._halved_at > self._round_trip_s:
            self._threshold = max(2.0, self._window / 2)
            self._window = self._threshold
            self._halved_at = at
