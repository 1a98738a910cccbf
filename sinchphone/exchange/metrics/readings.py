"""What an exchange is looked at for by who measures it."""

from collections.abc import Mapping
from typing import Protocol

from sinchphone.exchange.record.counts import CallbackCounts, CallCounts
from sinchphone.media.clock import Lateness
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """How an exchange stands now. ``waiting_frames``: of instant messages; ``devices``: that are registered; ``lateness``: of its own ends'
    sound, where it has any."""

    polls: int
    waiting_frames: int
    devices: int
    connections: int
    rooms: int
    participants: int
    calls: CallCounts
    callbacks: CallbackCounts
    lateness: Lateness


class ReadExchange(Protocol):
    """An exchange, or what stands for one."""

    def readings(self) -> Readings:
        """How it stands now."""

    @property
    def warnings(self) -> Mapping[str, str]:
        """What it didn't reach when ``troubles`` was asked last, and does without."""

    async def troubles(self) -> Mapping[str, str]:
        """Why it can't serve at present, by what is in its way; empty where it can."""
