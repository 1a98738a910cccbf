"""What counts at the one process of an exchange (implements ``SharedLimits``)."""

from collections import OrderedDict
from typing import Final

from sinchphone.exchange.access.limits import Allowances
from sinchphone.exchange.directory.replay import Served
from sinchphone.exchange.store.shared_limits import Limit

MAX_TRUSTED: Final = 16_384


class OwnLimits:
    """In memory."""

    def __init__(self, signature_seconds: float) -> None:
        """``signature_seconds``: for how long a signature is good."""
        self._allowances: dict[Limit, Allowances[tuple[str, str]]] = {}
        self._served = Served(signature_seconds)
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()  # who proved it last at the end

    async def has(self, limit: Limit, application: str, who: str, now: float) -> bool:
        return self._of(limit).has((application, who), now)

    async def take(self, limit: Limit, application: str, who: str, now: float) -> bool:
        return self._of(limit).take((application, who), now)

    async def claim(self, application: str, signer: str, signature: str, now: float) -> None:
        self._served.claim(f"{application} {signer}", signature, now)

    async def trust(self, application: str, who: str) -> None:
        self._trusted[application, who] = None
        self._trusted.move_to_end((application, who))
        if len(self._trusted) > MAX_TRUSTED:
            self._trusted.popitem(last=False)

    async def trusts(self, application: str, who: str) -> bool:
        return (application, who) in self._trusted

    def _of(self, limit: Limit) -> Allowances[tuple[str, str]]:
        return self._allowances.setdefault(limit, Allowances(limit.most, limit.a_second))
