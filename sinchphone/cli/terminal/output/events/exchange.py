"""What commands tell about the exchange of this machine's user: events of ``--json`` as those in ``events`` are."""

from enum import StrEnum
from typing import ClassVar, Literal

from sinchphone.protocol.verification import VerificationMethod, VerificationStatus
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeBackground:
    """The local exchange runs in the background from now on, as the process ``pid``: it was started for this command, outlives it, and ends
    when nobody uses it. ``log``: its file."""

    NAME: ClassVar[str] = "exchange.background"
    pid: int
    log: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeStatus:
    """Who hosts the local exchange; ``running`` is false, and all else ``null``, where nobody does. ``kind``: ``foreground``
    (``sinchphone exchange``), ``background``, or ``program``. ``calls`` aren't over, ``callers`` only call, ``phones`` wait."""

    NAME: ClassVar[str] = "exchange.status"
    running: bool
    url: str
    kind: Literal["foreground", "background", "program"] | None = None
    pid: int | None = None
    version: str | None = None
    running_s: int | None = None
    calls: int | None = None
    callers: int | None = None
    phones: int | None = None
    log: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TextListed:
    """A text message to a phone number, which the local exchange kept: nobody's phone got it. ``at`` is a time in ISO 8601."""

    NAME: ClassVar[str] = "exchange.sms"
    id: str
    sender: str | None
    number: str
    text: str
    at: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RecordingListed:
    """What a backend had recorded of a call; ``at`` is when it ended."""

    NAME: ClassVar[str] = "exchange.recording"
    name: str
    path: str
    bytes: int
    at: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class UserListed:
    """A user of the local exchange. ``account``: was made with a password or by ``exchange users add``, and doesn't come by tokens alone;
    of the ``devices``, so many are ``listening``."""

    NAME: ClassVar[str] = "exchange.user"
    user_id: str
    email: str | None
    number: str | None
    account: bool
    devices: int
    listening: int


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeStopped:
    """The exchange in the background was told to end, and ended with so many ``calls``; ``null`` where none ran."""

    NAME: ClassVar[str] = "exchange.stopped"
    calls: int | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeMoved:
    """What an exchange remembered in a file is on Redis. New there: ``users``, ``devices`` and ``message_frames`` that wait, ``rows`` in
    all; ``known`` rows had been there before."""

    NAME: ClassVar[str] = "exchange.moved"
    users: int
    devices: int
    message_frames: int
    rows: int
    known: int


class SimulatedState(StrEnum):
    """How far a call of a simulated phone is."""

    CALLING = "calling"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCallTold:
    """How far a simulated phone's call is: ``calling``, ``ringing``, ``answered``, ``ended``. ``status`` and ``reason``, SIP's number and
    words, where it didn't come about or was broken off. ``digits`` came from the other side, and ``heard_s`` seconds of sound."""

    NAME: ClassVar[str] = "exchange.call"
    id: str
    state: SimulatedState
    status: int | None
    reason: str | None
    talked_s: float | None
    digits: str
    heard_s: float


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class VerificationTold:
    """How the verification of a number stands: ``PENDING`` when its code has gone out, ``SUCCESSFUL``, or why not."""

    NAME: ClassVar[str] = "verification"
    id: str
    number: str
    method: VerificationMethod
    status: VerificationStatus
    reason: str | None
