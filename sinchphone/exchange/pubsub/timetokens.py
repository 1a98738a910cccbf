"""Time tokens: when a message was published, in 100 ns of unix time, strictly rising whatever the clock does (PubNub REST; pure).

Every token that was handed out stays below a mark that is kept beyond the end of the exchange: the next one goes on from there, even
where this machine's clock was ahead before. A client's word never moves them.
"""

from collections.abc import Callable
from typing import Final

TICKS: Final = 10_000_000  # a second
AHEAD_SECONDS: Final = 60.0  # one machine's clock of another's
RESERVED_TICKS: Final = 5 * TICKS  # kept at a time


class TimeTokens:
    """The tokens of one exchange. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self) -> None:
        self._last = 0
        self._first = 0
        self._mark = 0
        self._reserve: Callable[[int], None] | None = None

    def go_on(self, after: int, reserve: Callable[[int], None]) -> None:
        """Hand out only tokens above ``after``, and call ``reserve`` with a mark before any above the last mark is handed out."""
        self._first = self._last = max(self._last, after)
        self._reserve = reserve

    def peek(self, now: float) -> int:
        """What the present token would be; nothing is promised by it."""
        return max(self._last, int(now * TICKS))

    def clock(self, now: float) -> int:
        """The time, as tokens have it."""
        return self.peek(now)

    def present(self, now: float) -> int:
        """The present token: all later ones of messages are higher."""
        self._hand_out(self.peek(now))
        return self._last

    def next(self, now: float) -> int:
        """A message's token."""
        self._hand_out(self.peek(now) + 1)
        return self._last

    def is_last(self, token: int) -> bool:
        """Whether no other token was handed out since that one."""
        return token == self._last

    def known(self, token: int, now: float) -> int:
        """The token up to which a client has seen everything, by its word. A token that was never handed out here was by an exchange
        whose tokens are forgotten: then all is new that came since this one started."""
        return token if token <= self.peek(now) else self._first

    def _hand_out(self, token: int) -> None:
        if not self._first:
            self._first = token - 1
        if self._reserve is not None and token > self._mark - RESERVED_TICKS // 2:
            self._mark = token + RESERVED_TICKS
            self._reserve(self._mark)
        self._last = token


class FeedTokens(TimeTokens):
    """The tokens of an exchange of several processes: the server that puts messages in order makes them. The present one is that of the
    last message which is known here."""

    def __init__(self, known: Callable[[], int], history_seconds: float) -> None:
        super().__init__()
        self._known = known
        self._history = int(history_seconds * TICKS)

    def peek(self, now: float) -> int:
        """The present token."""
        return self._known()

    def clock(self, now: float) -> int:
        """The time, as tokens have it."""
        return max(self._known(), int(now * TICKS))

    def known(self, token: int, now: float) -> int:
        """The token up to which a client has seen everything: another process may have given it, which is a little ahead of this one."""
        return token if token <= max(self._known(), int((now + AHEAD_SECONDS) * TICKS)) else self._known() - self._history

    def _hand_out(self, token: int) -> None:
        """The server does."""
        self._last = token
