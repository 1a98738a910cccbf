"""Who takes part in a call, as far as that is known here."""

from collections.abc import Mapping
from dataclasses import field

from sinchphone.protocol.mxp.message import Message
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import DISPLAY_NAME_HEADER, MAX_DISPLAY_NAME_CHARACTERS, Domain


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallParticipant:
    """One side of a call. ``None`` is what isn't known, or isn't there: a phone has no user id. What the other side says of itself is as
    it came: escape it before it's shown."""

    domain: Domain
    user_id: str | None = None
    number: str | None = field(default=None, repr=False)  # E.164
    address: str | None = field(default=None, repr=False)  # of SIP, user@host
    room: str | None = None  # of a conference
    display_name: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)  # that this side sent with the call


def called(domain: Domain, identity: str) -> CallParticipant:
    """Whom a call of ours is for."""
    match domain:
        case Domain.MXP:
            return CallParticipant(domain=domain, user_id=identity)
        case Domain.PSTN:
            return CallParticipant(domain=domain, number=identity)
        case Domain.SIP:
            return CallParticipant(domain=domain, address=identity)
        case Domain.CONFERENCE:
            return CallParticipant(domain=domain, room=identity)


def caller_of(invite: Message, domain: Domain, headers: Mapping[str, str]) -> CallParticipant:
    """Who calls, by their INVITE."""
    sender = invite.sender
    number = sender.caller_id if sender.caller_id.removeprefix("+").isdecimal() else None
    return CallParticipant(
        domain=domain,
        user_id=sender.user_id or None,
        number=number,
        address=sender.caller_id if number is None and "@" in sender.caller_id else None,
        display_name=invite.headers.get(DISPLAY_NAME_HEADER, "")[:MAX_DISPLAY_NAME_CHARACTERS] or None,
        headers=dict(headers),
    )
