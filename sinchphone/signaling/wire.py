"""What both REST dialects have in common on the wire: headers, error codes, endpoints, times. The client and the exchange read it."""

from datetime import UTC, datetime
from enum import Enum, IntEnum
from urllib.parse import quote

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass

TIMESTAMP_HEADER = "x-timestamp"  # ISO 8601 UTC, as in the classic Sinch signature scheme
AUTHORIZATION_HEADER = "Authorization"
JSON_CONTENT_TYPE = "application/json; charset=UTF-8"
CORS_HEADERS = "authorization, content-type, content-encoding, x-timestamp"  # what a browser's preflight asks for

MAX_BODY_BYTES = 256 * 1024  # of a request or an answer; an offer with video is about 6 kB

OUTGOING_ONLY = "outgoing-only"  # ours: this instance places calls and takes none, so that it counts as not reachable
PUSH_CAPABILITY = "push"
PUSH_TEMPLATE = "incoming_call"  # the older SDK's; the current one is unknown

_FIRST_SECOND = -62_135_596_800  # of the year 1
_LAST_MILLISECOND = 253_402_300_799.999  # of the year 9999


class Auth(Enum):
    """How a request proves who sends it."""

    NONE = "none"
    APPLICATION = "application"  # names the application, proves nothing
    TOKEN = "token"  # noqa: S105  the user's registration JWT, as a Bearer token
    TICKET = "user"  # a user's, signed with the application's secret
    SIGNATURE = "instance"  # signed with the instance's secret
    SIGNATURE_OR_APPLICATION = "instance or application"  # the SDK reports messages after it has given its session up


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
    DESTINATION_FORBIDDEN = 40300
    FORBIDDEN = 40301
    NOT_FOUND = 40400
    TOO_MANY = 42900  # ours
    INTERNAL = 50000
    NOT_THERE = 50100  # ours


@quick_dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an operation is found. Any of ``statuses`` means success; the exchange answers the first one."""

    root: str
    verb: str
    template: str
    auth: Auth
    statuses: tuple[int, ...] = (200, 201, 202, 204)
    unescaped: str = ""  # characters that this dialect's client leaves alone, beside those of encodeURIComponent

    @property
    def route(self) -> str:
        """The pattern for a server's router, such as ``/ocra/v1/users/{user}/instances/{instance}/calls``."""
        return self.root + self.template

    @property
    def status(self) -> int:
        """The status with which the exchange answers."""
        return self.statuses[0]

    def path(self, **parts: str) -> str:
        """The path on the wire, percent-encoded, which is also what is signed; parts that it hasn't are ignored. Raises
        LocalProtocolError for an impossible part."""
        path = self.route
        for name, value in parts.items():
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", self._segment(value))
        return path

    def _segment(self, value: str) -> str:
        if value in ("", ".", ".."):
            raise LocalProtocolError(f"{value!r} can't be part of a path")
        return quote(value, safe=f"!~*'(){self.unescaped}")  # what encodeURIComponent of a browser leaves alone


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
