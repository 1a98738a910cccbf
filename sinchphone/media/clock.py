"""The clock of sound that no device asks for: a tick every 20 ms, by deadline; and the clock of reports."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from sinchphone.audio.frame import FRAME_SECONDS
from sinchphone.histogram import Histogram

CATCH_UP_FRAMES: Final = 5  # a stall of up to 100 ms is caught up; the peer's jitter buffer takes that much


_BEGAN_AT: Final = time.time() - time.monotonic()


def steady_epoch() -> float:
    """Seconds since 1970 as they were when the program began, and steady since then: for reports, which compare two moments of it. The
    time of day is set in mid-call at times."""
    return _BEGAN_AT + time.monotonic()


class Lateness:
    """How late the ticks of several clocks came, and how many were left out. Counted in the media loop, read in any thread."""

    def __init__(self) -> None:
        self.seconds = Histogram((0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25))
        self.dropped = 0

    def note(self, seconds: float, dropped: int) -> None:
        """A clock was due so long ago, and leaves out so many ticks."""
        self.seconds.note(seconds)
        self.dropped += dropped


class FrameClock:
    """Calls ``tick`` every 20 ms in the running loop: the next deadline is the last one and 20 ms, however late the call was.

    After a stall up to CATCH_UP_FRAMES missed ticks are made up for at once, the others are dropped and counted.
    A ``tick`` that raises stops the clock.
    """

    def __init__(self, tick: Callable[[], object], lateness: Lateness | None = None) -> None:
        """``lateness`` is told how late it was."""
        self.ticks = 0
        self.dropped = 0
        self._tick = tick
        self._lateness = lateness or Lateness()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The first tick comes at once. In the loop that is to carry the clock; does nothing while it runs."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(loop.time(), self._due, loop, loop.time())

    def stop(self) -> None:
        """No further tick, not even one that is due. May be called in a tick, and twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        late = max(0.0, loop.time() - deadline)
        missed = int(late / FRAME_SECONDS)
        self._timer = loop.call_at(deadline + (1 + missed) * FRAME_SECONDS, self._due, loop, deadline + (1 + missed) * FRAME_SECONDS)
        timer = self._timer
        dropped = max(0, missed - CATCH_UP_FRAMES)
        self.dropped += dropped
        self._lateness.note(late, dropped)
        try:
            for _ in range(1 + min(missed, CATCH_UP_FRAMES)):
                if self._timer is not timer:  # stopped in a tick
                    return
                self.ticks += 1
                self._tick()
        except BaseException:
            self.stop()
            raise
