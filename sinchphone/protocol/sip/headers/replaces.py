"""Which call another one takes the place of: ``Replaces``, as a header of an INVITE and in the URI of a Refer-To (RFC 3891 6.1).

::

    Replaces: 12345@192.0.2.4;to-tag=7743;from-tag=6472;early-only
"""

import re
from typing import Final
from urllib.parse import quote, unquote

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.uri import SipUri, parse_parameters
from sinchphone.quick_dataclass import quick_dataclass

MAX_CHARACTERS: Final = 512
_CALL_ID: Final = re.compile(r"[^\s;,<>\"\x00-\x20\x7f]{1,256}")


@quick_dataclass(frozen=True, slots=True)
class ReplacedDialog:
    """A dialog as the one who is asked to give it up sees it: ``to_tag`` is that one's own, ``from_tag`` its peer's."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    def __str__(self) -> str:
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{';early-only' if self.early_only else ''}"

    def in_uri(self) -> str:
        """As the headers of a URI."""
        return f"Replaces={quote(str(self), safe='-_.!~*()[]/:')}"


def parse_replaces(text: str) -> ReplacedDialog:
    """The header's value. Raises RemoteProtocolError."""
    call_id, semicolon, rest = text.strip().partition(";")
    if len(text) > MAX_CHARACTERS or not _CALL_ID.fullmatch(call_id.strip()):
        raise RemoteProtocolError("a Replaces header names no call")
    named = parse_parameters(semicolon + rest)
    found = {name: value or "" for name, value in named}
    if len(found) != len(named) or not found.get("to-tag") or not found.get("from-tag"):
        raise RemoteProtocolError("a Replaces header has no two tags")
    return ReplacedDialog(call_id.strip(), found["to-tag"], found["from-tag"], "early-only" in found)


def replaces_in(uri: SipUri) -> ReplacedDialog | None:
    """What a Refer-To wants to be replaced. Raises RemoteProtocolError."""
    for header in filter(None, uri.headers.split("&")):
        name, _, value = header.partition("=")
        if unquote(name).lower() == "replaces":
            return parse_replaces(unquote(value))
    return None
