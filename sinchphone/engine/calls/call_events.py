"""What a call tells its user while it lasts, beside its states."""

from typing import TypeAlias

from sinchphone.engine.calls.hold import HoldEvent
from sinchphone.engine.calls.media.audio import AudioEvent
from sinchphone.engine.calls.media.monitor import MonitorEvent
from sinchphone.protocol.call.room_events import RoomMember
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DigitsSent:
    """The peer was sent these digits, pauses included."""

    digits: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DigitHeard:
    """The peer sent a digit: one of ``0-9 * # A-D``."""

    digit: str
    duration_ms: int


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallWarning:
    """Something about the sound's way is not as it should be, and the call goes on."""

    message: str
    hint: str = ""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """The call goes on with somebody else, whom its ``peer`` names now: they were put in each other's place by the one before."""

    peer: str
    domain: Domain


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RoomChanged:
    """Who is in the conference room now, who speaks and who is muted: ``count`` people, of whom a full room names some."""

    members: tuple[RoomMember, ...]
    count: int


CallEvent: TypeAlias = Transferred | RoomChanged | DigitsSent | DigitHeard | CallWarning | HoldEvent | MonitorEvent | AudioEvent
