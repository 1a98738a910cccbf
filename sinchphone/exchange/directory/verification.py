"""Whether a request proves who sends it: registration tokens and instance signatures. Every refusal says which part was wrong."""

import base64
import hmac
import json

from sinchphone.errors import AuthenticationError, RemoteProtocolError
from sinchphone.exchange.access.limits import Allowances
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.received import ReceivedRequest
from sinchphone.exchange.refusals import asks_too_often, forbidden, too_many, unauthorized
from sinchphone.exchange.store.shared_limits import SharedLimits
from sinchphone.protocol.auth import ISSUER_PREFIX, MAX_TOKEN_CHARACTERS, verify_registration_token, verify_request, verify_user_ticket
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.ocra.names import BearerToken, InstanceSignature, read_authorization
from sinchphone.signaling.wire import ErrorCode, read_time

MAX_REQUESTS = 200  # that a device may send at once
REQUESTS_A_SECOND = 20.0  # and later


@quick_dataclass(frozen=True, slots=True)
class Registrant:
    """A user who proved with a token who they are. ``instance_expires_at`` in seconds since the epoch."""

    application: Application
    user_id: str
    instance_expires_at: int | None


class Verifier:
    """Checks requests against the directory. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self, directory: Directory, clock_skew_seconds: float, limits: SharedLimits) -> None:
        self._directory = directory
        self._clock_skew_seconds = clock_skew_seconds
        self._requests: Allowances[str] = Allowances(MAX_REQUESTS, REQUESTS_A_SECOND)
        self._limits = limits

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

    def application(self, request: ReceivedRequest) -> Application:
        """The application that a request of the older dialect names; it proves nothing. Raises RefusedError."""
        application = self._directory.application(_credentials(request, "application"))
        if application is None:
            raise unauthorized("Authorization: the application is unknown to this exchange")
        return application

    def ticket_holder(self, request: ReceivedRequest, now: float) -> Registrant:
        """Who asks, by a user ticket of the older dialect. Raises RefusedError."""
        ticket = _credentials(request, "user")
        application = self._directory.application(_application_key_of_ticket(ticket))
        if application is None:
            raise unauthorized("user ticket, application: it is unknown to this exchange")
        skew = self._clock_skew_seconds
        try:
            claims = verify_user_ticket(ticket, application_key=application.key, secret=application.secret, now=now, leeway_s=skew)
        except AuthenticationError as error:
            raise unauthorized(str(error)) from error
        if claims.created_at <= application.proved_at.get(claims.user_id, float("-inf")):
            raise unauthorized("user ticket: it is older than the token with which the user took its name back")
        return Registrant(application, claims.user_id, None)

    async def backend(self, request: ReceivedRequest, now: float, *, once: bool = False) -> Application:
        """Which application's backend asks: by ``Application key:signature`` or ``Basic`` with key and secret (Sinch Voice REST). ``once``:
        what was signed is served a single time. Raises RefusedError."""
        scheme, _, rest = (request.authorization or "").strip().partition(" ")
        match scheme.lower():
            case "":
                raise unauthorized("Authorization: Application key:signature or Basic is needed", ErrorCode.NO_AUTHORIZATION)
            case "application":
                application = self._signing_application(request, rest.strip(), now)
            case "basic":
                application = self._named_application(rest.strip())
            case _:
                raise forbidden("Authorization: the scheme must be Application or Basic")
        signer = f"application {application.key}"
        if not self._requests.take(signer, now):
            raise too_many("this application asks too often; wait a moment", retry_s=1)
        if once and scheme.lower() == "application":
            await self._limits.claim(application.key, "application", rest.rpartition(":")[2], now)
        return application

    async def signer(self, request: ReceivedRequest, now: float, *, once: bool = False) -> Device:
        """Which device signed. ``once``: what was signed is served a single time. Raises RefusedError."""
        credentials = read_authorization(request.authorization)
        if not isinstance(credentials, InstanceSignature):
            raise unauthorized("Authorization: an instance signature is needed")
        device = self._directory.device(credentials.instance_id)
        if device is None:
            raise unauthorized("unknown instance", ErrorCode.UNKNOWN_INSTANCE)
        self._check_signature(request, credentials.signature, device, now)
        if not self._requests.take(device.instance_id, now):
            raise asks_too_often()
        if once:
            await self._limits.claim(device.application.key, device.instance_id, credentials.signature, now)
        return device

    async def device(self, request: ReceivedRequest, user_id: str, instance_id: str, now: float, *, once: bool = False) -> Device:
        """Which device signed, for an operation under ``users/{user_id}/instances/{instance_id}``. Raises RefusedError."""
        device = await self.signer(request, now, once=once)
        if device.user_id != user_id:
            raise forbidden("path: the user is not the one who signed")
        if device.instance_id != instance_id:
            raise forbidden("path: the instance is not the one that signed")
        return device

    def _signing_application(self, request: ReceivedRequest, credentials: str, now: float) -> Application:
        key, _, signature = credentials.rpartition(":")
        application = self._directory.application(key)
        if application is None:
            raise unauthorized("Authorization: the application is unknown to this exchange")
        if not request.timestamp:
            raise unauthorized("x-timestamp: it is needed, and signed with the rest", ErrorCode.NO_TIMESTAMP)
        signed = (request.method, request.path, request.body, request.content_type, request.timestamp)
        if not verify_request(*signed, application.secret, signature):
            raise unauthorized("signature: it doesn't fit method, body, content type, timestamp and path", ErrorCode.INVALID_SIGNATURE)
        self._check_clock(request, now)
        return application

    def _named_application(self, credentials: str) -> Application:
        """By key and secret as they are in the dashboard, in base64."""
        try:
            key, _, secret = base64.b64decode(credentials, validate=True).decode().rpartition(":")
        except ValueError as error:
            raise unauthorized("Authorization: Basic is followed by key:secret in base64", ErrorCode.NO_AUTHORIZATION) from error
        application = self._directory.application(key)
        expected = base64.b64encode(application.secret if application else b"")
        if application is None or not hmac.compare_digest(expected, secret.encode()):
            raise unauthorized("Authorization: there is no application of that key and secret")
        return application

    def _check_signature(self, request: ReceivedRequest, signature: str, device: Device, now: float) -> None:
        signed = (request.method, request.path, request.body, request.content_type, request.timestamp)
        if not verify_request(*signed, device.identity.secret, signature):
            raise unauthorized("signature: it doesn't fit method, body, content type, timestamp and path")
        self._check_clock(request, now)
        if device.has_expired(now):
            raise unauthorized("the instance has expired", ErrorCode.UNKNOWN_INSTANCE)

    def _check_clock(self, request: ReceivedRequest, now: float) -> None:
        try:
            ahead_seconds = read_time(request.timestamp) - now
        except RemoteProtocolError as error:
            raise unauthorized(f"timestamp: {error}", ErrorCode.NO_TIMESTAMP) from error
        if abs(ahead_seconds) > self._clock_skew_seconds:
            where = "in the future" if ahead_seconds > 0 else "in the past"
            raise unauthorized(f"timestamp: {abs(ahead_seconds):.0f} s {where}; check the clock", ErrorCode.CLOCK_DIFFERENCE)


def _application_key_of(token: str) -> str:
    """The application that a token says it's of; nothing of it is verified yet."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN_CHARACTERS:
        raise unauthorized("registration token, format: it doesn't have three parts, or is too long")
    try:
        issuer = json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True))["iss"]
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise unauthorized("registration token, format: there is no issuer to be read") from error
    return issuer.removeprefix(ISSUER_PREFIX) if isinstance(issuer, str) else ""


def _credentials(request: ReceivedRequest, scheme: str) -> str:
    """What follows the scheme in the Authorization header (PAPI v1, authorization schemes)."""
    given, _, rest = (request.authorization or "").strip().partition(" ")
    rest = rest.strip()
    if given.lower() != scheme or not rest:
        raise unauthorized(f"Authorization: the scheme {scheme} is needed")
    return rest


def _application_key_of_ticket(ticket: str) -> str:
    """The application that a ticket says it's of; nothing of it is verified yet."""
    if len(ticket) > MAX_TOKEN_CHARACTERS:
        raise unauthorized("user ticket, format: it's too long")
    try:
        key = json.loads(base64.b64decode(ticket.partition(":")[0], validate=True).decode("latin-1"))["applicationKey"]
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise unauthorized("user ticket, format: there is no application to be read") from error
    return key if isinstance(key, str) else ""
