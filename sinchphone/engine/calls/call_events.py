"""What a call tells its user while it lasts, beside its states."""

from dataclasses import dataclass
from typing import TypeAlias

from sinchphone.engine.calls.hold import HoldEvent
from sinchphone.engine.calls.media.audio import AudioEvent
from sinchphone.engine.calls.media.monitor import MonitorEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsSent:
    """The peer was sent these digits, pauses included."""

    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitHeard:
    """The peer sent a digit: one of ``0-9 * # A-D``."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWarning:
    """Something about the sound's way is not as it should be, and the call goes on."""

    message: str
    hint: str = ""


CallEvent: TypeAlias = DigitsSent | DigitHeard | CallWarning | HoldEvent | MonitorEvent | AudioEvent
