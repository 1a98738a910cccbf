"""What a client tells its user."""

from dataclasses import dataclass
from typing import TypeAlias

from sinchphone.engine.call import Call
from sinchphone.errors import SinchphoneError


@dataclass(frozen=True, slots=True)
class Ready:
    """The client is registered and can make and take calls."""

    user_id: str
    instance_id: str


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The platform went away; calls that talk go on, and the client keeps trying."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The platform is back and knows the client."""


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """Somebody calls."""

    call: Call


@dataclass(frozen=True, slots=True)
class ClientWarning:
    """Something is not as it should be, and the client goes on."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ClientFailed:
    """The client can't go on. The last event."""

    error: SinchphoneError


ClientEvent: TypeAlias = Ready | Reconnecting | Reconnected | IncomingCall | ClientWarning | ClientFailed
