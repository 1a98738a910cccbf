"""What each user has used up of a day's allowance, kept beyond the end of the exchange. Days are UTC's.

Where an exchange has several processes, each counts what goes over it: a row a user and process, of which each knows all.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

from sinchphone.exchange.store.store import Store, StoreError
from sinchphone.exchange.store.tables import USAGE, USAGE_SHARES, Row
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

    def __init__(self, store: Store | None = None, process: str = "") -> None:
        """``process``: the name of this one, where others share the store."""
        self._store = store
        self._process = process
        self._day = 0
        self._used: dict[Payer, DayUsage] = {}  # here
        self._elsewhere: dict[Payer, dict[str, DayUsage]] = {}  # by process

    async def recall(self, now: float) -> None:
        """Know again what was used before this exchange started. Raises StoreError."""
        assert self._store is not None, "there is something to be recalled"
        self._day = day_of(now)
        rows = await self._store.read(USAGE_SHARES if self._process else USAGE)
        try:
            for row in rows:
                self._came(row)
        except (TypeError, ValueError) as error:
            raise StoreError("the exchange's store has calls that can't be counted", hint="delete it") from error
        if self._process:
            self._store.follow(USAGE_SHARES, self._came, self._went)

    def of(self, payer: Payer, day: int) -> DayUsage:
        """What that user has used on that day."""
        if day != self._day:
            return DayUsage()
        return _sum(self._used.get(payer, DayUsage()), *self._elsewhere.get(payer, {}).values())

    def clear(self, application: str, undo: ExitStack) -> None:
        """Forget what an application's users have used, unless it's undone."""
        gone = [(payer, usage) for payer, usage in self._used.items() if payer.application == application]
        elsewhere = {payer: shares for payer, shares in self._elsewhere.items() if payer.application == application}
        undo.callback(self._put_back, self._day, gone, elsewhere)
        self._used = {payer: usage for payer, usage in self._used.items() if payer.application != application}
        self._elsewhere = {payer: shares for payer, shares in self._elsewhere.items() if payer.application != application}
        if self._store is not None:
            self._store.drop_where(USAGE_SHARES if self._process else USAGE, application=application)

    def _put_back(self, day: int, gone: Sequence[tuple[Payer, DayUsage]], elsewhere: Mapping[Payer, dict[str, DayUsage]]) -> None:
        if day != self._day:
            return
        self._elsewhere = {**elsewhere, **self._elsewhere}
        for payer, usage in gone:
            self._used[payer] = _sum(usage, self._used.get(payer, DayUsage()))
            self._put(payer, day, self._used[payer])

    def note(self, payer: Payer, day: int, usage: DayUsage) -> None:
        """That is what the user has used on that day now. A day before the present one isn't noted any more."""
        if day < self._day:
            return
        self._begin(day)
        others = _sum(*self._elsewhere.get(payer, {}).values())
        own = DayUsage(usage.calls - others.calls, usage.seconds - others.seconds, usage.cost - others.cost)
        self._used[payer] = own
        self._put(payer, day, own)

    def _put(self, payer: Payer, day: int, own: DayUsage) -> None:
        """Keep what went over this process."""
        if self._store is not None and self._process:
            self._store.put(USAGE_SHARES, payer.application, payer.user, self._process, day, own.calls, own.seconds, own.cost)
        elif self._store is not None:
            self._store.put(USAGE, payer.application, payer.user, day, own.calls, own.seconds, own.cost)

    def _begin(self, day: int) -> None:
        """A new day, where it's one."""
        if day <= self._day:
            return
        self._day = day
        for other in self._used if self._store is not None else ():
            self._drop(other.application, other.user, self._process)
        self._used.clear()
        self._elsewhere.clear()

    def _drop(self, application: str, user: str, process: str) -> None:
        assert self._store is not None, "it was kept"
        if self._process:
            self._store.drop(USAGE_SHARES, application, user, process)
        else:
            self._store.drop(USAGE, application, user)

    def _came(self, row: Row) -> None:
        """What was kept before, or another process counted."""
        application, user, *key, day, calls, seconds, cost = row
        usage = DayUsage(int(calls), float(seconds), float(cost))
        if not self._process and day != self._day:
            if day < self._day:
                self._drop(application, user, "")
            return
        process = str(key[0]) if key else ""
        if day < self._day:
            self._drop(application, user, process)  # of one that is gone, or will have a new day in a moment
            return
        self._begin(day)
        payer = Payer(str(application), str(user))
        if process == self._process:
            self._used[payer] = usage
        else:
            self._elsewhere.setdefault(payer, {})[process] = usage

    def _went(self, key: tuple[Any, ...]) -> None:
        self._elsewhere.get(Payer(key[0], key[1]), {}).pop(key[2], None)


def _sum(*shares: DayUsage) -> DayUsage:
    return DayUsage(sum(one.calls for one in shares), sum(one.seconds for one in shares), sum(one.cost for one in shares))
