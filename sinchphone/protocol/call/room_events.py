"""Who is in a conference room, in MXP, which has no method for it: two client events of ours. Clients that don't know them ignore them.

::

    {"name": "RoomMembers", "count": 3, "members": [{"name": "bob", "speaks": true, "muted": false, "onhold": false, "you": false}, …]}
    {"name": "Muted", "muted": true}                                from a participant: nothing is said there

The room tells when something has changed, once a second at most. Of a full room only so many are named, who speaks first.
"""

import json
from typing import Any, Final, TypeAlias

from sinchphone.quick_dataclass import quick_dataclass

MAX_NAMED: Final = 24
MAX_NAME: Final = 64  # characters
_MAX_COUNT: Final = 10_000
_MAX_BODY: Final = 16_384
_ROSTER, _MUTED = "RoomMembers", "Muted"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RoomMember:
    """Somebody in a room. ``name`` is a user id or a number, as the room knows it: escape it before it's shown. ``is_us``: this call."""

    name: str
    speaks: bool = False
    muted: bool = False
    on_hold: bool = False
    is_us: bool = False


@quick_dataclass(frozen=True, slots=True)
class RoomRoster:
    """All of ``count`` people, or as many as are named."""

    members: tuple[RoomMember, ...]
    count: int


@quick_dataclass(frozen=True, slots=True)
class MutedHere:
    """A participant says of itself whether it's muted."""

    muted: bool


RoomEvent: TypeAlias = RoomRoster | MutedHere


def encode_room_event(event: RoomEvent) -> str:
    """As the body of a client event."""
    if isinstance(event, MutedHere):
        return json.dumps({"name": _MUTED, "muted": event.muted})
    first = sorted(event.members, key=lambda one: not (one.speaks or one.is_us))[:MAX_NAMED]
    members = [
        {"name": one.name[:MAX_NAME], "speaks": one.speaks, "muted": one.muted, "onhold": one.on_hold, "you": one.is_us}
        for one in event.members
        if one in first
    ]
    return json.dumps({"name": _ROSTER, "count": event.count, "members": members[:MAX_NAMED]}, ensure_ascii=False)


def decode_room_event(body: str) -> RoomEvent | None:
    """One of both; ``None`` for any other client event, and for what can't be read."""
    if len(body) > _MAX_BODY:
        return None
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match read:
        case {"name": "Muted", "muted": bool(muted)}:
            return MutedHere(muted)
        case {"name": "RoomMembers", "count": int(count), "members": [*members]} if 0 <= count <= _MAX_COUNT and len(members) <= MAX_NAMED:
            found = [_member(one) for one in members]
            known = tuple(one for one in found if one is not None)
            return RoomRoster(known, count) if len(known) == len(found) else None
    return None


def _member(written: Any) -> RoomMember | None:
    match written:
        case {"name": str(name), "speaks": bool(speaks), "muted": bool(muted), "onhold": bool(on_hold), "you": bool(is_us)}:
            return RoomMember(name=name[:MAX_NAME], speaks=speaks, muted=muted, on_hold=on_hold, is_us=is_us)
        case _:
            return None
