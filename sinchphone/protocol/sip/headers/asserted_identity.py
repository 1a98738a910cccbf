"""Who calls, as a network that is trusted says: P-Asserted-Identity (RFC 3325), unless the caller's privacy keeps it back (RFC 3323)."""

from dataclasses import replace
from typing import Final

from sinchphone.protocol.sip.message import Request
from sinchphone.protocol.sip.uri import SipAddress, SipUri

HEADER: Final = "P-Asserted-Identity"
ANONYMOUS: Final = SipAddress(SipUri("sip", "anonymous", "anonymous.invalid"), "Anonymous")  # RFC 3323 4.1.1.3
MAX_IDENTITIES: Final = 2  # one sip:, one tel: (RFC 3325 9.1)
_WITHHOLDING: Final = frozenset({"id", "user"})  # RFC 3325 9.3, RFC 3323 4.2


def caller_by_network(request: Request) -> SipAddress:
    """The caller of a trusted peer's INVITE: whom its network has asserted, a number before a name; else the From. Nobody where that
    network was asked to keep it back, which it leaves to us (RFC 3325 7)."""
    if _WITHHOLDING & {word.strip() for value in request.all("Privacy") for word in value.lower().split(";")}:
        return ANONYMOUS
    sender = request.sender
    asserted = [one for one in request.addresses(HEADER)[:MAX_IDENTITIES] if one.uri.is_sip or one.uri.scheme == "tel"]
    found = next((one for one in asserted if one.uri.number is not None), next(iter(asserted), None))
    if found is None:
        return sender
    said = sender.name if sender.uri.host.lower() != ANONYMOUS.uri.host else ""
    return replace(found, name=found.name or said)
