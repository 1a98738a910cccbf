"""Flow tokens: what an edge proxy writes into its own Path and Record-Route, to know again by which connection a phone is reached
(RFC 5626 5.2, RFC 3327). Pure.

::

    FlowToken -> seal -> the user part of a SIP URI -> open_token -> FlowToken, or nothing where we didn't write it
"""

import base64
import hmac
import json
from typing import Any, Final

from sinchphone.quick_dataclass import quick_dataclass

MAX_TOKEN_CHARACTERS: Final = 512
_MAC_BYTES: Final = 16
_TRANSPORTS: Final = ("udp", "tcp", "tls")


@quick_dataclass(frozen=True, slots=True)
class FlowEnd:
    """One end of a way: an address, and for a stream that somebody opened to us the ``connection`` that it is."""

    transport: str
    host: str
    port: int
    connection: int | None = None


@quick_dataclass(frozen=True, slots=True)
class FlowToken:
    """``phone``: the flow that it registered by. Without ``peer`` it's a Path, by which calls begin; with it a Record-Route of one call,
    good for requests in dialogs between that phone and that ``peer`` only. ``from_phone``: whose requests show it first."""

    phone: FlowEnd
    peer: FlowEnd | None = None
    from_phone: bool = False


def seal(token: FlowToken, secret: bytes) -> str:
    """The token as text that only who knows the ``secret`` can make: nobody else can have anything sent by us."""
    ends = [_written(one) for one in (token.phone, token.peer) if one is not None]
    body = json.dumps([int(token.from_phone), *ends], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(secret, body) + body).decode().rstrip("=")


def open_token(text: str, secret: bytes) -> FlowToken | None:
    """What ``seal`` wrote with that secret; ``None`` for anything else."""
    if len(text) > MAX_TOKEN_CHARACTERS or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, body)):
        return None
    from_phone, phone, *rest = json.loads(body)
    return FlowToken(_read(phone), _read(rest[0]) if rest else None, bool(from_phone))


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, b"flow token " + body, "sha256").digest()[:_MAC_BYTES]


def _written(end: FlowEnd) -> list[Any]:
    return [_TRANSPORTS.index(end.transport), end.host, end.port, end.connection]


def _read(members: list[Any]) -> FlowEnd:
    transport, host, port, connection = members
    return FlowEnd(_TRANSPORTS[transport], host, port, connection)
