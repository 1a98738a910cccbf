"""Several rtpengines: which one takes a new call, by weight, and which is next where that one says nothing or is full.

::

    first request of a call -> by lot, by weight; those that were silent a moment ago last -> who answers has the call to its end
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from sinchphone.errors import MediaError
from sinchphone.gateway.relay.ng import RTPENGINE_HINT, FullError, NgLink, NoAnswerError
from sinchphone.schema import WeightedAddress

PING_SECONDS: Final = 1.0  # for one to say that it's there
REST_SECONDS: Final = 10.0  # for which one that said nothing is asked last
IMPATIENCE: Final = (0.25, 0.5)  # between requests, where another one can be asked

_log = logging.getLogger(__name__)


class NgPool:
    """The links of one event loop."""

    def __init__(
        self,
        addresses: Sequence[WeightedAddress],
        *,
        draw: Callable[[], float] = random.random,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``draw`` gives numbers from 0 to 1, ``now`` seconds."""
        self._links = [(NgLink((one.host, one.port)), one.weight) for one in addresses]
        self._draw = draw
        self._now = now
        self._silent_at: dict[NgLink, float] = {}

    async def start(self) -> None:
        """See that one is there. Raises MediaError where none is."""
        silent = await self.troubles()
        if len(silent) == len(self._links):
            raise MediaError("; ".join(silent), hint=RTPENGINE_HINT)
        for one in silent:
            _log.warning("%s: calls go through the others", one)

    async def place(self, command: str, **keys: Any) -> tuple[NgLink, dict[str, Any]]:
        """The first request of a call: who took it, and its answer. Raises MediaError where none does."""
        refusal = MediaError("there is no rtpengine")
        order = self.order()
        for number, link in enumerate(order, start=1):
            try:
                patience = IMPATIENCE if number < len(order) else None
                found = await link.request(command, patience=patience, **keys)
            except NoAnswerError as error:
                self._silent_at[link] = self._now()
                refusal = error
            except FullError as error:
                refusal = error
            else:
                self._silent_at.pop(link, None)
                return link, found
            if number < len(order):
                _log.warning("%s: the call goes through another one", refusal)
        raise refusal

    def order(self) -> list[NgLink]:
        """Who is asked first and next. A weight of 0 is for when no other one answers."""
        rested = self._now() - REST_SECONDS
        lots = [(self._silent_at.get(link, float("-inf")) <= rested, self._lot(weight), link) for link, weight in self._links]
        return [link for *_, link in sorted(lots, key=lambda one: one[:2], reverse=True)]

    async def troubles(self) -> list[str]:
        """Which ones can't carry sound now, and why."""
        found = await asyncio.gather(*(_trouble(link) for link, _ in self._links))
        return [one for one in found if one is not None]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._links)

    def close(self) -> None:
        """Close the sockets. May be called twice."""
        for link, _ in self._links:
            link.close()

    def _lot(self, weight: int) -> float:
        """The highest is first as often as its weight is of all (Efraimidis and Spirakis, 2006)."""
        return float(self._draw() ** (1 / weight)) if weight else -1.0


async def _trouble(link: NgLink) -> str | None:
    try:
        await link.request("ping", patience=(PING_SECONDS / 2, PING_SECONDS / 2))
    except MediaError as error:
        return str(error)
    return None
