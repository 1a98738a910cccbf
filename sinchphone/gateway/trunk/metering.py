"""Watches calls over the trunk: counts what they use of their user's allowance, and says when it is used up."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sinchphone.exchange.calls.usage import Payer, UsageRecords
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.trunk.allowances import CountedCall, TrunkAllowances

_log: Final = logging.getLogger(__name__)


class Metering:
    """Of all calls over one trunk."""

    def __init__(self, options: TrunkOptions, records: UsageRecords, clock: Callable[[], float] = time.time) -> None:
        self._allowances = TrunkAllowances(options, records)
        self._clock = clock
        self._waiting: dict[Payer, set[asyncio.Event]] = {}

    def place(self, payer: Payer, number: str) -> "CallMeter | Failure":
        """Count a call of that user; why it can't be placed. ``close`` the meter when the call is over."""
        placed = self._allowances.place(payer, number, self._clock())
        if isinstance(placed, Failure):
            _log.warning("a call of %s over the trunk is refused: %s", payer.user, placed.reason)
            return placed
        return CallMeter(self, placed)

    async def until_used_up(self, call: CountedCall) -> Failure:
        """Count a call that was answered, and return why it has to end. A user's calls share what is left."""
        changed = asyncio.Event()
        waiting = self._waiting.setdefault(call.payer, set())
        self._allowances.answered(call, self._clock())
        for other in waiting:
            other.set()
        waiting.add(changed)
        try:
            while (reason := self._allowances.used_up(call, self._clock())) is None:
                changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._allowances.look_again_in(call, self._clock())):
                        await changed.wait()
        finally:
            waiting.discard(changed)
            if not waiting:
                self._waiting.pop(call.payer, None)
        _log.warning("a call of %s over the trunk ends: %s", call.payer.user, reason.reason)
        return reason

    def over(self, call: CountedCall) -> None:
        """It counts no more."""
        self._allowances.over(call, self._clock())


class CallMeter:
    """Of one call."""

    def __init__(self, metering: Metering, call: CountedCall) -> None:
        self._metering = metering
        self._call = call

    async def used_up(self) -> Failure:
        """To be awaited once, when the call is answered: from now on it counts. Returns why it has to end."""
        return await self._metering.until_used_up(self._call)

    def close(self) -> None:
        """The call is over."""
        self._metering.over(self._call)
