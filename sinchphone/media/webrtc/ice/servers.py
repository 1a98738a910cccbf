"""STUN and TURN URLs (RFC 7064, RFC 7065)."""

from collections.abc import Iterable
from dataclasses import field
from typing import Final

from sinchphone.ice_urls import parse_ice_url
from sinchphone.media.ice_servers import IceServer
from sinchphone.quick_dataclass import quick_dataclass

MAX_SERVERS: Final = 6


@quick_dataclass(frozen=True, slots=True)
class Server:
    """One server to ask for candidates. ``transport`` and what follows are for TURN only."""

    host: str
    port: int
    relay: bool
    transport: str = "udp"
    tls: bool = False
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    @property
    def way(self) -> str:
        """udp, tcp or tls."""
        return "tls" if self.tls else self.transport

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.host} over {self.way.upper()}"


def unusable_urls(servers: Iterable[IceServer]) -> list[str]:
    """The URLs that ``parse_servers`` leaves out because they can't be read: they are from outside, but no secret."""
    return [url for each in servers for url in each.urls if _parse(url, each) is None]


def parse_servers(servers: Iterable[IceServer]) -> list[Server]:
    """The servers that can be used, at most MAX_SERVERS; a URL that can't be read is left out (STUN over TLS is not known here)."""
    found = [server for each in servers for url in each.urls if (server := _parse(url, each)) is not None]
    return list(dict.fromkeys(found))[:MAX_SERVERS]


def _parse(url: str, source: IceServer) -> Server | None:
    found = parse_ice_url(url)
    if found is None:
        return None
    if not found.relay:
        return Server(found.host, found.port, relay=False)
    return Server(*found, source.username, source.credential)
