"""How the sender of a push says who it is (VAPID, RFC 8292): a token signed for one push service, and the key that proves it.

::

    Authorization: vapid t=<token, ES256>, k=<public key>
"""

import json
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.webpush.keys import POINT_BYTES, PRIVATE_BYTES, KeyPair, read_base64, read_point, write_base64
from sinchphone.quick_dataclass import quick_dataclass

MAX_LIFETIME_S: Final = 86_400.0  # RFC 8292 2
LIFETIME_S: Final = 12 * 3600.0  # what ours have: clocks may differ
LEEWAY_S: Final = 60.0
MAX_AUTHORIZATION_CHARACTERS: Final = 2048


@quick_dataclass(frozen=True, slots=True)
class Sender:
    """Who pushes: the public key, and how to reach the people behind it, where they say."""

    key: bytes
    subject: str | None


def origin_of_endpoint(endpoint: str) -> str:
    """The origin of a push service's URL (RFC 6454 6.2): what a token is for."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def write_vapid(pair: KeyPair, endpoint: str, subject: str, now: float) -> str:
    """The Authorization header of a push to that endpoint. ``now`` in seconds since the epoch."""
    claims = {"aud": origin_of_endpoint(endpoint), "exp": int(now + LIFETIME_S), "sub": subject}
    signed = ".".join(_part(one) for one in ({"typ": "JWT", "alg": "ES256"}, claims))
    signature = pair.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(signature)
    raw = r.to_bytes(PRIVATE_BYTES, "big") + s.to_bytes(PRIVATE_BYTES, "big")
    return f"vapid t={signed}.{write_base64(raw)}, k={write_base64(pair.public_bytes)}"


def read_vapid(header: str, endpoint: str, now: float) -> Sender:
    """Who sent a push to that endpoint. Raises RemoteProtocolError where the header doesn't prove it."""
    scheme, _, rest = header.strip().partition(" ")
    given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    token, key = given.get("t", ""), given.get("k", "")
    if len(header) > MAX_AUTHORIZATION_CHARACTERS or scheme.lower() != "vapid" or token.count(".") != 2 or not key:
        raise RemoteProtocolError("Authorization should be vapid t=..., k=...")
    point = read_base64(key, "k", size=POINT_BYTES)
    signed, _, signature = token.rpartition(".")
    _verify(point, signed, read_base64(signature, "the token's signature", size=2 * PRIVATE_BYTES))
    head, body = (_read_part(part) for part in signed.split("."))
    expires_at = body.get("exp")
    if head.get("alg") != "ES256" or isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
        raise RemoteProtocolError("a token without an end, or with another algorithm than ES256")
    if not now - LEEWAY_S < expires_at <= now + MAX_LIFETIME_S + LEEWAY_S:
        raise RemoteProtocolError("a token that has expired, or is valid for more than a day")
    audience = body.get("aud")
    if not isinstance(audience, str) or audience.rstrip("/").lower() != origin_of_endpoint(endpoint):
        raise RemoteProtocolError("a token for another push service")
    subject = body.get("sub")
    return Sender(point, subject if isinstance(subject, str) else None)


def _verify(point: bytes, signed: str, signature: bytes) -> None:
    r, s = int.from_bytes(signature[:PRIVATE_BYTES], "big"), int.from_bytes(signature[PRIVATE_BYTES:], "big")
    try:
        read_point(point, "k").verify(encode_dss_signature(r, s), signed.encode(errors="replace"), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise RemoteProtocolError("a token that the key didn't sign") from error


def _part(value: dict[str, Any]) -> str:
    return write_base64(json.dumps(value, separators=(",", ":")).encode())


def _read_part(text: str) -> dict[str, Any]:
    try:
        value = json.loads(read_base64(text, "the token"))
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("the token is not JSON") from error
    if not isinstance(value, dict):
        raise RemoteProtocolError("the token is not a JSON object")
    return value
