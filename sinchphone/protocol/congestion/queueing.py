"""How long packets stand in a queue on their way, told by how much later they are than the fastest."""

from collections import deque
from itertools import pairwise
from typing import Final

_SLOT: Final = 1.0  # [s]
_SLOTS: Final = 30  # the fastest transit is that of the last half minute: clocks drift, routes become longer
_WINDOW: Final = 0.6  # [s] of transits that are looked at
_STANDING: Final = 0.25  # [s] of them, whose fastest one has waited as long as all have; Wi-Fi stalls for half of it
_FEWEST_TO_COMPARE: Final = 4  # packets, where these took longer to come
_SURGE: Final = 0.030  # [s] that the last of them takes longer than the first, where each takes longer than the one before
_GROWS_OVER: Final = 0.25  # [s] that a trend lasts at least


class QueueDelay:
    """Of one path. Transits are differences of two clocks: only their changes mean anything."""

    def __init__(self) -> None:
        self._slots: deque[tuple[int, float]] = deque(maxlen=_SLOTS)
        self._recent: deque[tuple[float, float]] = deque()  # when, transit

    def observe(self, transit: float, now: float) -> None:
        """A packet that was sent at ``now`` took ``transit`` [s].

        What a stall held up comes in one moment, but wasn't sent in one: then packets of before it are among the last ones.
        """
        slot = int(now // _SLOT)
        while self._slots and self._slots[0][0] <= slot - _SLOTS:
            self._slots.popleft()
        if self._slots and self._slots[-1][0] >= slot:
            last, lowest = self._slots[-1]
            self._slots[-1] = (last, min(lowest, transit))
        else:
            self._slots.append((slot, transit))
        self._recent.append((now, transit))
        while self._recent[0][0] < now - _WINDOW and len(self._recent) > 2 * _FEWEST_TO_COMPARE:
            self._recent.popleft()

    def rebase(self) -> None:
        """What packets take now is the fastest there is: a longer route, or a queue of others that doesn't depend on us."""
        self._slots.clear()
        if self._recent:
            self._slots.append((int(self._recent[-1][0] // _SLOT), self._fastest()))

    @property
    def standing(self) -> float:
        """What all of the last packets have waited [s]: jitter and single late packets are no queue."""
        if not self._recent:
            return 0.0
        return self.waited(self._fastest())

    def waited(self, transit: float) -> float:
        """How much longer that is than the fastest packet took [s]."""
        return max(0.0, transit - min([lowest for _, lowest in self._slots]))

    @property
    def surges(self) -> bool:
        """Whether each of the last packets took longer than the one before: a link that is much slower all at once lets few of those pass
        that are sent into its queue. What a stall held up comes in one moment, each sooner after it was sent."""
        last = [transit for _, transit in self._recent][-_FEWEST_TO_COMPARE:]
        rises = all(before < after for before, after in pairwise(last))
        return len(last) == _FEWEST_TO_COMPARE and rises and last[-1] - last[0] > _SURGE

    @property
    def growth(self) -> float:
        """By how much the queue grows [s each second]: the slope between the fastest packets of both halves of the last moments."""
        if self.surges:
            (begun, first), (now, last) = self._recent[-_FEWEST_TO_COMPARE], self._recent[-1]
            return (last - first) / (now + last - begun - first)
        begun, now = (self._recent[0][0], self._recent[-1][0]) if self._recent else (0.0, 0.0)
        middle = (begun + now) / 2
        early = [transit for at, transit in self._recent if at <= middle]
        late = [transit for at, transit in self._recent if at > middle]
        if now - begun < _GROWS_OVER or len(early) < _FEWEST_TO_COMPARE or len(late) < _FEWEST_TO_COMPARE:
            return 0.0
        return (min(late) - min(early)) / ((now - begun) / 2)

    def _fastest(self) -> float:
        """Of the packets that were sent last."""
        transits, now = [transit for _, transit in self._recent], self._recent[-1][0]
        count = max(_FEWEST_TO_COMPARE, 0 if self.surges else sum([at > now - _STANDING for at, _ in self._recent]))
        return min(transits[-count:])
