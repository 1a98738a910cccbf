"""A call's quality as it is watched: what this process doesn't see while it's stopped (Ctrl-Z, a debugger) isn't the peer's doing."""

import asyncio
import math
import time
from dataclasses import dataclass, field

from sinchphone.engine.calls.media.monitor import EVERY_S, LOOKS, QualityTriggered, StatsTaken, watch
from sinchphone.media.port import PortStats
from sinchphone.media.sound import Levels

STOP_S = 1.5
LOOK_S = EVERY_S / LOOKS


@dataclass
class Stopped:
    """The counters of a leg whose process is stopped at the third look. ``goes_on``: the peer was talking all the while."""

    goes_on: bool
    looks: int = 0
    came_at: float = field(default_factory=time.monotonic)
    woke_at: float = 0.0

    async def stats(self) -> PortStats:
        self.looks += 1
        if self.looks == 3:
            time.sleep(STOP_S)
            self.woke_at = time.monotonic()
        elif self.looks < 3 or self.goes_on:
            self.came_at = time.monotonic()
        return PortStats(codec="opus", packets_received=self.looks, silent_s=time.monotonic() - self.came_at)


async def told_by(leg: Stopped, looks: int) -> list[QualityTriggered]:
    """The warnings of so many looks."""
    told = []
    async for event in watch(leg.stats, lambda: Levels(near_dbfs=-math.inf, far_dbfs=-math.inf), lambda: False, lambda: False):
        if isinstance(event, QualityTriggered):
            told.append(event)
        if isinstance(event, StatsTaken) and leg.looks >= looks:
            break
        if told:
            break
    return told


async def test_a_pause_of_our_own_is_not_told_as_a_stream_that_the_peer_stopped() -> None:
    assert await told_by(Stopped(goes_on=True), looks=9) == []


async def test_a_stream_that_stays_away_after_our_own_pause_is_told_a_second_later() -> None:
    leg = Stopped(goes_on=False)
    async with asyncio.timeout(STOP_S + 10 * EVERY_S):
        [warning] = await told_by(leg, looks=40)
    assert warning.name == "MissingMediaStream"
    assert time.monotonic() - leg.woke_at >= EVERY_S - LOOK_S
