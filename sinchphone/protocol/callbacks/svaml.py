"""SVAML: what a developer's backend answers to a call's events (Sinch Voice callbacks, v1). ``svaml_reading`` reads it."""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum, StrEnum
from typing import Final, TypeAlias

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.callbacks.svaml_fields import Complaint
from sinchphone.quick_dataclass import quick_dataclass

MAX_COOKIE_BYTES: Final = 1024  # of a session's cookies together, keys and values


class Event(StrEnum):
    """The events of a call that a backend answers."""

    ICE = "ice"  # a call came in
    ACE = "ace"  # it was answered
    PIE = "pie"  # a menu heard something
    DICE = "dice"  # it is over
    UPDATE = "update"  # none: the backend changes a call of its own accord, a parked one by what would have answered ICE

    def shown(self) -> str:
        """As Sinch's documents write it."""
        return "DiCE" if self is Event.DICE else self.upper()


# Prompts: what playFiles plays


@quick_dataclass(frozen=True, slots=True)
class Spoken:
    """A text to be spoken: ``#tts[…]``."""

    text: str


@quick_dataclass(frozen=True, slots=True)
class Ssml:
    """A text with marks of speech: ``#ssml[<speak>…</speak>]``."""

    text: str


@quick_dataclass(frozen=True, slots=True)
class Fetched:
    """A sound file from the web: ``#href[…]``, or the bare URL."""

    url: str


Prompt: TypeAlias = Spoken | Ssml | Fetched


# Instructions


@quick_dataclass(frozen=True, slots=True)
class AnswerCall:
    """Answer the caller now."""


@quick_dataclass(frozen=True, slots=True)
class Say:
    """Say a text to the caller."""

    text: str
    locale: str | None = None


@quick_dataclass(frozen=True, slots=True)
class PlayFiles:
    """Play prompts to the caller, one after the other."""

    prompts: tuple[Prompt, ...]
    locale: str | None = None


@quick_dataclass(frozen=True, slots=True)
class SendDtmf:
    """Send digits (``0-9 #``; ``w`` is a pause of half a second)."""

    digits: str


@quick_dataclass(frozen=True, slots=True)
class SetCookie:
    """Send this along in the later events of the call."""

    key: str
    value: str


@quick_dataclass(frozen=True, slots=True)
class StartRecording:
    """Record the call. ``notifies``: whether the backend is told when the recording begins, ends and can be had."""

    format: str = "mp3"
    notifies: bool = True


@quick_dataclass(frozen=True, slots=True)
class StopRecording:
    """End the recording."""


@quick_dataclass(frozen=True, slots=True)
class ReportCallStatus:
    """What the backend thinks of a call that is over."""

    success: bool
    details: str = ""


Instruction: TypeAlias = AnswerCall | Say | PlayFiles | SendDtmf | SetCookie | StartRecording | StopRecording | ReportCallStatus


# Actions. ``None`` is "not given"; durations in seconds.


@quick_dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@quick_dataclass(frozen=True, slots=True)
class Continue:
    """Go on as the call would have."""


class Amd(Enum):
    """Whether somebody listens to who answers, man or machine."""

    OFF = "off"
    SYNC = "sync"  # before the answer is told (ACE)
    ASYNC = "async"  # meanwhile; told of as it's known (notify)


@quick_dataclass(frozen=True, slots=True)
class ConnectPstn:
    """Connect to a phone number; the dialled one where none is given. ``caller_id`` "private" withholds it."""

    number: str | None = None
    caller_id: str | None = None
    max_duration_s: int | None = None
    dial_timeout_s: int | None = None
    dtmf: str = ""
    suppress_callbacks: bool = False
    locale: str | None = None
    amd: Amd = Amd.OFF
    recording: StartRecording | None = None


@quick_dataclass(frozen=True, slots=True)
class ConnectMxp:
    """Connect to a user; the dialled one where none is given."""

    user: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class DtmfMode(Enum):
    """What becomes of digits in a room."""

    IGNORE = "ignore"
    FORWARD = "forward"  # to all others in it
    DETECT = "detect"  # to the backend


@quick_dataclass(frozen=True, slots=True)
class ConferenceDtmf:
    """What becomes of a participant's digits; where they are collected, how many, and for how long the next is waited for."""

    mode: DtmfMode = DtmfMode.IGNORE
    max_digits: int = 1
    timeout_ms: int = 3000


@quick_dataclass(frozen=True, slots=True)
class ConnectConf:
    """Connect to a conference room. ``music`` is what somebody alone hears: ring, music1, music2 or music3."""

    room: str
    music: str | None = None
    dtmf: ConferenceDtmf = field(default_factory=ConferenceDtmf)
    recording: StartRecording | None = None


@quick_dataclass(frozen=True, slots=True)
class ConnectSip:
    """Connect to a SIP address (``user@host``, perhaps with a scheme). ``transport``: udp, tcp or tls; None where the address decides.
    ``music`` is what the caller hears while the called side holds the call."""

    address: str
    caller_id: str | None = None
    transport: str | None = None
    max_duration_s: int | None = None
    suppress_callbacks: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    music: str | None = None
    recording: StartRecording | None = None


@quick_dataclass(frozen=True, slots=True)
class ConnectStream:
    """Connect to a WebSocket server, which hears and says raw sound (16 bits, mono, ``sample_rate`` Hz)."""

    url: str
    sample_rate: int = 44_100
    max_duration_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@quick_dataclass(frozen=True, slots=True)
class Return:
    """A menu is left with a value."""

    value: str


@quick_dataclass(frozen=True, slots=True)
class GoTo:
    """Another menu of the same answer follows."""

    menu: str


@quick_dataclass(frozen=True, slots=True)
class MenuOption:
    """What becomes of digits."""

    digits: str
    leads_to: Return | GoTo


@quick_dataclass(frozen=True, slots=True)
class Menu:
    """One menu. ``max_digits`` is ``None`` where its options decide; ``timeout_ms``: how long each digit is waited for."""

    id: str
    prompt: tuple[Prompt, ...] = ()
    repeat_prompt: tuple[Prompt, ...] = ()
    repeats: int = 0
    max_digits: int | None = None
    timeout_ms: int = 5000
    options: tuple[MenuOption, ...] = ()


@quick_dataclass(frozen=True, slots=True)
class RunMenu:
    """Ask for digits: the result is a Prompt Input Event. ``barge``: a digit ends a prompt. ``first`` is one of ``menus``, as all that
    their options lead to are."""

    menus: Mapping[str, Menu]
    first: str = "main"
    barge: bool = True
    locale: str | None = None


@quick_dataclass(frozen=True, slots=True)
class Park:
    """Let the caller wait until the backend changes the call, or that time is over."""

    intro: tuple[Prompt, ...] = ()
    hold: tuple[Prompt, ...] = ()
    max_duration_s: int = 600
    locale: str | None = None


Action: TypeAlias = Hangup | Continue | ConnectPstn | ConnectMxp | ConnectConf | ConnectSip | ConnectStream | RunMenu | Park


@quick_dataclass(frozen=True, slots=True)
class Svaml:
    """An answer. The instructions are carried out in order, then the action. ``remarks`` say what was understood but has no effect."""

    action: Action
    instructions: tuple[Instruction, ...] = ()
    remarks: tuple[Complaint, ...] = ()


class SvamlError(RemoteProtocolError):
    """An answer that can't be carried out; its text is all complaints, separated by "; "."""

    def __init__(self, complaints: tuple[Complaint, ...]) -> None:
        super().__init__("; ".join(map(str, complaints)), hint="see the Voice API's reference of SVAML")
        self.complaints = complaints


def cookie_bytes(cookies: Mapping[str, str]) -> int:
    """How much a session's cookies count: UTF-8, keys and values."""
    return sum(len(f"{key}{value}".encode()) for key, value in cookies.items())
