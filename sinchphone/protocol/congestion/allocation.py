"""Who may send how much of what the path carries: the streams of one path, the more urgent ones first.

::

    budget of the CongestionController ---> allocate ---> bit/s for each stream
    what each stream can make use of   --->
"""

from collections.abc import Mapping
from enum import IntEnum
from itertools import groupby
from typing import Final

from sinchphone.quick_dataclass import quick_dataclass

_NOTHING: Final = 0.0


class Priority(IntEnum):
    """Of a smaller number is served first."""

    SOUND = 0
    PICTURES = 1


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one stream can make use of [bit/s], all headers included."""

    priority: Priority
    least: float  # with less it's of no use: it then gets nothing, and should send nothing
    most: float  # it spends no more than that, whatever there is


def allocate(budget: float, demands: Mapping[int, Demand]) -> dict[int, float]:
    """Share ``budget`` [bit/s] out: what each stream, known by its SSRC, may send.

    Streams of one priority get all that they can use before those of the next one get anything. Those of equal priority share evenly what
    is there: none is kept below its share by another that could do with more. A stream for which less than its ``least`` is left gets 0;
    what it would have had is the others'; but sound gets what there is, since silence helps nobody. The sum never exceeds ``budget``.
    """
    given: dict[int, float] = dict.fromkeys(demands, _NOTHING)
    left = max(_NOTHING, budget)
    ordered = sorted(demands, key=lambda stream: demands[stream].priority)
    for priority, streams in groupby(ordered, lambda stream: demands[stream].priority):
        shares = _share(left, {stream: demands[stream] for stream in streams}, all_served=priority == Priority.SOUND)
        given |= shares
        left -= sum(shares.values())
    return given


def _share(left: float, demands: dict[int, Demand], *, all_served: bool) -> dict[int, float]:
    """Evenly among equals; without the most demanding one where there isn't enough for all of them."""
    while demands:
        shares = _fill(left, demands)
        short = [stream for stream, share in shares.items() if share < demands[stream].least]
        if not short or all_served:
            return shares
        hardest = max(short, key=lambda stream: demands[stream].least)
        demands = {stream: demand for stream, demand in demands.items() if stream != hardest}
    return {}


def _fill(left: float, demands: Mapping[int, Demand]) -> dict[int, float]:
    shares: dict[int, float] = {}
    for count, stream in zip(range(len(demands), 0, -1), sorted(demands, key=lambda stream: demands[stream].most), strict=True):
        shares[stream] = min(demands[stream].most, left / count)
        left = max(_NOTHING, left - shares[stream])
    return shares
