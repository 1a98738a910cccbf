"""What a user agent looks at in a request before anything else, and in the headers that it takes from or gives to others (pure)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog, parse_replaces
from sinchphone.protocol.sip.message import HeaderLines, Request
from sinchphone.protocol.sip.uri import clean

EXTENSIONS: Final = frozenset({"100rel", "timer", "replaces"})  # that may be required of us
_MAX_X_HEADERS: Final = 64  # x-... of an INVITE
_MAX_HEADER_CHARACTERS: Final = 1024


def fault_of(request: Request) -> tuple[int, HeaderLines] | None:
    """What a request asks for that nobody here can give (RFC 3261 8.2)."""
    if not request.uri.is_sip and request.uri.scheme != "tel":
        return 416, ()
    unknown = sorted((request.tokens("Require")) - EXTENSIONS)
    if unknown:
        return 420, (("Unsupported", ", ".join(unknown)),)
    if request.values("Content-Encoding") and request.tokens("Content-Encoding") != {"identity"}:
        return 415, (("Accept-Encoding", "identity"),)
    return None


def replaced_by(request: Request) -> ReplacedDialog | None:
    """Which call an INVITE takes the place of. Raises RemoteProtocolError for what can't be read, and for two of them (RFC 3891 3)."""
    named = request.all("Replaces")
    if len(named) > 1:
        raise RemoteProtocolError("an INVITE can't replace two calls")
    return parse_replaces(named[0]) if named else None


def private_headers(request: Request) -> Mapping[str, str]:
    """Headers whose names begin with ``x-``, in lower case."""
    found = [(name.lower(), value) for name, value in request.headers if name.lower().startswith("x-")]
    return MappingProxyType({name: clean(value[:_MAX_HEADER_CHARACTERS]) for name, value in found[:_MAX_X_HEADERS]})


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of ours: what isn't one line is left out, so that nobody smuggles others in."""
    return {
        name: value
        for name, value in headers.items()
        if name.replace("-", "").isalnum() and name.isascii() and not any(mark in value for mark in "\r\n\x00")
    }
