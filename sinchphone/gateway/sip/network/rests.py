"""Servers that ask for no calls for a while: 503 with Retry-After (RFC 3261 21.5.4). Pure."""

from typing import Final

from sinchphone.gateway.sip.network.hop import Hop, TransportError

MAX_REST_SECONDS: Final = 3600.0  # whatever they ask for: nobody is forgotten for ever
MAX_SERVERS: Final = 1024


class Rests:
    """Until when each of them gets no new call from us."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str, int], float] = {}

    def ask(self, hop: Hop, seconds: int, now: float) -> None:
        """That server asks for none for so long."""
        self._until.pop(_server(hop), None)
        self._until[_server(hop)] = now + min(seconds, MAX_REST_SECONDS)
        while len(self._until) > MAX_SERVERS:
            del self._until[next(iter(self._until))]

    def check(self, hop: Hop, now: float) -> None:
        """Raises TransportError while it does."""
        left = self._until.get(_server(hop), now) - now
        if left > 0:
            raise TransportError(f"it asks for no calls for another {left:.0f} s")


def _server(hop: Hop) -> tuple[str, str, int]:
    return hop.transport, hop.host, hop.port
