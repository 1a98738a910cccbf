"""Who has sent a call on: the Diversion header (RFC 5806)."""

from collections.abc import Sequence

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.message import HeaderLines, Request
from sinchphone.protocol.sip.uri import SipAddress, SipUri, parse_address


def count_diversions(request: Request) -> int:
    """How often a call was sent on before it came here, by what the INVITE says."""
    return sum(map(_count, request.values("Diversion")))


def write_diversions(diverted: Sequence[SipUri]) -> HeaderLines:
    """The header for those who have sent a call on, in their order: the last one comes first. None for nobody."""
    said = [SipAddress(uri, parameters=(("reason", "deflection"), ("counter", "1"))) for uri in reversed(diverted)]
    return (("Diversion", ", ".join(map(str, said))),) if said else ()


def _count(value: str) -> int:
    try:
        counter = parse_address(value).parameter("counter") or ""
    except RemoteProtocolError:
        return 1
    return max(1, int(counter)) if counter.isascii() and counter.isdecimal() and len(counter) < 4 else 1
