"""A call's quality while it lasts: once a second counters and levels are read, judged and told; a stream that is gone is told sooner."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeAlias

from sinchphone.audio.quality import Quality, QualityReport, Sample
from sinchphone.errors import SinchphoneError
from sinchphone.media.port import PortStats
from sinchphone.media.sound import Levels
from sinchphone.quick_dataclass import quick_dataclass

EVERY_S: Final = 1.0
LOOKS: Final = 4  # at the peer's stream, in that time
STOPPED_S: Final = 0.75  # between two looks: this process itself stood still (Ctrl-Z, a debugger), and took nothing of what came


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class StatsTaken:
    """A second of the call: counters since its start, what this second was like, how loud it is now, the mean score so far."""

    stats: PortStats
    report: QualityReport
    levels: Levels
    mean_mos: float | None


class MediaStream(StrEnum):
    """What is transported of a call."""

    AUDIO = "audio"
    VIDEO = "video"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class QualityTriggered:
    """Something is wrong with that stream from now on: one of ``audio.quality_warning.QualityWarning``. Pictures aren't judged."""

    name: str
    stream: MediaStream = MediaStream.AUDIO


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class QualityRecovered:
    """It is over."""

    name: str
    stream: MediaStream = MediaStream.AUDIO


MonitorEvent: TypeAlias = StatsTaken | QualityTriggered | QualityRecovered


async def watch(
    stats: Callable[[], Awaitable[PortStats]], levels: Callable[[], Levels], muted: Callable[[], bool], held: Callable[[], bool]
) -> AsyncIterator[MonitorEvent]:
    """What there is to tell of an established call, once a second until it is cancelled, and when the peer's stream has gone or come back.
    A second without counters is left out, and how long nothing came while this process itself stood still isn't counted."""
    quality = Quality()
    loop = asyncio.get_running_loop()
    due, looks = loop.time(), 0
    looked_at, running_since = due, -math.inf
    while True:
        try:
            counters = await stats()
        except SinchphoneError:  # the leg is closing
            counters = None
        if counters is not None:
            heard = levels()
            now = loop.time()
            running_since = now if now - looked_at > STOPPED_S else running_since
            looked_at = now
            sample = _since(running_since, _sample(counters, heard, now, muted=muted(), held=held()))
            changes = quality.look(sample) if looks % LOOKS else quality.push(sample)
            if looks % LOOKS == 0:
                yield StatsTaken(stats=counters, report=quality.report, levels=heard, mean_mos=quality.mean_mos)
            for change in changes:
                yield QualityTriggered(name=change.name) if change.triggered else QualityRecovered(name=change.name)
        looks += 1
        due = max(due + EVERY_S / LOOKS, loop.time())
        await asyncio.sleep(due - loop.time())


def _since(running_since: float, sample: Sample) -> Sample:
    """The sample without what was missed before this process went on."""
    return sample if sample.silent_s is None else replace(sample, silent_s=min(sample.silent_s, sample.at - running_since))


def _sample(stats: PortStats, levels: Levels, at: float, *, muted: bool, held: bool) -> Sample:
    return Sample(
        at=at,
        connected=stats.codec is not None,
        muted=muted,
        held=held,
        codec=stats.codec,
        packets_received=stats.packets_received,
        packets_lost=stats.packets_lost,
        line_bytes_sent=stats.line_bytes_sent,
        line_bytes_received=stats.line_bytes_received,
        concealed_samples=stats.concealed_samples,
        absent_samples=stats.absent_samples,
        played_samples=stats.played_samples,
        recovered_samples=stats.recovered_samples,
        coded_bytes=stats.coded_bytes,
        coded_samples=stats.coded_samples,
        silent_s=stats.silent_s,
        sent_loss_percent=stats.sent_loss_percent,
        jitter_ms=stats.jitter_ms,
        delay_ms=stats.delay_ms,
        round_trip_ms=stats.round_trip_ms,
        near=levels.near,
        far=levels.far,
    )
