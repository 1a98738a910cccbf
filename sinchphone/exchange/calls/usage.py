"""What each user has used up of a day's allowance, kept beyond the end of the exchange. Days are UTC's."""

from typing import Final

from sinchphone.exchange.store.store import Store, StoreError
from sinchphone.exchange.store.tables import USAGE
from sinchphone.quick_dataclass import quick_dataclass

DAY_SECONDS: Final = 86_400


@quick_dataclass(frozen=True, slots=True)
class Payer:
    """A user of an application, whom calls are counted to."""

    application: str
    user: str


@quick_dataclass(frozen=True, slots=True)
class DayUsage:
    """Of one user on one day. ``cost`` is in the currency of whoever counts it."""

    calls: int = 0
    seconds: float = 0.0
    cost: float = 0.0


def day_of(now: float) -> int:
    """The day of a point in time [s since the epoch], in days since the epoch."""
    return int(now // DAY_SECONDS)


class UsageRecords:
    """The present day's usage; that of other days is forgotten."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._day = 0
        self._used: dict[Payer, DayUsage] = {}

    async def recall(self, now: float) -> None:
        """Know again what was used before this exchange started. Raises StoreError."""
        assert self._store is not None, "there is something to be recalled"
        rows = await self._store.read(USAGE)
        self._day = day_of(now)
        try:
            self._used = {
                Payer(str(application), str(user)): DayUsage(int(calls), float(seconds), float(cost))
                for application, user, day, calls, seconds, cost in rows
                if day == self._day
            }
        except (TypeError, ValueError) as error:
            raise StoreError("the exchange's store has calls that can't be counted", hint="Delete it.") from error
        for application, user, day, *_ in rows:
            if day < self._day:
                self._store.drop(USAGE, application, user)

    def of(self, payer: Payer, day: int) -> DayUsage:
        """What that user has used on that day."""
        return self._used.get(payer, DayUsage()) if day == self._day else DayUsage()

    def clear(self, application: str) -> None:
        """Forget what an application's users have used."""
        self._used = {payer: usage for payer, usage in self._used.items() if payer.application != application}
        if self._store is not None:
            self._store.drop_where(USAGE, application=application)

    def note(self, payer: Payer, day: int, usage: DayUsage) -> None:
        """That is what the user has used on that day now. A day before the present one isn't noted any more."""
        if day < self._day:
            return
        if day > self._day:
            self._day = day
            if self._store is not None:
                for other in self._used:
                    self._store.drop(USAGE, other.application, other.user)
            self._used.clear()
        self._used[payer] = usage
        if self._store is not None:
            self._store.put(USAGE, payer.application, payer.user, day, usage.calls, usage.seconds, usage.cost)
