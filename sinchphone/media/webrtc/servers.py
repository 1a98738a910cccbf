"""STUN and TURN URLs (RFC 7064, RFC 7065)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sinchphone.hosts import unbracketed
from sinchphone.media.ice_servers import IceServer

MAX_SERVERS: Final = 6
_URL: Final = re.compile(r"(stun|turns?):(\[[0-9a-fA-F:.]+\]|[^\s:?@\[\]]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?", re.IGNORECASE)
_PORT: Final = 3478
_TLS_PORT: Final = 5349


@dataclass(frozen=True, slots=True)
class Server:
    """One server to ask for candidates. ``transport`` and what follows are for TURN only."""

    host: str
    port: int
    relay: bool
    transport: str = "udp"
    tls: bool = False
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


def unusable_urls(servers: Iterable[IceServer]) -> list[str]:
    """The URLs that ``parse_servers`` leaves out because they can't be read: they are from outside, but no secret."""
    return [url for each in servers for url in each.urls if _parse(url, each) is None]


def parse_servers(servers: Iterable[IceServer]) -> list[Server]:
    """The servers that can be used, at most MAX_SERVERS; a URL that can't be read is left out (STUN over TLS is not known here)."""
    found = [server for each in servers for url in each.urls if (server := _parse(url, each)) is not None]
    return list(dict.fromkeys(found))[:MAX_SERVERS]


def _parse(url: str, source: IceServer) -> Server | None:
    match = _URL.fullmatch(url.strip())
    if match is None:
        return None
    scheme, host, port, transport = match[1].lower(), unbracketed(match[2]), match[3], (match[4] or "").lower()
    tls = scheme == "turns"
    number = int(port) if port else (_TLS_PORT if tls else _PORT)
    if not 0 < number < 65_536 or (tls and transport == "udp"):
        return None
    if scheme == "stun":
        return Server(host, number, relay=False)
    return Server(host, number, True, transport or ("tcp" if tls else "udp"), tls, source.username, source.credential)
