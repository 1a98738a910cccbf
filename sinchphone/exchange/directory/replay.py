"""Which signatures were used: a request that may do something is served a single time, however its header is spelt (pure)."""

from collections import OrderedDict
from typing import Final

from sinchphone.exchange.refusals import served_before, too_many

MAX_SIGNATURES: Final = 16_384  # of one signer: more than the limit of requests lets through in their time


class Served:
    """The signatures of each signer, for as long as their time stamps are good. ``now`` is in seconds of any clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._signatures: dict[str, OrderedDict[str, float]] = {}
        self._swept_at = float("-inf")

    def claim(self, signer: str, signature: str, now: float) -> None:
        """Use a signature that was verified. It counts from now on, whatever comes of the request: one that failed could succeed later.

        Raises RefusedError where it was used before.
        """
        self._sweep(now)
        used = self._signatures.setdefault(signer, OrderedDict())
        while used and next(iter(used.values())) < now - self._seconds:
            used.popitem(last=False)
        if signature in used:
            raise served_before()
        if len(used) >= MAX_SIGNATURES:
            raise too_many("too many signed requests; wait some minutes")
        used[signature] = now

    def _sweep(self, now: float) -> None:
        """Forget signers whose last signature is too old, now and then: a browser is another one each time."""
        if now - self._swept_at > self._seconds:
            self._swept_at, oldest = now, now - self._seconds
            self._signatures = {name: used for name, used in self._signatures.items() if next(reversed(used.values())) >= oldest}
