"""The one table of the Ocra dialect: verb, path, auth and success statuses of every operation, and every uncertain name on the wire.

The client (``signaling.ocra``) and the exchange read it both, so a correction made here corrects both sides. Only the push profile's
path is publicly known; the other paths and the names marked "ours" are decided here until somebody with an account corrects them.
``registration`` and ``calls`` beside it turn bodies into values and back, for both sides, with these names.

A signature covers the method, the body *as it was sent* (so a gzip body is hashed compressed: an aiohttp server needs
``auto_decompress=False`` to verify it), the Content-Type, the timestamp and the raw, percent-encoded path without its query.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from urllib.parse import quote

from sinchphone.errors import LocalProtocolError, RemoteProtocolError

API_ROOT = "/ocra/v1"

TIMESTAMP_HEADER = "x-timestamp"  # ISO 8601 UTC, as in the classic Sinch signature scheme
AUTHORIZATION_HEADER = "Authorization"
JSON_CONTENT_TYPE = "application/json; charset=UTF-8"
CORS_HEADERS = "authorization, content-type, content-encoding, x-timestamp"  # what a browser's preflight asks for

MAX_BODY_BYTES = 256 * 1024  # of a request or an answer; an offer with video is about 6 kB


_FIRST_SECOND = -62_135_596_800  # of the year 1
_LAST_MILLISECOND = 253_402_300_799.999  # of the year 9999


class Auth(Enum):
    """How a request proves who sends it."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105  the user's registration JWT, as a Bearer token
    SIGNATURE = "signature"  # signed with the instance's secret


class Operation(StrEnum):
    """The operations; the value is what an error message calls it."""

    CREATE_INSTANCE = "register"
    UPDATE_INSTANCE = "update the registration"
    PROLONG_INSTANCE = "prolong the registration"
    GET_CONFIG = "get the configuration"
    PLACE_CALL = "place the call"
    GET_ICE_SERVERS = "get the ICE servers"
    SET_PUSH_PROFILE = "set the push profile"
    DELETE_PUSH_PROFILE = "delete the push profile"
    SEND_PUSH = "send the push notification"
    GET_FEATURES = "get the feature flags"
    REPORT_CALL = "deliver the call report"


class ErrorCode(IntEnum):
    """``code`` of an error body: Sinch's numbers elsewhere, except those marked ours."""

    INVALID_PARAMETERS = 40001
    MISSING_PARAMETER = 40002
    INVALID_REQUEST = 40003
    NO_AUTHORIZATION = 40100
    NO_TIMESTAMP = 40101
    INVALID_SIGNATURE = 40102
    UNKNOWN_INSTANCE = 40106  # ours
    CLOCK_DIFFERENCE = 40107  # ours
    INVALID_CREDENTIALS = 40108
    FORBIDDEN = 40301
    NOT_FOUND = 40400
    TOO_MANY = 42900  # ours
    INTERNAL = 50000
    NOT_THERE = 50100  # ours


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an operation is found. Any of ``statuses`` means success; the exchange answers the first one."""

    verb: str
    template: str
    auth: Auth
    statuses: tuple[int, ...]

    @property
    def route(self) -> str:
        """The pattern for a server's router, such as ``/ocra/v1/users/{user}/instances/{instance}/calls``."""
        return API_ROOT + self.template

    @property
    def status(self) -> int:
        """The status with which the exchange answers."""
        return self.statuses[0]

    def path(self, *, user: str = "", instance: str = "") -> str:
        """The path on the wire, percent-encoded, which is also what is signed. Raises LocalProtocolError for an impossible id."""
        path = API_ROOT + self.template
        for name, value in (("{user}", user), ("{instance}", instance)):
            if name in path:
                path = path.replace(name, _segment(value))
        return path


def _segment(value: str) -> str:
    if value in ("", ".", ".."):
        raise LocalProtocolError(f"{value!r} can't be part of a path")
    return quote(value, safe="!~*'()")  # what encodeURIComponent of a browser leaves alone


_INSTANCE = "/users/{user}/instances/{instance}"

OPERATIONS: dict[Operation, Endpoint] = {
    Operation.CREATE_INSTANCE: Endpoint("POST", "/instances", Auth.TOKEN, (200, 201)),
    Operation.UPDATE_INSTANCE: Endpoint("PATCH", _INSTANCE, Auth.SIGNATURE, (200, 204)),
    Operation.PROLONG_INSTANCE: Endpoint("PUT", f"{_INSTANCE}/ttl", Auth.TOKEN, (200,)),
    Operation.GET_CONFIG: Endpoint("GET", f"{_INSTANCE}/config", Auth.SIGNATURE, (200,)),
    Operation.PLACE_CALL: Endpoint("POST", f"{_INSTANCE}/calls", Auth.SIGNATURE, (200, 201)),
    Operation.GET_ICE_SERVERS: Endpoint("GET", f"{_INSTANCE}/iceServers", Auth.SIGNATURE, (200,)),
    Operation.SET_PUSH_PROFILE: Endpoint("PUT", f"{_INSTANCE}/pushProfile", Auth.SIGNATURE, (200, 204)),
    Operation.DELETE_PUSH_PROFILE: Endpoint("DELETE", f"{_INSTANCE}/pushProfile", Auth.SIGNATURE, (200, 204)),
    Operation.SEND_PUSH: Endpoint("POST", f"{_INSTANCE}/pushNotifications", Auth.SIGNATURE, (200, 202, 204)),
    Operation.GET_FEATURES: Endpoint("GET", f"{_INSTANCE}/features", Auth.SIGNATURE, (200,)),
    Operation.REPORT_CALL: Endpoint("POST", f"{_INSTANCE}/callReports", Auth.SIGNATURE, (200, 201, 202, 204)),
}


class Field:
    """Member names that are ours: no public source shows them."""

    # InitiateCallRequest (the members of Destination are known)
    CALL_ID = "callId"
    DESTINATION = "destination"
    CALLER_ID = "cli"
    MEDIA = "media"
    SDP = "sdp"
    HEADERS = "publicCallHeaders"
    # RtcProfile
    BROADCAST_CHANNEL = "broadcastChannel"
    SIGNAL_CHANNEL = "signalChannel"
    KEY = "key"
    TRANSPORT_CHANNEL = "transportChannel"  # optional, the older dialect's name: where it's missing there are no instant messages
    # MxpPubSubConfig; "ssl" is absent (= true) but from an exchange without TLS
    HOSTNAME = "hostname"
    PORT = "port"
    SSL = "ssl"
    BROADCAST_SUBSCRIBE_KEY = "broadcastSubscribeKey"
    SIGNAL_SUBSCRIBE_KEY = "signalSubscribeKey"
    SIGNAL_PUBLISH_KEY = "signalPublishKey"
    BROADCAST_PUBLISH_KEY = "broadcastPublishKey"  # optional, for instant messages
    # CallReport
    RESULT = "result"
    ERROR = "error"


CAPABILITIES = ("p2p", "ocra.1")  # of an instance of ours; "push" comes with a push profile
OUTGOING_ONLY = "outgoing-only"  # ours: this instance places calls and takes none, so that it counts as not reachable
PLATFORM = "js"  # the identifiers are ios, android, js and test; we speak the JavaScript client's dialect
PUSH_CAPABILITY = "push"
PUSH_TEMPLATE = "incoming_call"  # the older SDK's; the current one is unknown
PUSH_TYPE_CALL = 1  # likewise


@dataclass(frozen=True, slots=True)
class BearerToken:
    """``Authorization: Bearer <registration JWT>``."""

    token: str


@dataclass(frozen=True, slots=True)
class InstanceSignature:
    """``Authorization: Instance <instance id>:<base64 signature>``."""

    instance_id: str
    signature: str


def write_authorization(credentials: BearerToken | InstanceSignature) -> str:
    """The value of the Authorization header."""
    if isinstance(credentials, BearerToken):
        return f"Bearer {credentials.token}"
    return f"Instance {credentials.instance_id}:{credentials.signature}"


def read_authorization(value: str | None) -> BearerToken | InstanceSignature | None:
    """What an Authorization header says, the scheme in any case; None when it is absent or can't be read."""
    scheme, _, rest = (value or "").strip().partition(" ")
    rest = rest.strip()
    if not rest or len(rest) > 8192:
        return None
    if scheme.lower() == "bearer":
        return BearerToken(rest)
    instance_id, colon, signature = rest.rpartition(":")  # base64 has no colon
    if scheme.lower() == "instance" and colon and instance_id and signature:
        return InstanceSignature(instance_id, signature)
    return None


def write_time(seconds: float) -> str:
    """A point in time (seconds since the epoch) as ISO 8601 UTC with milliseconds, such as ``2026-11-20T23:04:28.412Z``; what lies
    outside of the years 1 to 9999 becomes their beginning or end."""
    moment = datetime.fromtimestamp(min(max(round(seconds, 3), _FIRST_SECOND), _LAST_MILLISECOND), UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def read_time(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time; without a zone it is UTC. Raises RemoteProtocolError."""
    try:
        moment = datetime.fromisoformat(text) if len(text) <= 64 else None
        if moment is None:
            raise RemoteProtocolError("that is too long for a time")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise RemoteProtocolError("that is not a time in ISO 8601") from error
