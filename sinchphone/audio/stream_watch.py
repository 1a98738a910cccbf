"""Whether a peer's stream of sound comes, and for how long it hasn't: the sender's own pauses are told from a stream that broke off. Pure.

Who suppresses silence sends nothing in a pause, having said so by comfort noise (RFC 3389), or says afterwards by a marker, numbers that
go on and a time stamp that jumped (RFC 3551 4.1). As long as its reports (RTCP) come, or where it never sent any, such a pause is none.
"""

from typing import Final

PAUSE_SECONDS: Final = 0.5  # without sound: longer than between two packets of any sender that is silent by Opus DTX (400 ms)
REPORTS_SECONDS: Final = 20.0  # without a report: most senders report every 5 s (RFC 3550 6.2), and some are lost


class StreamWatch:
    """Watches one stream. ``now`` is any clock that doesn't go back [s]."""

    def __init__(self, *, may_pause: bool = False) -> None:
        """``may_pause``: the peer may suppress silence."""
        self._may_pause = may_pause
        self._since: float | None = None  # it ought to come since then; None: it need not
        self._came_at: float | None = None
        self._rests = False  # it said so
        self._suppresses = False  # it paused before
        self._reported_at: float | None = None

    def expect(self, now: float, *, wanted: bool) -> None:
        """From now on the peer ought to send, or need not (hold)."""
        if not wanted:
            self._since = None
        elif self._since is None:
            self._since = now

    def came(self, now: float, *, resumed: bool = False, rests: bool = False) -> None:
        """A packet of the stream. ``resumed``: its sender says that it paused before; ``rests``: that it pauses from now on."""
        if resumed and self._came_at is not None and now - self._came_at >= PAUSE_SECONDS:
            self._suppresses = self._may_pause
        self._came_at, self._rests = now, rests and self._may_pause

    def reported(self, now: float) -> None:
        """A report of the peer (RTCP)."""
        self._reported_at = now

    def silent_s(self, now: float) -> float | None:
        """How long the stream has been missing; ``None`` where it need not come: on hold, or in a pause of its sender's."""
        if self._since is None or self._pauses(now):
            return None
        return max(0.0, now - max(self._since, self._came_at or self._since))

    def is_missing(self, now: float) -> bool:
        """Whether it ought to come and doesn't, or has never begun."""
        silent = self.silent_s(now)
        return silent is not None and (self._came_at is None or silent >= PAUSE_SECONDS)

    def _pauses(self, now: float) -> bool:
        if self._reported_at is not None and now - self._reported_at > REPORTS_SECONDS:
            return False
        return self._rests or (self._suppresses and self._reported_at is not None)
