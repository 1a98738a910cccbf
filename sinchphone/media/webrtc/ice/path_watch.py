"""When the path to a peer needs an ICE restart: the peer doesn't answer on it, its socket is gone, or this machine has other addresses.

Pure: ``now`` is any clock that doesn't go back [s]. Attempts are bounded: never more often than every PAUSE_SECONDS, with pauses that
grow while they fail, and no more than MAX_ATTEMPTS in a row.
"""

from collections.abc import Iterable
from typing import Final

CONSENT_SECONDS: Final = 4.0  # without an answer, or a word of packets that came: of so many checks a path isn't just bad but dead
YIELD_SECONDS: Final = 1.5  # how much longer the side waits that answered first, so that not both begin
PAUSE_SECONDS: Final = 5.0
MAX_ATTEMPTS: Final = 6
WAKE_SECONDS: Final = 1.5  # after we were away, for an answer on the path: the network itself may have to wake
ADDRESSES_SECONDS: Final = 2.0  # between two looks at this machine's addresses


class PathWatch:
    """Watches over one path."""

    def __init__(self, addresses: Iterable[str], now: float, *, offerer: bool) -> None:
        """``addresses``: of this machine, when the path was found; ``offerer``: we offered first in the call."""
        self._addresses = frozenset(addresses)
        self._patience = CONSENT_SECONDS + (0.0 if offerer else YIELD_SECONDS)
        self._consent_at = now
        self._looked_at = now
        self._broken = False
        self._moved = False
        self._attempts = 0  # in a row that came to nothing
        self._next_at = now

    def consented(self, now: float) -> None:
        """The peer answered on the path, or told at ``now`` of what came over it."""
        self._consent_at = max(self._consent_at, now)

    def woke(self, now: float) -> None:
        """We were away: the checks since then have a moment to be answered, and the addresses are looked at anew."""
        self._consent_at = now - self._patience + WAKE_SECONDS
        self._looked_at = now - ADDRESSES_SECONDS

    def broke(self) -> None:
        """The path's socket is gone."""
        self._broken = True

    def looks(self, now: float) -> bool:
        """Whether it's time to look at the addresses; then it counts as done."""
        due = now - self._looked_at >= ADDRESSES_SECONDS
        if due:
            self._looked_at = now
        return due

    def saw(self, addresses: Iterable[str]) -> None:
        """This machine's addresses. That there is none is no reason to begin: there must be somewhere to go."""
        seen = frozenset(addresses)
        if seen != self._addresses and (seen or not self._addresses):
            self._addresses, self._moved = seen, True
            self._attempts = 0  # another network, another chance

    def due(self, now: float) -> str | None:
        """Why a restart should begin now, in words; it then counts as begun."""
        reason = self._reason(now)
        if reason is None or now < self._next_at or self._attempts >= MAX_ATTEMPTS:
            return None
        self._attempts += 1
        self._moved = False
        self._next_at = now + PAUSE_SECONDS * self._attempts
        return reason

    def ended(self, now: float, *, moved: bool, addresses: Iterable[str] = ()) -> None:
        """A restart, ours or the peer's, is over; whether there is a new path, from which ``addresses``."""
        if moved:
            self._addresses = frozenset(addresses)
            self._broken = False
            self._attempts = 0
            self._consent_at = now

    def _reason(self, now: float) -> str | None:
        if self._moved:
            return "the addresses of this machine have changed"
        if self._broken:
            return "the connection to the relay broke off"
        if now - self._consent_at >= self._patience:
            return "the peer doesn't answer on the path in use"
        return None
