"""Whether a request proves who sends it: registration tokens and instance signatures. Every refusal says which part was wrong."""

import base64
import json
from dataclasses import dataclass, field

from sinchphone.errors import AuthenticationError, RemoteProtocolError
from sinchphone.exchange.directory.directory import Application, Device, Directory
from sinchphone.exchange.refusals import forbidden, unauthorized
from sinchphone.protocol.auth import MAX_TOKEN_CHARACTERS, verify_registration_token, verify_request
from sinchphone.signaling.ocra.names import BearerToken, ErrorCode, InstanceSignature, read_authorization, read_time

_ISSUER = "//rtc.sinch.com/applications/"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """What a signature covers and what says who signed, exactly as it came. ``path`` is percent-encoded, without the query."""

    method: str
    path: str
    body: bytes = field(repr=False)
    content_type: str
    timestamp: str
    authorization: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Registrant:
    """A user who proved with a token who they are. ``instance_expires_at`` in seconds since the epoch."""

    application: Application
    user_id: str
    instance_expires_at: int | None


class Verifier:
    """Checks requests against the directory. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self, directory: Directory, clock_skew_seconds: float) -> None:
        self._directory = directory
        self._clock_skew_seconds = clock_skew_seconds

    def registrant(self, request: ReceivedRequest, user_id: str, now: float) -> Registrant:
        """Who asks, for an operation about ``user_id`` that takes a registration token. Raises RefusedError."""
        credentials = read_authorization(request.authorization)
        if not isinstance(credentials, BearerToken):
            raise unauthorized("Authorization: a registration token (Bearer) is needed")
        application = self._directory.application(_application_key_of(credentials.token))
        if application is None:
            raise unauthorized("registration token, issuer: the application is unknown to this exchange")
        try:
            claims = verify_registration_token(
                credentials.token,
                application_key=application.key,
                secret=application.secret,
                now=now,
                leeway_s=self._clock_skew_seconds,
            )
        except AuthenticationError as error:
            raise unauthorized(str(error)) from error
        if claims.user_id != user_id:
            raise forbidden("registration token, subject: it is another user's")
        return Registrant(application, claims.user_id, claims.instance_expires_at)

    def device(self, request: ReceivedRequest, user_id: str, instance_id: str, now: float) -> Device:
        """Which device signed, for an operation under ``users/{user_id}/instances/{instance_id}``. Raises RefusedError."""
        credentials = read_authorization(request.authorization)
        if not isinstance(credentials, InstanceSignature):
            raise unauthorized("Authorization: an instance signature is needed")
        device = self._directory.device(credentials.instance_id)
        if device is None:
            raise unauthorized("unknown instance", ErrorCode.UNKNOWN_INSTANCE)
        self._check_signature(request, credentials.signature, device, now)
        if device.user_id != user_id:
            raise forbidden("path: the user is not the one who signed")
        if device.instance_id != instance_id:
            raise forbidden("path: the instance is not the one that signed")
        return device

    def _check_signature(self, request: ReceivedRequest, signature: str, device: Device, now: float) -> None:
        signed = (request.method, request.path, request.body, request.content_type, request.timestamp)
        if not verify_request(*signed, device.identity.secret, signature):
            raise unauthorized("signature: it doesn't fit method, body, content type, timestamp and path")
        try:
            ahead_seconds = read_time(request.timestamp) - now
        except RemoteProtocolError as error:
            raise unauthorized(f"timestamp: {error}") from error
        if abs(ahead_seconds) > self._clock_skew_seconds:
            where = "in the future" if ahead_seconds > 0 else "in the past"
            raise unauthorized(f"timestamp: {abs(ahead_seconds):.0f} s {where}; check the clock", ErrorCode.CLOCK_DIFFERENCE)
        if device.has_expired(now):
            raise unauthorized("the instance has expired", ErrorCode.UNKNOWN_INSTANCE)


def _application_key_of(token: str) -> str:
    """The application that a token says it's of; nothing of it is verified yet."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN_CHARACTERS:
        raise unauthorized("registration token, format: it doesn't have three parts, or is too long")
    try:
        issuer = json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True))["iss"]
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise unauthorized("registration token, format: there is no issuer to be read") from error
    return issuer.removeprefix(_ISSUER) if isinstance(issuer, str) else ""
