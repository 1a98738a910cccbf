"""The one table of the PAPI v1 dialect: verb, path, auth and success statuses of every operation, and how requests are authorised.

The client and the exchange read it both. The names are those of the JavaScript SDK 1.4.12 on the wire. A signature covers the
percent-encoded path without the query.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from urllib.parse import quote

from sinchphone.errors import LocalProtocolError

API_ROOT = "/v1"


class Auth(Enum):
    """How a request proves who sends it."""

    APPLICATION = "application"  # names the application, proves nothing
    TICKET = "user"
    SIGNATURE = "instance"  # signed with the instance's secret
    SIGNATURE_OR_APPLICATION = "instance or application"  # the SDK reports messages after it has given its session up


class Operation(StrEnum):
    """The operations; the value is what an error message calls it."""

    GET_TIME = "get the time"
    CREATE_USER = "create the user"
    AUTHENTICATE_USERNAME = "log in"
    AUTHENTICATE_EMAIL = "log in by e-mail"
    AUTHENTICATE_NUMBER = "log in by number"
    CHANGE_PASSWORD = "change the password"  # noqa: S105
    GET_PROFILE = "get the profile"
    UPDATE_PROFILE = "update the profile"
    CREATE_INSTANCE = "register"
    RENEW_SECRET = "register again"  # noqa: S105
    GET_CONFIG = "get the configuration"
    PLACE_CALL = "place the call"
    REPORT_CALL = "deliver the call report"
    SEND_PUSH = "send the push notification"
    OPEN_TRANSPORT = "find the recipients"
    GET_TRANSPORT = "get the keys of a message"
    REPORT_MESSAGES = "deliver the message report"
    PUSH_MESSAGE = "send the message's push notification"


UNKNOWN_INSTANCE = 40400  # errorCode on which a client registers anew instead of renewing its secret


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an operation is found. Any of ``statuses`` means success; the exchange answers the first one."""

    verb: str
    template: str
    auth: Auth
    statuses: tuple[int, ...] = (200, 201, 202, 204)

    @property
    def route(self) -> str:
        """The pattern for a server's router, such as ``/v1/calls/{domain}``."""
        return API_ROOT + self.template

    @property
    def status(self) -> int:
        """The status with which the exchange answers."""
        return self.statuses[0]

    def path(self, **parts: str) -> str:
        """The path on the wire, percent-encoded, which is also what is signed. Raises LocalProtocolError for an impossible part."""
        path = API_ROOT + self.template
        for name, value in parts.items():
            path = path.replace(f"{{{name}}}", _segment(value))
        return path


def _segment(value: str) -> str:
    if value in ("", ".", ".."):
        raise LocalProtocolError(f"{value!r} can't be part of a path")
    return quote(value, safe="!~*'()+@")  # the SDK leaves + and @ as they are


OPERATIONS: dict[Operation, Endpoint] = {
    Operation.GET_TIME: Endpoint("GET", "/timestamp/", Auth.APPLICATION),
    Operation.CREATE_USER: Endpoint("POST", "/users", Auth.APPLICATION, (200, 201)),
    Operation.AUTHENTICATE_USERNAME: Endpoint("POST", "/users/username/{identity}/authentication", Auth.APPLICATION),
    Operation.AUTHENTICATE_EMAIL: Endpoint("POST", "/users/email/{identity}/authentication", Auth.APPLICATION),
    Operation.AUTHENTICATE_NUMBER: Endpoint("POST", "/users/number/{identity}/authentication", Auth.APPLICATION),
    Operation.CHANGE_PASSWORD: Endpoint("PUT", "/user/password", Auth.SIGNATURE),
    Operation.GET_PROFILE: Endpoint("GET", "/user/profile", Auth.SIGNATURE),
    Operation.UPDATE_PROFILE: Endpoint("PATCH", "/user/profile", Auth.SIGNATURE),
    Operation.CREATE_INSTANCE: Endpoint("POST", "/instance", Auth.TICKET, (201, 200)),
    Operation.RENEW_SECRET: Endpoint("PUT", "/instances/id/{instance}/authorization", Auth.TICKET),
    Operation.GET_CONFIG: Endpoint("GET", "/configuration/user", Auth.SIGNATURE),
    Operation.PLACE_CALL: Endpoint("POST", "/calls/{domain}", Auth.SIGNATURE),
    Operation.REPORT_CALL: Endpoint("PUT", "/calls/{domain}/id/{call}", Auth.SIGNATURE),
    Operation.SEND_PUSH: Endpoint("POST", "/push", Auth.SIGNATURE),
    Operation.OPEN_TRANSPORT: Endpoint("POST", "/transport", Auth.SIGNATURE),
    Operation.GET_TRANSPORT: Endpoint("GET", "/transport", Auth.SIGNATURE),
    Operation.REPORT_MESSAGES: Endpoint("POST", "/report/im", Auth.SIGNATURE_OR_APPLICATION),
    Operation.PUSH_MESSAGE: Endpoint("POST", "/push/messages", Auth.SIGNATURE),
}


def application_authorization(application_key: str) -> str:
    """The Authorization header that names an application."""
    return f"application {application_key}"


def ticket_authorization(ticket: str) -> str:
    """The Authorization header with a user ticket."""
    return f"user {ticket}"


def signature_authorization(instance_id: str, signature: str) -> str:
    """The Authorization header of a signed request."""
    return f"instance {instance_id}:{signature}"
