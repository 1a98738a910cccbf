"""What proves who somebody is: registration tokens (JWT), request signatures and the legacy dialect's user tickets.

::

    application secret -- signs --> registration token | user ticket -- registers --> instance secret -- signs --> requests
"""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import jwt

from sinchphone.errors import AuthenticationError, ConfigError, LocalProtocolError
from sinchphone.protocol.names import TOKEN_RULE, is_token_user_id, is_user_id
from sinchphone.quick_dataclass import quick_dataclass

MIN_TOKEN_LIFETIME_SECONDS = 60  # Sinch user authorisation: exp - iat
MIN_INSTANCE_LIFETIME_SECONDS = 48 * 3600  # the same, for sinch:rtc:instance:exp
MAX_TOKEN_CHARACTERS = 4096  # a token of the longest user id has about 900
MAX_NONCE_CHARACTERS = 256
LEEWAY_SECONDS = 60  # how far two clocks may differ

_ALGORITHM = "HS256"
_KEY_ID = re.compile("hkdfv1-([0-9]{8})")
ISSUER_PREFIX: Final = "//rtc.sinch.com/applications/"  # of a token's "iss", before the application's key
_APPLICATION_KEY = re.compile(r"[!-.0-~]{1,128}")  # visible, without a slash
_WIDER_HINT = "users with other ids log in with a ticket or a password: api papi"
_INSTANCE_EXPIRY = "sinch:rtc:instance:exp"
_LAST_SECOND = 253402300799  # of the year 9999
_DAY = timedelta(days=1)


@quick_dataclass(frozen=True, slots=True)
class RegistrationClaims:
    """What a registration token says. Times in seconds since the epoch."""

    user_id: str
    issued_at: int
    expires_at: int
    nonce: str
    instance_expires_at: int | None = None


@quick_dataclass(frozen=True, slots=True)
class TicketClaims:
    """What a user ticket says. Times in seconds since the epoch."""

    user_id: str
    created_at: float
    expires_at: float


def decode_secret(text: str) -> bytes:
    """The bytes of a secret as the platform hands it out (base64). Raises ConfigError."""
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except ValueError as error:  # binascii.Error is one
        raise ConfigError("the secret is not base64", hint="copy it as it's shown in the dashboard, to the last =") from error
    if not secret:
        raise ConfigError("the secret is empty", hint="copy it as it's shown in the dashboard")
    return secret


def sign_registration_token(
    application_key: str,
    secret: bytes,
    user_id: str,
    *,
    issued_at: int,
    nonce: str,
    lifetime_s: int = 600,
    instance_expires_at: int | None = None,
) -> str:
    """A registration token (JWT, Sinch user authorisation) of a user.

    ``nonce`` is any unique text. ``instance_expires_at`` limits the registration itself, at least 48 h from ``issued_at``.
    Raises ConfigError for a user id or an application key that can't be, LocalProtocolError for times that can't.
    """
    if not _APPLICATION_KEY.fullmatch(application_key):
        raise ConfigError("the application key has characters that can't be in one", hint="copy it from the dashboard")
    if not is_token_user_id(user_id):
        raise ConfigError(f"a registration token can't name that user: it takes {TOKEN_RULE}", hint=_WIDER_HINT)
    if not 1 <= len(nonce) <= MAX_NONCE_CHARACTERS:
        raise LocalProtocolError(f"a nonce has 1 to {MAX_NONCE_CHARACTERS} characters")
    if lifetime_s < MIN_TOKEN_LIFETIME_SECONDS:
        raise LocalProtocolError(f"a token must be valid for {MIN_TOKEN_LIFETIME_SECONDS} s, not {lifetime_s}")
    if instance_expires_at is not None and instance_expires_at < issued_at + MIN_INSTANCE_LIFETIME_SECONDS:
        raise LocalProtocolError("a registration must be valid for 48 h")
    issuer = _issuer(application_key)
    claims = {
        "iss": issuer,
        "sub": f"{issuer}/users/{user_id}",
        "iat": issued_at,
        "exp": issued_at + lifetime_s,
        "nonce": nonce,
    }
    if instance_expires_at is not None:
        claims[_INSTANCE_EXPIRY] = instance_expires_at
    day = f"{_day(issued_at):%Y%m%d}"
    return jwt.encode(claims, _signing_key(secret, day), _ALGORITHM, headers={"kid": f"hkdfv1-{day}"})


def verify_registration_token(
    token: str, *, application_key: str, secret: bytes, now: float, leeway_s: float = LEEWAY_SECONDS
) -> RegistrationClaims:
    """The claims of a token that this application signed and that's valid ``now`` [s since the epoch].

    Raises AuthenticationError, whose message names the part that is wrong: format, algorithm, kid, signature, issuer, subject,
    times, nonce, lifetime, clock, expired.
    """
    payload, day = _verified_payload(token, secret)
    claims = _claims_from(payload, application_key)
    if not claims.nonce:
        raise _bad_token("nonce", "there is none")
    _check_day(day, claims.issued_at, now)
    if claims.expires_at - claims.issued_at < MIN_TOKEN_LIFETIME_SECONDS:
        raise _bad_token("lifetime", f"it's shorter than {MIN_TOKEN_LIFETIME_SECONDS} s")
    if claims.instance_expires_at is not None and claims.instance_expires_at - claims.issued_at < MIN_INSTANCE_LIFETIME_SECONDS:
        raise _bad_token("lifetime", "that of the registration is shorter than 48 h")
    if claims.issued_at > now + leeway_s:
        ahead_s = claims.issued_at - now
        raise _bad_token("clock", f"issued {ahead_s:.0f} s in the future", hint="set the clock of the computer that signs tokens")
    if claims.expires_at + leeway_s <= now:
        raise _bad_token("expired", f"{now - claims.expires_at:.0f} s ago", hint="use a new token; check both clocks")
    return claims


def read_token_claims(token: str) -> RegistrationClaims:
    """What a token says, unverified: for a client that got it from its backend. Raises AuthenticationError for what isn't one."""
    _, payload = _parts_of(token)
    return _claims_from(payload, None)


def string_to_sign(method: str, path: str, body: bytes | None, content_type: str, timestamp: str) -> str:
    """The text that a request's signature covers (Sinch signed requests): five lines, joined by LF.

    ``path`` is percent-encoded as on the wire and begins with a slash; a query is left out. ``content_type`` and ``timestamp``
    are the headers as sent. Raises LocalProtocolError where one of them has a line break, which would make it ambiguous.
    """
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode() if body else ""
    lines = [method, digest, content_type, f"x-timestamp:{timestamp}", path.partition("?")[0]]
    if any("\n" in line for line in lines):
        raise LocalProtocolError("a request with line breaks in its parts can't be signed")
    return "\n".join(lines)


def sign_request(method: str, path: str, body: bytes | None, content_type: str, timestamp: str, secret: bytes) -> str:
    """A request's signature in base64: what follows the colon in ``Authorization: instance <id>:<signature>``."""
    text = string_to_sign(method, path, body, content_type, timestamp)
    return base64.b64encode(_hmac(secret, text.encode(errors="replace"))).decode()


def verify_request(method: str, path: str, body: bytes | None, content_type: str, timestamp: str, secret: bytes, signature: str) -> bool:
    """Whether a signature is this request's, in constant time. How old ``timestamp`` may be is for the caller to say."""
    try:
        expected = sign_request(method, path, body, content_type, timestamp, secret)
    except LocalProtocolError:
        return False
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))


def sign_user_ticket(application_key: str, secret: bytes, user_id: str, *, created_at: float, lifetime_s: int = 86_400) -> str:
    """A user ticket of the legacy dialect (PAPI v1), made at ``created_at`` [s since the epoch]; what's not ASCII is escaped, since its
    clients read Latin-1."""
    created = datetime.fromtimestamp(created_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    identity = {"type": "username", "endpoint": user_id}
    fields = {"applicationKey": application_key, "identity": identity, "created": created, "expiresIn": lifetime_s}
    signed = json.dumps(fields, separators=(",", ":")).encode()
    return f"{base64.b64encode(signed).decode()}:{base64.b64encode(_hmac(secret, signed)).decode()}"


def verify_user_ticket(ticket: str, *, application_key: str, secret: bytes, now: float, leeway_s: float = LEEWAY_SECONDS) -> TicketClaims:
    """The claims of a user ticket that this application signed and that's valid ``now`` [s since the epoch].

    Verified over the bytes received. The 1.x client's own generator sends Latin-1 but signs UTF-8: that's accepted too.
    Raises AuthenticationError, whose message names the part that is wrong.
    """
    fields = _ticket_fields(_verified_ticket(ticket, secret))
    if fields.get("applicationKey") != application_key:
        raise _bad_ticket("application", "it's another one's")
    claims = _ticket_claims(fields)
    if claims.created_at > now + leeway_s:
        raise _bad_ticket("clock", f"created {claims.created_at - now:.0f} s in the future")
    if claims.expires_at + leeway_s <= now:
        raise _bad_ticket("expired", f"{now - claims.expires_at:.0f} s ago")
    return claims


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _signing_key(secret: bytes, day: str) -> bytes:
    """The key of a day (``YYYYMMDD``, UTC): what ``hkdfv1`` in a kid stands for."""
    return _hmac(secret, day.encode())


def _issuer(application_key: str) -> str:
    return f"{ISSUER_PREFIX}{application_key}"


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _bad_token(part: str, why: str, *, hint: str = "") -> AuthenticationError:
    return AuthenticationError(f"registration token, {part}: {why}", hint=hint)


def _bad_ticket(part: str, why: str) -> AuthenticationError:
    return AuthenticationError(f"user ticket, {part}: {why}")


def _parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A token's header and payload, both unverified."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise _bad_token("format", f"it has {len(token)} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise _bad_token("format", "it doesn't have three parts", hint="a token looks like aaaa.bbbb.cccc")
    return _object_in(parts[0]), _object_in(parts[1])


def _object_in(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise _bad_token("format", "a part is not JSON in base64url") from error
    if not isinstance(value, dict):
        raise _bad_token("format", "a part is not a JSON object")
    return value


def _verified_payload(token: str, secret: bytes) -> tuple[dict[str, Any], date]:
    """The payload of a token that's signed with the key of its day, and that day."""
    header, payload = _parts_of(token)
    if header.get("alg") != _ALGORITHM:  # "none" above all
        raise _bad_token("algorithm", f"it must be {_ALGORITHM}")
    key_id = header.get("kid")
    match = _KEY_ID.fullmatch(key_id) if isinstance(key_id, str) else None
    if match is None:
        raise _bad_token("kid", "it must be hkdfv1-YYYYMMDD")
    try:
        day = datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise _bad_token("kid", "there is no such day") from error
    try:
        jwt.PyJWS().decode(token, _signing_key(secret, match[1]), algorithms=[_ALGORITHM])
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _bad_token("signature", "it's not this application's", hint="check the application secret") from error
    return payload, day


def _check_day(day: date, issued_at: int, now: float) -> None:
    """The kid's date is the day of signing, on either side of midnight where a clock is a little off."""
    if day != _day(now) and abs(day - _day(issued_at)) > _DAY:
        raise _bad_token("kid", f"it's of {day}, the token of {_day(issued_at)}")


def _claims_from(payload: dict[str, Any], application_key: str | None) -> RegistrationClaims:
    issuer, subject = payload.get("iss"), payload.get("sub")
    if not isinstance(issuer, str) or (application_key is not None and issuer != _issuer(application_key)):
        raise _bad_token("issuer", "it's not this application", hint="check the application key")
    if not isinstance(subject, str) or not subject.startswith(f"{issuer}/users/"):
        raise _bad_token("subject", "it's not a user of this application")
    user_id = subject.removeprefix(f"{issuer}/users/")
    if not is_token_user_id(user_id):
        raise _bad_token("subject", f"it can't name that user: it takes {TOKEN_RULE}", hint=_WIDER_HINT)
    nonce = payload.get("nonce", "")
    if not isinstance(nonce, str) or len(nonce) > MAX_NONCE_CHARACTERS:
        raise _bad_token("nonce", "it's not a text, or too long")
    limit = None if payload.get(_INSTANCE_EXPIRY) is None else _time(payload, _INSTANCE_EXPIRY)
    return RegistrationClaims(user_id, _time(payload, "iat"), _time(payload, "exp"), nonce, limit)


def _time(payload: dict[str, Any], name: str) -> int:
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_SECOND:
        raise _bad_token("times", f"{name} is not a time in seconds")
    return int(value)


def _verified_ticket(ticket: str, secret: bytes) -> bytes:
    """The signed UTF-8 text of a ticket."""
    content, colon, signature = ticket.partition(":")
    if len(ticket) > MAX_TOKEN_CHARACTERS or not colon:
        raise _bad_ticket("format", "it must be content and signature")
    try:
        signed, given = base64.b64decode(content, validate=True), base64.b64decode(signature, validate=True)
    except ValueError as error:
        raise _bad_ticket("format", "it's not base64") from error
    for text in (signed, signed.decode("latin-1").encode()):
        if hmac.compare_digest(_hmac(secret, text), given):
            return text
    raise _bad_ticket("signature", "it's not this application's")


def _ticket_fields(signed: bytes) -> dict[str, Any]:
    try:
        value = json.loads(signed.decode())
    except (ValueError, RecursionError) as error:
        raise _bad_ticket("format", "its content is not JSON") from error
    if not isinstance(value, dict):
        raise _bad_ticket("format", "its content is not a JSON object")
    return value


def _ticket_claims(fields: dict[str, Any]) -> TicketClaims:
    identity, created, lifetime_s = fields.get("identity"), fields.get("created"), fields.get("expiresIn")
    user_id = identity.get("endpoint") if isinstance(identity, dict) and identity.get("type") == "username" else None
    if not isinstance(user_id, str) or not is_user_id(user_id):
        raise _bad_ticket("identity", "it's not a user name")
    if isinstance(lifetime_s, bool) or not isinstance(lifetime_s, int | float) or not 0 < lifetime_s <= _LAST_SECOND:
        raise _bad_ticket("lifetime", "it's not a number of seconds")
    try:
        created_at = datetime.fromisoformat(created) if isinstance(created, str) else None
    except ValueError:
        created_at = None
    if created_at is None or created_at.tzinfo is None:
        raise _bad_ticket("times", "created is not an ISO 8601 time")
    return TicketClaims(user_id, created_at.timestamp(), created_at.timestamp() + lifetime_s)
