"""SVAML: what a developer's backend answers to a call's events (Sinch Voice callbacks, v1). ``svaml_reading`` reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.callbacks.svaml_fields import Complaint

MAX_COOKIE_BYTES: Final = 1024  # of a session's cookies together, keys and values


class Event(StrEnum):
    """The events of a call that a backend answers."""

    ICE = "ice"  # a call came in
    ACE = "ace"  # it was answered
    PIE = "pie"  # a menu heard something
    DICE = "dice"  # it is over


# Prompts: what playFiles plays


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text to be spoken: ``#tts[…]``."""

    text: str


@dataclass(frozen=True, slots=True)
class Ssml:
    """A text with marks of speech: ``#ssml[<speak>…</speak>]``."""

    text: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """A sound file from the web: ``#href[…]``, or the bare URL."""

    url: str


Prompt: TypeAlias = Spoken | Ssml | Fetched


# Instructions


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """Answer the caller now."""


@dataclass(frozen=True, slots=True)
class Say:
    """Say a text to the caller."""

    text: str
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class PlayFiles:
    """Play prompts to the caller, one after the other."""

    prompts: tuple[Prompt, ...]
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class SendDtmf:
    """Send digits (``0-9 #``; ``w`` is a pause of half a second)."""

    digits: str


@dataclass(frozen=True, slots=True)
class SetCookie:
    """Send this along in the later events of the call."""

    key: str
    value: str


Instruction: TypeAlias = AnswerCall | Say | PlayFiles | SendDtmf | SetCookie


# Actions. ``None`` is "not given"; durations in seconds.


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Go on as the call would have."""


@dataclass(frozen=True, slots=True)
class ConnectPstn:
    """Connect to a phone number; the dialled one where none is given. ``caller_id`` "private" withholds it."""

    number: str | None = None
    caller_id: str | None = None
    max_duration_s: int | None = None
    dial_timeout_s: int | None = None
    dtmf: str = ""
    suppress_callbacks: bool = False
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectMxp:
    """Connect to a user; the dialled one where none is given."""

    user: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConnectConf:
    """Connect to a conference room. ``music`` is what somebody alone hears: ring, music1, music2 or music3."""

    room: str
    music: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectSip:
    """Connect to a SIP address (``user@host``, perhaps with a scheme). ``transport``: udp, tcp or tls; None where the address decides."""

    address: str
    caller_id: str | None = None
    transport: str | None = None
    max_duration_s: int | None = None
    suppress_callbacks: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


Action: TypeAlias = Hangup | Continue | ConnectPstn | ConnectMxp | ConnectConf | ConnectSip


@dataclass(frozen=True, slots=True)
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
