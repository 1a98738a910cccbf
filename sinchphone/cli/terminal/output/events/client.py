"""This phone at its platform, as events: registered or not, asleep, in a group, told by a push."""

from typing import ClassVar

from sinchphone.options import Place
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ClientReady:
    """Registered. ``hosted_here``: this process runs the local exchange; ``None`` in the cloud. ``again``: after an interruption."""

    NAME: ClassVar[str] = "client.ready"
    user_id: str
    instance_id: str | None
    environment: Place
    hosted_here: bool | None
    again: bool = False


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ClientReconnecting:
    """The platform went away; we try to get back."""

    NAME: ClassVar[str] = "client.reconnecting"
    reason: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ClientSleeping:
    """Nothing is subscribed any more: a push wakes us."""

    NAME: ClassVar[str] = "client.sleeping"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class GroupJoined:
    """We are in the group."""

    NAME: ClassVar[str] = "group.joined"
    group: str
    user_id: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class GroupCallAdded:
    """Sound flows to and from another one in the group. ``outbound``: we called."""

    NAME: ClassVar[str] = "group.call_added"
    call_id: str
    group: str
    peer: str
    outbound: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class GroupCallRemoved:
    """That one is gone; ``call.ended`` says more."""

    NAME: ClassVar[str] = "group.call_removed"
    call_id: str
    group: str
    peer: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PushReceivedTold:
    """A push tells of a call, which follows. ``woke``: we were asleep."""

    NAME: ClassVar[str] = "push.received"
    call_id: str
    peer: str
    display_name: str | None
    woke: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PushDroppedTold:
    """A push that is of no use: it came too late, or again, or can't be read."""

    NAME: ClassVar[str] = "push.dropped"
    reason: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ClientFailedTold:
    """The client can't go on."""

    NAME: ClassVar[str] = "client.failed"
    message: str
    hint: str | None
