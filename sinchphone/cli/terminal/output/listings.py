"""What commands list: the past, contacts, devices, an exchange's addresses. Facts as those of ``events``, of which they are part."""

from dataclasses import field
from enum import StrEnum
from typing import Annotated, ClassVar, Final, TypeAlias

from sinchphone.cli.addressing.destination import Kind
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ValueBounds:
    """What a value may be, beyond its type, in the words of JSON Schema."""

    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    words: tuple[str, ...] = ()


Count: TypeAlias = Annotated[int, ValueBounds(minimum=0)]
Milliseconds: TypeAlias = Annotated[int, ValueBounds(minimum=0)]
INSTANT_PATTERN: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
Instant: TypeAlias = Annotated[str, ValueBounds(pattern=INSTANT_PATTERN)]


class CheckResult(StrEnum):
    """What a check of ``doctor`` came to."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class PastKind(StrEnum):
    """What was."""

    CALL = "call"
    MESSAGE = "message"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A call or a message of the past. ``status`` is a call's cause, a message's delivered, sent, failed or received; ``code`` and
    ``reason`` are what was said of a failure. ``contacts`` are the names under which the peers are known here."""

    NAME: ClassVar[str] = "history"
    kind: PastKind
    id: str
    at: Instant
    outbound: bool
    peers: list[str]
    status: str
    missed: bool
    duration_ms: Milliseconds | None
    text: str | None
    contacts: list[str | None] = field(default_factory=list)
    domain: str | None = None
    ended_by: str | None = None
    code: int | None = None
    reason: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class HistoryDeleted:
    """So many calls and messages were deleted from the history."""

    NAME: ClassVar[str] = "history.deleted"
    calls: Count
    messages: Count


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ContactListed:
    """A contact: ``call @name`` dials ``identity``. ``user_id``: who they are on the platform, where that's known."""

    NAME: ClassVar[str] = "contact"
    name: str
    kind: Kind
    identity: str
    user_id: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeStarted:
    """The exchange answers at ``url``, and at ``tls_url`` to who trusts the certificate in the file ``authority``; phones register at
    ``sip`` (UDP and TCP) and at ``sip_tls``, where they can. ``inspector``: a page about what happens there, for a browser on this machine;
    the token in its address is secret. ``metrics``: where Prometheus reads, and whoever asks whether it's well."""

    NAME: ClassVar[str] = "exchange.started"
    url: str
    application_key: str
    tls_url: str | None = None
    authority: str | None = None
    sip: str | None = None
    sip_tls: str | None = None
    inspector: str | None = None
    metrics: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFound:
    """A sound device."""

    NAME: ClassVar[str] = "device"
    index: int
    name: str
    host: str
    inputs: int
    outputs: int
    default_input: bool
    default_output: bool
    headset: bool | None = None  # whether nobody but the wearer hears it, where the system knows


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CameraFound:
    """A camera."""

    NAME: ClassVar[str] = "camera"
    index: int
    name: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DoctorChecked:
    """A check of ``doctor``: what was found, and what to do about it. ``skipped``: it doesn't apply here."""

    NAME: ClassVar[str] = "doctor.check"
    id: str
    result: CheckResult
    summary: str
    hint: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DevicesTested:
    """What the microphone heard was played on the loudspeaker; ``heard``: it was more than silence."""

    NAME: ClassVar[str] = "devices.tested"
    microphone: str
    loudspeaker: str
    level_dbfs: float | None
    heard: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLevel:
    """How loud the microphone is; ``null`` is digital silence, or nothing that came."""

    NAME: ClassVar[str] = "device.level"
    microphone: str
    level_dbfs: float | None
