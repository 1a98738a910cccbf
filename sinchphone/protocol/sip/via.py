"""Via: the way that a response goes back, and the name of its transaction (RFC 3261 20.42, RFC 3581)."""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.hosts import join_host
from sinchphone.protocol.sip.uri import Parameters, format_parameters, parameter_of, parse_parameters, split_host
from sinchphone.quick_dataclass import quick_dataclass

MAGIC_COOKIE: Final = "z9hG4bK"  # RFC 3261 8.1.1.7
_SENT_PROTOCOL: Final = re.compile(r"SIP\s*/\s*2\.0\s*/\s*([A-Za-z0-9-]{1,16})\s+", re.IGNORECASE)


@quick_dataclass(frozen=True, slots=True)
class Via:
    """Where a response goes (RFC 3261 20.42, RFC 3581)."""

    transport: str  # upper case
    host: str
    port: int | None = None
    parameters: Parameters = ()

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {join_host(self.host, self.port)}{format_parameters(self.parameters)}"

    def parameter(self, name: str) -> str | None:
        """The value of a parameter; an empty text where it has none."""
        return parameter_of(self.parameters, name)

    @property
    def branch(self) -> str:
        """The transaction's name; empty where its sender is older than RFC 3261."""
        return self.parameter("branch") or ""

    @property
    def sent_by(self) -> str:
        """Who sent it: a part of the transaction's name (RFC 3261 17.2.3)."""
        return join_host(self.host.lower(), self.port)

    def seen_from(self, host: str, port: int) -> "Via":
        """With ``received`` and, where asked for, ``rport`` (RFC 3581 4)."""
        kept = tuple((key, value) for key, value in self.parameters if key not in ("received", "rport"))
        rport = (("rport", str(port)),) if self.parameter("rport") is not None else ()
        return replace(self, parameters=(*kept, ("received", host), *rport))


@lru_cache(maxsize=1024)
def parse_via(text: str) -> Via:
    """One Via; raises RemoteProtocolError."""
    match = _SENT_PROTOCOL.match(text.strip())
    if match is None:
        raise RemoteProtocolError("a Via can't be read")
    sent_by, separator, rest = text.strip()[match.end() :].partition(";")
    host, port = split_host(re.sub(r"\s+", "", sent_by))
    return Via(match[1].upper(), host, port, parse_parameters(separator + rest))
