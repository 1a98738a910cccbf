"""What ``call DEST`` dials: a user, a phone number, a SIP address or a conference, read off the text."""

import re
import shlex
from enum import StrEnum
from typing import Final

from sinchphone.errors import DestinationError
from sinchphone.hosts import SIP_PORT
from sinchphone.protocol.names import ROOM_RULE, USER_RULE, is_room_name, is_user_id
from sinchphone.protocol.phone_numbers import bare_digits, looks_like_number, proposal, read_number, refuse_well_known_emergency
from sinchphone.quick_dataclass import quick_dataclass

# What a text that says nothing else may be: who has another id is called with call-user. After a colon a built-in user of the exchange
# takes an argument (hangup-after:3s).
_PLAIN_USER: Final = r"[A-Za-z0-9_=-]+(:[A-Za-z0-9._=-]+)?"
# RFC 3261 25.1, without passwords and without parameters but the transport; a host is a name, an IPv4 or a bracketed IPv6 address.
_SIP: Final = (  # compiled when an address is read: it takes as long as a tenth of a quick command
    r"(?P<user>(?:[A-Za-z0-9_.!~*'()&=+$,;?/-]|%[0-9A-Fa-f]{2})+)"
    r"@(?P<host>(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>\d{1,5}))?(?P<transport>;transport=(?:udp|tcp|tls))?"
)
_MAX_SIP_BYTES: Final = 255


class Kind(StrEnum):
    """What is dialled."""

    USER = "user"
    PHONE = "phone"
    SIP = "sip"
    CONFERENCE = "conference"


@quick_dataclass(frozen=True, slots=True)
class Destination:
    """Somebody to call. ``identity``: a user id, +E164, a SIP address without scheme (but ``sips:``, which asks for TLS), or a room."""

    kind: Kind
    identity: str


def read_destination(text: str) -> Destination:
    """The first rule that fits. Raises DestinationError."""
    written = text.strip()
    scheme, colon, rest = written.partition(":")
    if written.startswith("@"):
        raise DestinationError(f'"{written}" is a contact', hint="here a number, a user id, user@host or conf:ROOM is meant")
    if "@" in written or (colon and scheme.lower() in ("sip", "sips")):
        return Destination(Kind.SIP, sip_address(written))
    if colon and scheme.lower() == "conf":
        return Destination(Kind.CONFERENCE, room(rest))
    if looks_like_number(written):
        return Destination(Kind.PHONE, read_number(written))
    digits = bare_digits(written)
    if digits is not None:
        raise _ambiguous(written, digits)
    if not re.fullmatch(_PLAIN_USER, written) and is_user_id(written):
        raise _nobody(written, f"a number starts with +country; for a user: sinchphone call-user {shlex.quote(written)}")
    return Destination(Kind.USER, user_id(written))


def user_id(text: str) -> str:
    """A legal user id, of the platform or one of the exchange's own (``hangup-after:3s``). Raises DestinationError."""
    if not is_user_id(text):
        raise _nobody(text)
    return text


def room(text: str) -> str:
    """A conference room's name. Raises DestinationError."""
    if not is_room_name(text):
        raise DestinationError(f'"{text}" is not a conference room', hint=f"{ROOM_RULE} and no spaces")
    return text


def sip_address(text: str) -> str:
    """``user@host[:port]`` from a SIP address with or without its scheme; a ``sips:`` stays. Raises DestinationError."""
    written = text.strip()
    scheme, colon, rest = written.partition(":")
    named = colon and "@" not in scheme and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme)
    if named and scheme.lower() not in ("sip", "sips"):
        raise DestinationError(f'"{written}" is not a SIP address', hint="only sip: and sips: can stand before user@host")
    address = rest if named else written
    match = re.fullmatch(_SIP, address, re.IGNORECASE)
    if match is None or len(address.encode()) > _MAX_SIP_BYTES or not 0 < int(match["port"] or SIP_PORT) <= 65_535:
        raise DestinationError(f'"{written}" is not a SIP address', hint="a SIP address is user@host or user@host:port")
    return f"sips:{address}" if named and scheme.lower() == "sips" else address


def _nobody(text: str, hint: str | None = None) -> DestinationError:
    hint = hint or f"a user id has {USER_RULE}; a number starts with +country"
    return DestinationError(f'"{text}" is neither a number nor a user id', hint=hint)


def _ambiguous(written: str, digits: str) -> DestinationError:
    refuse_well_known_emergency(digits)
    return DestinationError(
        f'"{written}" could be a number or a user', hint=f"{proposal(digits)}; for a user: sinchphone call-user {written}"
    )
