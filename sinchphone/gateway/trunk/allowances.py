"""How much of the trunk each user may have in a day (UTC): calls, minutes, and where prices are known, what they cost. Pure.

::

    place     -> has the user anything left, and has the number a price?  -> CountedCall, or Failure
    answered  -> from now on it uses up minutes; a user's calls share them
    over      -> not any more
"""

from dataclasses import dataclass
from typing import Final

from sinchphone.exchange.calls.usage import DAY_SECONDS, DayUsage, Payer, UsageRecords, day_of
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.options import TrunkOptions
from sinchphone.protocol.phone_numbers import prefix_reading, reading
from sinchphone.quick_dataclass import quick_dataclass

KEEP_SECONDS: Final = 60.0  # what runs is kept that often, so that a crash forgets little
MIN_SECONDS: Final = 0.05  # less than that is nothing
_MINUTE: Final = 60.0
_ANEW: Final = "from 00:00 UTC on there are new ones"


@quick_dataclass(frozen=True, slots=True, eq=False)
class CountedCall:
    """A call that counts. ``price`` is of a second."""

    payer: Payer
    price: float


@dataclass(slots=True)
class _CallsOfUser:
    """A user's calls that were answered, counted up to ``counted_at``."""

    calls: list[CountedCall]
    counted_at: float


class TrunkAllowances:
    """Of all users. ``now`` is wall clock time [s since the epoch]; where that is set back, nothing is counted until it has come up."""

    def __init__(self, options: TrunkOptions, records: UsageRecords) -> None:
        self._options = options
        self._records = records
        self._prices = {prefix_reading(prefix): price for prefix, price in options.prices.items()}
        self._running: dict[Payer, _CallsOfUser] = {}

    def place(self, payer: Payer, number: str, now: float) -> CountedCall | Failure:
        """Count a call that is placed; why it can't be, where the user has nothing left."""
        price = self._price(number)
        if price is None:
            return Failure(403, "that number has no price: [trunk] prices says what calls cost, and daily_spend limits it")
        self._count(payer, now)
        refusal = self._refusal(payer, now, price)
        if refusal is not None:
            return refusal
        used, day = self._used(payer, now), day_of(now)
        self._records.note(payer, day, DayUsage(used.calls + 1, used.seconds, used.cost))
        return CountedCall(payer, price / _MINUTE)

    def answered(self, call: CountedCall, now: float) -> None:
        """From now on it counts."""
        self._count(call.payer, now)
        self._running.setdefault(call.payer, _CallsOfUser([], now)).calls.append(call)

    def over(self, call: CountedCall, now: float) -> None:
        """It counts no more. May be called twice, and for a call that was never answered."""
        running = self._running.get(call.payer)
        if running is None or call not in running.calls:
            return
        self._count(call.payer, now)
        running.calls.remove(call)
        if not running.calls:
            del self._running[call.payer]

    def used_up(self, call: CountedCall, now: float) -> Failure | None:
        """Why a call that was answered is to end now; ``None`` where it may go on."""
        self._count(call.payer, now)
        calls = self._running_calls(call.payer)
        return self._exhausted(self._used(call.payer, now), calls=len(calls), price=sum(one.price for one in calls))

    def look_again_in(self, call: CountedCall, now: float) -> float:
        """After so many seconds it is to be asked again whether a call may go on, or as soon as another one of its user is answered."""
        self._count(call.payer, now)
        calls = self._running_calls(call.payer)
        left = self._left(self._used(call.payer, now), calls=len(calls), price=sum(one.price for one in calls))
        return max(MIN_SECONDS, min(left, KEEP_SECONDS, DAY_SECONDS - now % DAY_SECONDS))

    def _refusal(self, payer: Payer, now: float, price: float) -> Failure | None:
        """Why no other call may be placed, at that price a minute."""
        options, used = self._options, self._used(payer, now)
        if options.daily_calls and used.calls >= options.daily_calls:
            return Failure(403, f"today's calls over the trunk ({options.daily_calls} at most) are used up: {_ANEW}")
        return self._exhausted(used, calls=1, price=price / _MINUTE)

    def _price(self, number: str) -> float | None:
        """Of a minute, by the longest beginning that fits, and by the dearer one of how the number is written and how a network reads it;
        ``None`` where it must be known and isn't."""
        if self._options.daily_spend is None:
            return 0.0
        found = [self._price_of(one) for one in {number, reading(number)}]
        return None if None in found else max(price for price in found if price is not None)

    def _price_of(self, number: str) -> float | None:
        prefix = max((prefix for prefix in self._prices if number.startswith(prefix)), key=len, default=None)
        return None if prefix is None else self._prices[prefix]

    def _used(self, payer: Payer, now: float) -> DayUsage:
        return self._records.of(payer, day_of(now))

    def _running_calls(self, payer: Payer) -> list[CountedCall]:
        running = self._running.get(payer)
        return [] if running is None else running.calls

    def _exhausted(self, used: DayUsage, *, calls: int, price: float) -> Failure | None:
        options = self._options
        if self._minutes_left(used, calls) < MIN_SECONDS:
            return Failure(403, f"today's minutes over the trunk ({options.daily_minutes} at most) are used up: {_ANEW}")
        if self._spend_left(used, price) < MIN_SECONDS:
            return Failure(403, "what calls over the trunk may cost today is used up: from 00:00 UTC on they may cost as much again")
        return None

    def _left(self, used: DayUsage, *, calls: int, price: float) -> float:
        return min(self._minutes_left(used, calls), self._spend_left(used, price))

    def _minutes_left(self, used: DayUsage, calls: int) -> float:
        """How many seconds so many calls may go on."""
        minutes = self._options.daily_minutes
        return (minutes * _MINUTE - used.seconds) / calls if minutes and calls else float("inf")

    def _spend_left(self, used: DayUsage, price: float) -> float:
        """How many seconds calls may go on that cost so much a second together."""
        spend = self._options.daily_spend
        return (spend - used.cost) / price if spend is not None and price else float("inf")

    def _count(self, payer: Payer, now: float) -> None:
        """Note what a user's calls have used since they were counted last, each day's share on its day."""
        running = self._running.get(payer)
        if running is None:
            return
        while running.counted_at < now:
            day = day_of(running.counted_at)
            until = min(now, float((day + 1) * DAY_SECONDS))
            seconds, used = until - running.counted_at, self._records.of(payer, day)
            cost = seconds * sum(call.price for call in running.calls)
            self._records.note(payer, day, DayUsage(used.calls, used.seconds + seconds * len(running.calls), used.cost + cost))
            running.counted_at = until
