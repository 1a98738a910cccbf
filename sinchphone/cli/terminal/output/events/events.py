"""What happens, as facts: each becomes lines of text (``rendering``) and a JSON object (``report``).

Field names are those of the JSON: snake_case, durations in ``_ms`` or ``_s``, ``None`` for what isn't known. The JSON Schema is made of
these classes (``event_schema``): what a value may be stands in its type here. What tells an event of the engine or of sound by the same
name is called as that is, and ``Told``.
"""

from dataclasses import field
from enum import StrEnum
from typing import Annotated, ClassVar, Self, TypeAlias

from sinchphone.audio.quality_warning import QualityWarning
from sinchphone.cli.terminal.output.events.client import (
    ClientFailedTold,
    ClientReady,
    ClientReconnecting,
    ClientSleeping,
    GroupCallAdded,
    GroupCallRemoved,
    GroupJoined,
    PushDroppedTold,
    PushReceivedTold,
)
from sinchphone.cli.terminal.output.events.control import ControlClosed, ControlDone, ControlFailed
from sinchphone.cli.terminal.output.events.exchange import (
    ExchangeBackground,
    ExchangeMoved,
    ExchangeStatus,
    ExchangeStopped,
    RecordingListed,
    SimulatedCallTold,
    TextListed,
    UserListed,
    VerificationTold,
)
from sinchphone.cli.terminal.output.events.peer import CallTransferred, ConferenceMembers
from sinchphone.cli.terminal.output.events.trace import TraceCallListed, TraceEventTold
from sinchphone.cli.terminal.output.events.video import VideoCamera, VideoPaused, VideoSeen
from sinchphone.cli.terminal.output.listings import (
    CameraFound,
    ContactListed,
    Count,
    DeviceFound,
    DeviceLevel,
    DevicesTested,
    DoctorChecked,
    ExchangeStarted,
    HistoryDeleted,
    HistoryEntry,
    Milliseconds,
    ValueBounds,
)
from sinchphone.cli.terminal.output.results import (
    CallEnded,
    Measure,
    MessageDeliveredTold,
    MessageFailedTold,
    MessageReceivedTold,
    MessageSentTold,
    MessageState,
    MessageStatus,
    MessageTransport,
    Outcome,
    PipeDirection,
    PipeEndedTold,
    PipeStartedTold,
    Problem,
    RecordFinishedTold,
    RecordStartedTold,
    RequestKind,
    RequestOutcome,
    Result,
    SipFailure,
    Warned,
)
from sinchphone.options import Place
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain

__all__ = [
    "CallEnded",
    "Measure",
    "MessageDeliveredTold",
    "MessageFailedTold",
    "MessageReceivedTold",
    "MessageSentTold",
    "MessageState",
    "MessageStatus",
    "MessageTransport",
    "Outcome",
    "PipeDirection",
    "PipeEndedTold",
    "PipeStartedTold",
    "Problem",
    "RecordFinishedTold",
    "RecordStartedTold",
    "RequestKind",
    "RequestOutcome",
    "Result",
    "SipFailure",
    "Warned",
]  # these too, for who tells of calls

Percent: TypeAlias = Annotated[float, ValueBounds(minimum=0, maximum=100)]
Score: TypeAlias = Annotated[float, ValueBounds(minimum=1, maximum=4.5)]
Digit: TypeAlias = Annotated[str, ValueBounds(pattern="^[0-9*#A-D]$")]
Digits: TypeAlias = Annotated[str, ValueBounds(pattern="^[0-9*#A-DwW]+$")]
PairKind: TypeAlias = Annotated[str, ValueBounds(words=("host", "srflx", "prflx", "relay"))]
StreamKind: TypeAlias = Annotated[str, ValueBounds(words=("audio", "video"))]
QualityName: TypeAlias = Annotated[str, ValueBounds(words=tuple(each.value for each in QualityWarning))]


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallOutgoing:
    """A call is being placed. ``contact``: the name under which the peer is known here."""

    NAME: ClassVar[str] = "call.outgoing"
    call_id: str
    peer: str
    domain: Domain
    user_id: str
    environment: Place
    hosted_here: bool | None
    contact: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallIncoming:
    """Somebody calls. ``contact``: the name under which they are known here; ``video``: pictures are offered."""

    NAME: ClassVar[str] = "call.incoming"
    call_id: str
    peer: str
    domain: Domain
    headers: dict[str, str] = field(default_factory=dict)
    contact: str | None = None
    video: bool = False


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallProgressing:
    """The platform took the call."""

    NAME: ClassVar[str] = "call.progressing"
    call_id: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallRinging:
    """It rings at the other end."""

    NAME: ClassVar[str] = "call.ringing"
    call_id: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    """Picked up, ``after_ms`` after the start."""

    NAME: ClassVar[str] = "call.answered"
    call_id: str
    after_ms: Milliseconds | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallEstablished:
    """Sound flows, ``establishing_ms`` after the start; ``setup_ms`` is the start to progressing, as in Sinch's SDK. ``video_codec``: that
    of pictures, ``None`` where there are none."""

    NAME: ClassVar[str] = "call.established"
    call_id: str
    setup_ms: Milliseconds | None
    establishing_ms: Milliseconds | None
    codec: str | None
    pair: PairKind | None
    video_codec: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallMuted:
    """Our microphone was switched."""

    NAME: ClassVar[str] = "call.muted"
    call_id: str
    muted: bool


class HeldBy(StrEnum):
    """Who holds a call."""

    US = "us"
    PEER = "peer"

    @classmethod
    def of(cls, by_us: bool) -> Self:
        """Us, or the peer."""
        return cls.US if by_us else cls.PEER


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld:
    """A call is on hold from now on: ``by`` us, or the peer, who doesn't hear us. ``agreed``: the other side was told and goes along; where
    not, it hears music or silence all the same."""

    NAME: ClassVar[str] = "call.held"
    call_id: str
    peer: str
    by: HeldBy
    agreed: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallResumed:
    """That hold is over. ``agreed``: the other side was told and goes along."""

    NAME: ClassVar[str] = "call.resumed"
    call_id: str
    peer: str
    by: HeldBy
    agreed: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DigitsSentTold:
    """Digits were dialled in the call; ``w`` and ``W`` are pauses."""

    NAME: ClassVar[str] = "dtmf.sent"
    call_id: str
    digits: Digits


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DigitReceived:
    """The other side dialled a digit."""

    NAME: ClassVar[str] = "dtmf.received"
    call_id: str
    digit: Digit
    duration_ms: Milliseconds


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PlayStartedTold:
    """A file begins to play to the peer."""

    NAME: ClassVar[str] = "play.started"
    call_id: str
    path: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PlayFinishedTold:
    """A file was played to its end."""

    NAME: ClassVar[str] = "play.finished"
    call_id: str
    path: str
    last: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A call's sound, every second and at its end: counters since its start, and what the last second was like.

    ``mos``: the score that people would give it, estimated by ITU-T G.107.1 (1.0, nothing came, to 4.5); ``mean_mos``: over the whole call.
    ``concealed_percent``: of what was heard, made up or silence in place of sound. ``bytes_sent`` and ``bytes_received`` are the sound's
    alone; ``sent_kbps`` and ``received_kbps`` all of it on the line: packets with their headers (as of IPv4), and what was sent again.
    Packets that are sent again aren't counted as sent or received, and don't make fewer lost. ``jitter_ms`` is RFC 3550's; ``delay_ms``:
    how much later sound is heard than the fastest packet of the last four seconds would have allowed. Levels in dBFS, ``None`` for
    digital silence.
    """

    NAME: ClassVar[str] = "stats"
    call_id: str
    codec: str | None
    packets_sent: Count
    packets_received: Count
    packets_lost: Count
    bytes_sent: Count
    bytes_received: Count
    concealed_ms: Measure
    jitter_ms: Measure | None
    delay_ms: Measure | None
    round_trip_ms: Measure | None
    sent_kbps: Measure | None = None
    received_kbps: Measure | None = None
    received_loss_percent: Percent | None = None
    sent_loss_percent: Percent | None = None
    concealed_percent: Percent | None = None
    mos: Score | None = None
    mean_mos: Score | None = None
    near_dbfs: float | None = None
    far_dbfs: float | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class QualityTriggeredTold:
    """Something is wrong with a call's sound from now on. ``name`` is one of the Sinch SDK's call quality warnings (MissingMediaStream:
    nothing has come for a second), or SilentInboundAudio (packets carry silence) or ClippedOutboundAudio (the microphone is too loud).
    ``stream`` is what it is about; pictures aren't judged."""

    NAME: ClassVar[str] = "quality.trigger"
    call_id: str
    name: QualityName
    stream: StreamKind = "audio"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class QualityRecoveredTold:
    """It is over."""

    NAME: ClassVar[str] = "quality.recover"
    call_id: str
    name: QualityName
    stream: StreamKind = "audio"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DevicesChangedTold:
    """Sound goes through these devices from now on, after one had stopped, gone or come. ``None``: there is none."""

    NAME: ClassVar[str] = "devices.changed"
    call_id: str
    microphone: str | None
    loudspeaker: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinished:
    """The self-check of a call without a sound device: did our tones come back, and did any sound arrive at all? ``packets_received`` is
    ``None`` where the call ended before they were counted."""

    NAME: ClassVar[str] = "check.finished"
    call_id: str
    echo: bool
    sound: bool
    packets_received: Count | None
    delay_ms: Milliseconds | None
    level_dbfs: float | None


Event: TypeAlias = (
    ClientReady
    | ClientReconnecting
    | ClientSleeping
    | ClientFailedTold
    | GroupJoined
    | GroupCallAdded
    | GroupCallRemoved
    | PushReceivedTold
    | PushDroppedTold
    | CallOutgoing
    | CallIncoming
    | CallProgressing
    | CallRinging
    | CallAnswered
    | CallEstablished
    | CallMuted
    | VideoPaused
    | VideoCamera
    | VideoSeen
    | CallHeld
    | CallResumed
    | CallTransferred
    | ConferenceMembers
    | DigitsSentTold
    | DigitReceived
    | CallEnded
    | PlayStartedTold
    | PlayFinishedTold
    | RecordStartedTold
    | RecordFinishedTold
    | PipeStartedTold
    | PipeEndedTold
    | Stats
    | QualityTriggeredTold
    | QualityRecoveredTold
    | DevicesChangedTold
    | CheckFinished
    | MessageSentTold
    | MessageDeliveredTold
    | MessageFailedTold
    | MessageReceivedTold
    | HistoryEntry
    | HistoryDeleted
    | ContactListed
    | ControlDone
    | ControlFailed
    | ControlClosed
    | Warned
    | ExchangeStarted
    | ExchangeBackground
    | ExchangeStatus
    | ExchangeStopped
    | ExchangeMoved
    | TextListed
    | RecordingListed
    | UserListed
    | TraceCallListed
    | TraceEventTold
    | SimulatedCallTold
    | VerificationTold
    | DeviceFound
    | CameraFound
    | DeviceLevel
    | DevicesTested
    | DoctorChecked
    | Result
)
