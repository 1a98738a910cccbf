"""URLs of STUN and TURN servers (RFC 7064, RFC 7065). Pure."""

import re
from typing import Final, NamedTuple

from sinchphone.hosts import unbracketed

_ICE_URL: Final = r"(?i)(stun|turns?):(\[[0-9a-fA-F:.]+\]|[^\s:?@\[\]/]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?"
_ICE_PORT: Final = 3478
_ICE_TLS_PORT: Final = 5349


class IceUrl(NamedTuple):
    """The parts of a STUN or TURN URL (RFC 7064, RFC 7065)."""

    host: str
    port: int
    relay: bool
    transport: str  # udp or tcp
    tls: bool


def parse_ice_url(url: str) -> IceUrl | None:
    """What a STUN or TURN URL names; None for what can't be read or isn't known here (STUN over TCP or TLS, TURN over DTLS)."""
    match = re.fullmatch(_ICE_URL, url.strip())
    if match is None:
        return None
    scheme, host, transport = match[1].lower(), unbracketed(match[2]), (match[4] or "").lower()
    tls = scheme == "turns"
    port = int(match[3]) if match[3] else (_ICE_TLS_PORT if tls else _ICE_PORT)
    if not 0 < port < 65_536 or (tls and transport == "udp") or (scheme == "stun" and transport == "tcp"):
        return None
    return IceUrl(host, port, scheme != "stun", transport or ("tcp" if tls else "udp"), tls)
