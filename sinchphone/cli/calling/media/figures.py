"""Figures of a call as they are told and shown: rounded, and only where there are some."""

import math
from typing import TYPE_CHECKING, Final

from sinchphone.cli.terminal.output.events import events as e

if TYPE_CHECKING:
    from sinchphone.engine.calls.media.monitor import StatsTaken
    from sinchphone.media.port import PortStats

_MS_PER_SAMPLE: Final = 1 / 48


def ms_between(start: float, end: float | None) -> int | None:
    """From one point in time [s] to another, if there is one."""
    return None if end is None else round(1000 * (end - start))


def lost_percent(stats: "PortStats | None") -> float | None:
    """Of the peer's packets; ``None`` before there are any."""
    if stats is None or not stats.packets_received:
        return None
    return 100 * max(0, stats.packets_lost) / (stats.packets_received + max(0, stats.packets_lost))


def stats_event(call_id: str, taken: "StatsTaken") -> e.Stats:
    """A second of a call."""
    stats, report = taken.stats, taken.report
    return e.Stats(
        call_id=call_id,
        codec=stats.codec,
        packets_sent=stats.packets_sent,
        packets_received=stats.packets_received,
        packets_lost=stats.packets_lost,
        bytes_sent=stats.bytes_sent,
        bytes_received=stats.bytes_received,
        concealed_ms=round(stats.concealed_samples * _MS_PER_SAMPLE, 1),
        jitter_ms=_rounded(stats.jitter_ms),
        delay_ms=_rounded(stats.delay_ms),
        round_trip_ms=_rounded(stats.round_trip_ms),
        sent_kbps=_rounded(report.sent_kbps),
        received_kbps=_rounded(report.received_kbps),
        received_loss_percent=_rounded(report.received_loss_percent),
        sent_loss_percent=_rounded(report.sent_loss_percent),
        concealed_percent=_rounded(report.concealed_percent),
        mos=_rounded(report.mos, 2),
        mean_mos=_rounded(taken.mean_mos, 2),
        near_dbfs=_rounded(taken.levels.near_dbfs),
        far_dbfs=_rounded(taken.levels.far_dbfs),
    )


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)
