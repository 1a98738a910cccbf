"""How long packets wait, told by the round trips of checks: where the peer tells of no packet soon.

::

    a check goes out -> asked         its answer -> answered -> PathSample          check_in: when the next one is due
    nothing comes of some in a row -> is_overdue: they stand in a queue, or everything is lost; in neither is there use in sending

A check is sent once (RFC 7675 5.1), so that its answer tells of it alone (Karn). Of the way back the peer's own packets tell, and what they
wait there is no queue of ours. Other packets tell nothing of it: ours, which the peer returns, waited in our queue too, and a third party's
on their way to the peer.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from sinchphone.protocol.congestion.meters import PathSample
from sinchphone.protocol.congestion.own_packets import OwnPackets
from sinchphone.protocol.congestion.queueing import QueueDelay

CHECK_BYTES: Final = 116  # of one, with headers, over no relay
_CHECKS_SHARE: Final = 0.05  # of what may be sent is for checks,
_OFTEN, _SELDOM = 0.4, 1.0  # [s] between two of them,
_CLOSE: Final = 0.3  # [s] while a queue may stand there,
_DOUBTED: Final = 0.12  # [s] or after one whose answer is
_LATE: Final = 0.10  # [s] late, to see whether it's just lost,
_IN_A_ROW: Final = 10  # at most
_FIRST: Final = 4  # checks are sent in any case,
_AT_FIRST: Final = 12  # and so many as often as while a queue may stand there
_UNKNOWN: Final = 0.5  # [s] an answer may take while nothing is known of the path
_KEPT: Final = 64  # checks
_FORGOTTEN: Final = 5.0  # [s] after which no answer is waited for
_TOGETHER: Final = 0.25  # [s] in which checks must agree: Wi-Fi stalls for half of it
_JITTER: Final = 0.040  # [s] that an answer may be late without a queue
_SPAN: Final = 0.3  # [s] between the checks that tell what is carried
_SHORTEST_SPAN: Final = 0.1  # [s]
_FRESH: Final = 1.5  # [s] after which reports must do again
_OVERDUE: Final = 0.35  # [s] late is an answer that is missed where those that were asked for after it are late too:
_CHANCE: Final = 0.0005  # so seldom all of them are lost,
_LEAST_LOSS: Final = 0.04  # where so many round trips come to nothing,
_COUNTED: Final = 20  # or more of the last ones
_LONGEST: Final = 0.7  # [s] for which that is believed: a queue of a second answers by then
_REGULAR, _STALLED = 0.1, 0.2  # [s] between packets of the peer's; and where none comes for so long, it's its way that stalls,
_ABSENT: Final = 2.0  # [s] unless it has just stopped
_EARLIER: Final = 0.1  # [s] that packets wait longer than checks whose answers come with them: on the way back they can't
_DISPROVED: Final = 3  # such answers in a row, or packets of ours that came back lately: then they tell nothing
_DOUBTED_FOR: Final = 30.0  # [s] after such an answer


@dataclass(slots=True)
class _Check:
    number: int
    sent_at: float
    octets: int  # that had been sent before it
    waited: float | None = None  # [s] once it's answered


class RoundTripMeter:
    """Of one path. All times in seconds of one clock, all rates in bit/s with headers."""

    def __init__(self, *, after: int = 0) -> None:
        """Its checks are numbered from ``after`` on."""
        self._before = self.asked_last = after
        self._checks: deque[_Check] = deque(maxlen=_KEPT)
        self._trips = QueueDelay()  # as long as they took,
        self._here = QueueDelay()  # and without what the peer's packets wait
        self._least: float | None = None
        self._last: _Check | None = None  # the newest that was answered,
        self._answered_at = -math.inf  # and when
        self._carried: float | None = None  # the least, while a queue stands
        self._overdue_at: float | None = None
        self._back, self._beside = QueueDelay(), QueueDelay()  # of the peer's packets, and of those before an answer
        self._came: tuple[float, float, float] | None = None  # transit of the peer's last packet, when it came, and how long after another
        self._own = OwnPackets()
        self._returned: deque[float] = deque(maxlen=_DISPROVED)  # when packets of ours came back
        self._earlier = 0  # answers in a row that came earlier than the peer's packets can have
        self._doubted_until = -math.inf

    def sent(self, payload: bytes) -> None:
        """A packet of sound goes out."""
        self._own.sent(payload)

    def came(self, transit: float, payload: bytes, now: float) -> None:
        """A packet of the peer came and took ``transit`` [s], by a clock of its own."""
        if self._own.returns(payload):
            self._returned.append(now)
        if self._last is None:
            return  # it may have come over another path, before a move
        before = self._came
        if before is not None and abs(transit - before[0]) > _FORGOTTEN:
            self._back, self._beside, before = QueueDelay(), QueueDelay(), None  # it begins to count anew
        self._back.observe(transit, now)
        self._came = transit, now, math.inf if before is None else now - before[1]

    def waits_back(self, now: float) -> float:
        """What packets wait on the way back [s], as far as the peer's own tell."""
        if self._came is None or now - self._came[1] > _ABSENT or not self._tells_of_way_back(now):
            return 0.0
        return self._back.waited(self._came[0])

    def _tells_of_way_back(self, now: float) -> bool:
        """Whether what comes of the peer has waited on the way back only, as far as is known."""
        are_ours = len(self._returned) == _DISPROVED and now - self._returned[0] < _ABSENT
        return not are_ours and now >= self._doubted_until

    def _compare(self, trip: float, now: float) -> None:
        """An answer came after ``trip`` [s], behind the peer's last packet: if that waited on the way back, it did so too.

        Both are compared with the fastest of such pairs, so that the peer's packets, being more, aren't taken for slower.
        """
        if self._came is None:
            return
        transit, at, _ = self._came
        self._beside.observe(transit, now)
        is_earlier = self._beside.waited(transit) - (now - at) > self._trips.waited(trip) + _EARLIER
        self._earlier = self._earlier + 1 if is_earlier else 0
        if self._earlier >= _DISPROVED:
            self._doubted_until = now + _DOUBTED_FOR

    def _stalls(self, now: float) -> bool:
        """Whether nothing comes of the peer's all at once: then it, or its way here, is what keeps answers back."""
        if self._came is None or not self._tells_of_way_back(now):
            return False
        _, at, after = self._came
        return after <= _REGULAR and _STALLED < now - at < _ABSENT

    @property
    def has_asked(self) -> bool:
        """Whether there was a check at all."""
        return bool(self._checks)

    @property
    def has_just_begun(self) -> bool:
        """Whether there were few checks so far: of an empty path, if sound begins later."""
        return self.asked_last - self._before < _FIRST

    @property
    def sees_none(self) -> bool:
        """Whether the last check that was answered didn't wait."""
        return self._last is not None and (self._last.waited or 0.0) <= _JITTER

    def is_fresh(self, now: float) -> bool:
        """Whether an answer came a moment ago."""
        return now - self._answered_at < _FRESH

    def check_in(self, budget: float, now: float, size: int = CHECK_BYTES) -> float:
        """How long until the next check is due [s]: those of ``size`` bytes take a small share of ``budget``."""
        if not self._checks:
            return 0.0
        last, waiting = self._checks[-1], self._waiting(now)
        pause = min(_SELDOM, max(_OFTEN, size * 8 / (_CHECKS_SHARE * budget)))
        if self.asked_last - self._before < _AT_FIRST:
            pause = _CLOSE
        if self._last is not None and (self._last.waited or 0.0) > _LATE:
            return max(0.0, last.sent_at + _CLOSE - now)
        due = last.sent_at + pause
        if waiting and len(waiting) <= _IN_A_ROW:
            due = min(due, max(last.sent_at + _DOUBTED, waiting[0].sent_at + self._expected(now)))
        return max(0.0, due - now)

    def _expected(self, now: float) -> float:
        """How long an answer may take before it's late [s]."""
        return _UNKNOWN if self._least is None else self._least + self.waits_back(now) + _LATE

    def _waiting(self, now: float) -> list[_Check]:
        """The checks after the last one that was answered."""
        newest = 0 if self._last is None else self._last.number
        return [each for each in self._checks if each.number > newest and now - each.sent_at < _FORGOTTEN]

    def asked(self, octets: int, now: float) -> int:
        """A check goes out after so many bytes in all; its number."""
        self.asked_last += 1
        self._checks.append(_Check(self.asked_last, now, octets))
        return self.asked_last

    def answered(self, number: int, octets: int, sent: float, loss: float, now: float) -> PathSample | None:
        """The answer to that check; ``octets`` were sent until now, at ``sent`` lately. ``None`` where it tells nothing new."""
        check = next((each for each in self._checks if each.number == number), None)
        if check is None or check.waited is not None or now - check.sent_at > _FORGOTTEN:
            return None
        trip = now - check.sent_at
        self._trips.observe(trip, check.sent_at)
        self._compare(trip, now)
        here = trip - min(self.waits_back(now), self._trips.waited(trip))
        self._here.observe(here, check.sent_at)
        check.waited = self._here.waited(here)
        self._least = here - check.waited
        if self._last is not None and number < self._last.number:
            return None  # overtaken
        self._last, self._answered_at = check, now
        self._overdue_at = None
        return self._sample(check, octets, sent, loss, now)

    def _sample(self, check: _Check, octets: int, sent: float, loss: float, now: float) -> PathSample | None:
        known = [each for each in self._checks if each.waited is not None and each.number <= check.number]
        if len(known) < 2 or check.waited is None:
            return None
        before = known[-2]
        waits = [each.waited or 0.0 for each in known[:-2] if check.sent_at - each.sent_at <= _TOGETHER]
        queue = min(check.waited, before.waited or 0.0, *waits)
        carried = self._carries(check, known)
        rate = None if carried is None else carried * (1 - loss)
        ahead = check.waited + (octets - check.octets) * 8 / carried - (now - check.sent_at) if carried else 0.0
        return PathSample(
            queue=max(0.0, queue - _JITTER),
            delay=max(0.0, check.waited - _JITTER),
            growth=_growth(before, check),
            loss=loss,
            sent=sent,
            delivered=rate,
            ahead=max(0.0, ahead),
            is_coarse=True,
        )

    def _carries(self, check: _Check, known: list[_Check]) -> float | None:
        """What left the path between two checks [bit/s], or fell out of it: of a queue that is full the rest of its time tells better."""
        waited = check.waited or 0.0
        before = next((each for each in reversed(known[:-1]) if check.sent_at - each.sent_at >= _SPAN), known[0])
        seconds = check.sent_at - before.sent_at + waited - (before.waited or 0.0)
        rate = (check.octets - before.octets) * 8 / seconds if seconds > _SHORTEST_SPAN and check.octets > before.octets else None
        if waited <= _JITTER:
            self._carried = None
            return rate
        if rate is not None:
            self._carried = rate if self._carried is None else min(rate, self._carried)
        return self._carried

    def rebase(self) -> None:
        """The queue that stands now is none of ours."""
        self._here.rebase()
        self._carried = None

    def is_overdue(self, loss: float, now: float) -> bool:
        """Whether answers stay away, of so many in a row that they aren't just lost where ``loss`` is the rule; believed for a moment."""
        waiting = self._waiting(now) if self._least is not None else []
        if not waiting or self._least is None or self._stalls(now):
            return False
        usual = self._least + self.waits_back(now)
        late = [each for each in waiting if now - each.sent_at > usual + _LATE]
        if not late or now - late[0].sent_at < usual + _OVERDUE or len(late) < self._enough(loss):
            return False
        self._overdue_at = now if self._overdue_at is None else self._overdue_at
        return now - self._overdue_at < _LONGEST

    @property
    def are_missed(self) -> bool:
        """Whether answers stayed away for so long that it wasn't chance, and none has come since."""
        return self._overdue_at is not None

    def _enough(self, loss: float) -> int:
        """So many in a row are hardly lost by chance."""
        if self._overdue_at is not None or (self._last is not None and (self._last.waited or 0.0) > _OVERDUE):
            return 1  # it was known before; or the last answer was late too
        told = [each for each in self._checks if self._last is not None and each.number <= self._last.number][-_COUNTED:]
        missing = sum(each.waited is None for each in told) / _COUNTED
        return math.ceil(math.log(_CHANCE) / math.log(max(_LEAST_LOSS, min(0.9, max(missing, 1 - (1 - loss) ** 2)))))


def _growth(before: _Check, check: _Check) -> float:
    """Of the queue [s each second], between the arrivals of two checks."""
    grown = max(_JITTER, check.waited or 0.0) - max(_JITTER, before.waited or 0.0)
    return max(-1.0, grown / max(_SHORTEST_SPAN, check.sent_at - before.sent_at + grown))
