"""Whether a peer still consents to what we send, and whether it is to be given up: consent freshness is a state, not the end (RFC 7675).

::

    CONSENTED --30 s without an answer--> EXPIRED: nothing is sent but checks      --an answer--> CONSENTED
        `------------------ nothing at all for lost_after_s ------------------------------------> LOST

Pure. ``now`` is a clock that goes on while this machine sleeps [s]: a consent from before is old. But that we slept, or were stopped, says
nothing about the peer: after it the peer has all the time again to be heard.
"""

import time
from enum import Enum
from typing import Final

CONSENT_SECONDS: Final = 30.0  # RFC 7675 5.1
STALL_SECONDS: Final = 3.0  # between two looks, which are half a second apart: we were stopped, or the machine slept


class PathState(Enum):
    """What the peer is known to want."""

    CONSENTED = "consented"
    EXPIRED = "expired"
    LOST = "lost"


def waking_time() -> float:
    """Seconds on a clock that doesn't go back, and goes on while the machine sleeps where the system has such a one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class PathLife:
    """One leg's peer. ``heard`` and ``consented`` for what comes, ``look`` every half second."""

    def __init__(self, now: float, lost_after_s: float) -> None:
        self._lost_after = lost_after_s
        self._heard_at = self._consent_at = self._looked_at = now
        self._patient_since = now  # not before this the peer's silence counts

    def heard(self, now: float) -> None:
        """A packet of the peer."""
        self._heard_at = now

    def consented(self, now: float) -> None:
        """The peer answered a check."""
        self._heard_at = self._consent_at = now

    def silent_s(self, now: float) -> float:
        """How long nothing has come."""
        return max(0.0, now - self._heard_at)

    def look(self, now: float) -> tuple[PathState, bool]:
        """What it is now, and whether we were away until a moment ago."""
        stalled = now - self._looked_at >= STALL_SECONDS
        self._looked_at = now
        if stalled:
            self._patient_since = now
        lost = self._lost_after
        if now - max(self._heard_at, self._patient_since) >= lost:
            return PathState.LOST, stalled
        if now - max(self._consent_at, self._patient_since) >= max(lost, CONSENT_SECONDS):
            return PathState.LOST, stalled
        return (PathState.EXPIRED if now - self._consent_at >= CONSENT_SECONDS else PathState.CONSENTED), stalled
