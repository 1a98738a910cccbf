"""The one table of the PAPI v1 dialect: verb, path, auth and success statuses of every operation, and how requests are authorised.

The client and the exchange read it both. The names are those of the JavaScript SDK 1.4.12 on the wire. A signature covers the
percent-encoded path without the query.
"""

from enum import StrEnum

from sinchphone.signaling.rest import transports
from sinchphone.signaling.wire import Auth, Endpoint

API_ROOT = transports.API_ROOT


class PapiOperation(StrEnum):
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


def _at(verb: str, template: str, auth: Auth, statuses: tuple[int, ...] = (200, 201, 202, 204)) -> Endpoint:
    return Endpoint(API_ROOT, verb, template, auth, statuses, unescaped="+@")  # the SDK leaves these as they are


OPERATIONS: dict[PapiOperation, Endpoint] = {
    PapiOperation.GET_TIME: _at("GET", "/timestamp/", Auth.APPLICATION),
    PapiOperation.CREATE_USER: _at("POST", "/users", Auth.APPLICATION, (200, 201)),
    PapiOperation.AUTHENTICATE_USERNAME: _at("POST", "/users/username/{identity}/authentication", Auth.APPLICATION),
    PapiOperation.AUTHENTICATE_EMAIL: _at("POST", "/users/email/{identity}/authentication", Auth.APPLICATION),
    PapiOperation.AUTHENTICATE_NUMBER: _at("POST", "/users/number/{identity}/authentication", Auth.APPLICATION),
    PapiOperation.CHANGE_PASSWORD: _at("PUT", "/user/password", Auth.SIGNATURE),
    PapiOperation.GET_PROFILE: _at("GET", "/user/profile", Auth.SIGNATURE),
    PapiOperation.UPDATE_PROFILE: _at("PATCH", "/user/profile", Auth.SIGNATURE),
    PapiOperation.CREATE_INSTANCE: _at("POST", "/instance", Auth.TICKET, (201, 200)),
    PapiOperation.RENEW_SECRET: _at("PUT", "/instances/id/{instance}/authorization", Auth.TICKET),
    PapiOperation.GET_CONFIG: _at("GET", "/configuration/user", Auth.SIGNATURE),
    PapiOperation.PLACE_CALL: _at("POST", "/calls/{domain}", Auth.SIGNATURE),
    PapiOperation.REPORT_CALL: _at("PUT", "/calls/{domain}/id/{call}", Auth.SIGNATURE),
    PapiOperation.SEND_PUSH: _at("POST", "/push", Auth.SIGNATURE),
    PapiOperation.OPEN_TRANSPORT: transports.OPEN_TRANSPORT,
    PapiOperation.GET_TRANSPORT: transports.GET_TRANSPORT,
    PapiOperation.REPORT_MESSAGES: transports.REPORT_MESSAGES,
    PapiOperation.PUSH_MESSAGE: _at("POST", "/push/messages", Auth.SIGNATURE),
}


def application_authorization(application_key: str) -> str:
    """The Authorization header that names an application."""
    return f"application {application_key}"


def ticket_authorization(ticket: str) -> str:
    """The Authorization header with a user ticket."""
    return f"user {ticket}"
