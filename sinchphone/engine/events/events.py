"""What a client tells its user."""

from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias

from sinchphone.engine.calls.call import Call
from sinchphone.errors import SinchphoneError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.push.notification import CallNotification


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The client is registered and can make and take calls."""

    user_id: str
    instance_id: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Reconnecting:
    """The platform went away; calls that talk go on, and the client keeps trying."""

    reason: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Reconnected:
    """The platform is back and knows the client."""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall:
    """Somebody calls."""

    call: Call


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class InstantMessage:
    """A message as it was written. What came from the other side is as it came: escape it before it's shown. ``at`` is when it was
    sent or received here, in seconds since the epoch."""

    id: str
    sender: str
    recipients: tuple[str, ...]
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    at: float = 0.0


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """Somebody wrote. It's acknowledged without our doing."""

    message: InstantMessage


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent:
    """The platform has our message, for one recipient at least. ``elsewhere``: another device of ours sent it."""

    message: InstantMessage
    elsewhere: bool = False


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageDelivered:
    """A device of the recipient has the message. At most once for each recipient."""

    message_id: str
    recipient: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class MessageFailed:
    """The message couldn't be handed to the platform for that recipient."""

    message_id: str
    recipient: str
    error: SinchphoneError


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class FellAsleep:
    """Nothing is subscribed any more: a push wakes this client."""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PushReceived:
    """A push told of a call; its INVITE is on its way. ``woke``: the client slept."""

    notification: CallNotification
    woke: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PushDropped:
    """A push that is of no use: too late, repeated, or unreadable."""

    reason: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ClientWarning:
    """Something is not as it should be, and the client goes on."""

    message: str
    hint: str = ""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ClientFailed:
    """The client can't go on. The last event."""

    error: SinchphoneError


MessageEvent: TypeAlias = MessageReceived | MessageSent | MessageDelivered | MessageFailed
PushEvent: TypeAlias = FellAsleep | PushReceived | PushDropped
ClientEvent: TypeAlias = Ready | Reconnecting | Reconnected | IncomingCall | MessageEvent | PushEvent | ClientWarning | ClientFailed
