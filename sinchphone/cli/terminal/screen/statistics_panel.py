"""The panel of a call's statistics, above its status line: codec, path, bit rates, losses, delays, and the score over the last minute."""

import math
import textwrap
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from sinchphone.cli.terminal.text.escape import escape
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.cli.terminal.output.events.events import Stats

MAX_COLUMNS: Final = 79
MINUTE: Final = 60  # scores that are shown, one a second
_BARS: Final = "▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = "_.:-=+*#"
_WORST, _BEST = 1.0, 4.5
_BETWEEN: Final = "   "  # facts
_PATHS: Final = {
    "host": "direct (host)",
    "srflx": "direct, through NAT (srflx)",
    "prflx": "direct, through NAT (prflx)",
    "relay": "relayed (TURN)",
}


@quick_dataclass(frozen=True, slots=True)
class Panel:
    """What it shows."""

    stats: "Stats | None"
    pair: str | None
    scores: tuple[float | None, ...] = ()


class Scores:
    """The scores of the last minute, ``None`` for a second without one (on hold)."""

    def __init__(self) -> None:
        self._scores: deque[float | None] = deque(maxlen=MINUTE)

    def add(self, score: float | None) -> None:
        """That of one more second."""
        self._scores.append(score)

    def seen(self) -> tuple[float | None, ...]:
        """All of them, the oldest first."""
        return tuple(self._scores)


def panel_lines(panel: Panel, columns: int = MAX_COLUMNS, *, ascii_only: bool = False) -> list[str]:
    """Its lines, none wider than ``columns``, nor than 79 cells: what has no room in one is in the next."""
    width, stats = max(1, min(columns, MAX_COLUMNS)), panel.stats
    if stats is None:
        return _wrapped(["statistics: none yet"], width)
    flow = [
        f"codec {escape(stats.codec or 'unknown')}",
        f"path {_PATHS.get(panel.pair or '', 'unknown')}",
        f"sent {_measured(stats.sent_kbps, 'kbit/s')}",
        f"heard {_measured(stats.received_kbps, 'kbit/s')}",
    ]
    quality = [
        f"loss {_measured(stats.received_loss_percent, '%')} heard, {_measured(stats.sent_loss_percent, '%')} sent",
        f"jitter {_measured(stats.jitter_ms, 'ms', 0)}",
        f"delay {_measured(stats.delay_ms, 'ms', 0)}",
        f"round trip {_measured(stats.round_trip_ms, 'ms', 0)}",
    ]
    scores = _wrapped([f"MOS {_measured(stats.mos, '')}, mean {_measured(stats.mean_mos, '')}"], width)
    room = width - 1 - len(scores[-1])
    bars = sparkline(panel.scores[-room:], ascii_only=ascii_only) if room > 0 else ""
    return [*_wrapped(flow, width), *_wrapped(quality, width), *scores[:-1], f"{scores[-1]} {bars}".rstrip()]


def _wrapped(facts: Iterable[str], width: int) -> list[str]:
    """Lines of whole facts; one that is wider than a line is broken between its words."""
    lines: list[str] = []
    for fact in facts:
        if lines and len(lines[-1]) + len(_BETWEEN) + len(fact) <= width:
            lines[-1] += _BETWEEN + fact
        else:
            lines += textwrap.wrap(fact, width)
    return lines


def sparkline(scores: Iterable[float | None], *, ascii_only: bool = False) -> str:
    """A bar a second, from 1.0 (lowest) to 4.5 (highest); a space where there was none."""
    bars = _ASCII_BARS if ascii_only else _BARS
    return "".join(" " if score is None else bars[_step(score, len(bars))] for score in scores)


def _step(score: float, steps: int) -> int:
    share = (score - _WORST) / (_BEST - _WORST)
    return min(steps - 1, max(0, math.floor(share * steps)))


def _measured(value: float | None, unit: str, digits: int = 1) -> str:
    return "?" if value is None else f"{value:.{digits}f} {unit}".rstrip()
