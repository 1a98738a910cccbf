"""Who a call is with, as events: somebody else has the place of the one before, or people come to a room and go."""

from typing import ClassVar

from sinchphone.cli.terminal.output.listings import Count
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred:
    """The call goes on with somebody else: who was there has put the two in each other's place, and leaves."""

    NAME: ClassVar[str] = "call.transferred"
    call_id: str
    peer: str
    domain: Domain


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody in a conference room: a user id or a number, as the room knows them. ``you``: this call."""

    name: str
    speaks: bool
    muted: bool
    on_hold: bool
    you: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceMembers:
    """Who is in the room, who speaks and who is muted, whenever that changes, once a second at most. Of ``count`` people 24 are named."""

    NAME: ClassVar[str] = "conference.members"
    call_id: str
    members: list[Member]
    count: Count
