"""How a command and its calls went, and what every command may tell. Facts as those of ``events``, of which they are part."""

from dataclasses import field
from enum import StrEnum
from typing import Annotated, ClassVar, Final, TypeAlias

from sinchphone.cli.terminal.output.listings import Count, Milliseconds, ValueBounds
from sinchphone.protocol.call.states import Cause, EndedBy
from sinchphone.quick_dataclass import quick_dataclass

SCHEMA: Final = "sinchphone.v1"
SipStatus: TypeAlias = Annotated[int, ValueBounds(minimum=300, maximum=699)]
Measure: TypeAlias = Annotated[float, ValueBounds(minimum=0)]


class MessageTransport(StrEnum):
    """How a message goes."""

    INSTANT = "instant"
    SMS = "sms"


class MessageState(StrEnum):
    """How far a message has come."""

    DELIVERED = "delivered"
    SENT = "sent"
    FAILED = "failed"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SipFailure:
    """What the SIP side answered (RFC 3261 21), such as 486 Busy Here."""

    code: SipStatus
    reason: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """Over. ``cause`` is the Sinch SDK's, ``reason`` says it in words; ``sip``: the SIP side refused or ended it. The
    durations are as in call.established; ``beside``: another call of this command goes on."""

    NAME: ClassVar[str] = "call.ended"
    call_id: str
    peer: str
    outbound: bool
    cause: Cause | None
    ended_by: EndedBy | None
    answered: bool
    setup_ms: Milliseconds | None
    establishing_ms: Milliseconds | None
    duration_ms: Milliseconds | None  # None: sound never flowed
    code: int | None
    reason: str
    hint: str | None
    sip: SipFailure | None = None
    beside: bool = False


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RecordStartedTold:
    """The recording runs."""

    NAME: ClassVar[str] = "record.started"
    call_id: str
    path: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RecordFinishedTold:
    """The recording is in its place. ``failure`` is why it isn't complete; without any sound there is no file then."""

    NAME: ClassVar[str] = "record.finished"
    call_id: str
    path: str
    duration_s: Measure
    failure: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether there is a file."""
        return self.failure is None or self.duration_s > 0


class PipeDirection(StrEnum):
    """``in``: what a program says goes into the call; ``out``: what is heard goes to a program."""

    IN = "in"
    OUT = "out"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PipeStartedTold:
    """Sound of this call goes through a pipe, from its byte ``offset_bytes`` on: what came before was another call's."""

    NAME: ClassVar[str] = "pipe.started"
    call_id: str
    path: str
    direction: PipeDirection
    offset_bytes: Count


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PipeEndedTold:
    """So many bytes of a pipe, from ``offset_bytes`` on, were this call's. ``reason``: why not all that was heard went through."""

    NAME: ClassVar[str] = "pipe.ended"
    call_id: str
    path: str
    direction: PipeDirection
    offset_bytes: Count
    bytes: Count
    reason: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageSentTold:
    """A message left: ``via`` is instant or sms. ``elsewhere``: another device of ours sent it. ``simulated``: the local exchange keeps it,
    and nobody's phone gets it (``exchange sms``)."""

    NAME: ClassVar[str] = "message.sent"
    message_id: str
    recipients: list[str]
    via: MessageTransport
    elsewhere: bool
    text: str | None = None
    simulated: bool = False


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageDeliveredTold:
    """The recipient has the message, on one device at least. At most once for each recipient."""

    NAME: ClassVar[str] = "message.delivered"
    message_id: str
    recipient: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageFailedTold:
    """The message couldn't be sent to that recipient, or wasn't delivered."""

    NAME: ClassVar[str] = "message.failed"
    message_id: str | None
    recipient: str
    reason: str
    hint: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceivedTold:
    """Somebody wrote."""

    NAME: ClassVar[str] = "message.received"
    message_id: str
    sender: str
    recipients: list[str]
    text: str
    headers: dict[str, str] = field(default_factory=dict)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatus:
    """What became of a message for one recipient: delivered, sent (not acknowledged in time, or not waited for) or failed."""

    message_id: str | None
    recipient: str
    via: MessageTransport
    status: MessageState


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Things go on, but not as asked."""

    NAME: ClassVar[str] = "warning"
    message: str
    hint: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong and what to do about it."""

    message: str
    hint: str | None


class RequestKind(StrEnum):
    """What a command line can ask for in a call."""

    PLAY = "play"
    SAY = "say"
    DTMF = "dtmf"
    RECORD = "record"
    VIDEO_RECORD = "video_record"
    PIPE_IN = "pipe_in"
    PIPE_OUT = "pipe_out"


class Outcome(StrEnum):
    """What became of it. ``cut_short``: the call ended first."""

    DONE = "done"
    CUT_SHORT = "cut_short"
    FAILED = "failed"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RequestOutcome:
    """What became of one thing that was asked for: ``name`` is the file, pipe or digits; ``reason`` why it wasn't done."""

    call_id: str
    kind: RequestKind
    name: str
    outcome: Outcome
    reason: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How the command went: the last line, exactly once."""

    NAME: ClassVar[str] = "result"
    ok: bool
    exit_code: int
    calls: list[CallEnded]
    recordings: list[str]
    error: Problem | None
    messages: list[MessageStatus] = field(default_factory=list)
    requests: list[RequestOutcome] = field(default_factory=list)
