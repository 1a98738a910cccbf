"""Users with a password (PAPI v1): makes them, and logs them in, which gives the ticket that registers a device."""

import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from sinchphone.errors import AuthenticationError
from sinchphone.signaling.dialect import IdentityKind, Recipient
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.http.transport import connector
from sinchphone.signaling.papi.names import PapiOperation
from sinchphone.signaling.papi.requests import PapiRequests
from sinchphone.signaling.rest.requests import RestRequests

TICKET_S = 86_400  # how long a ticket is asked to be valid
MAX_TICKET_CHARACTERS = 8192

_LOG_IN = {
    IdentityKind.USERNAME: PapiOperation.AUTHENTICATE_USERNAME,
    IdentityKind.EMAIL: PapiOperation.AUTHENTICATE_EMAIL,
    IdentityKind.NUMBER: PapiOperation.AUTHENTICATE_NUMBER,
}


async def create_user(
    base_url: str, application_key: str, identities: Sequence[Recipient], password: str, *, ca_file: Path | None = None
) -> None:
    """Make a user of the application who is known by these. ``ca_file`` as in ``log_in``. Raises what ``RestRequests`` raises."""
    named = [{"type": str(one.kind), "endpoint": one.identity} for one in identities]
    email = next((one.identity for one in identities if one.kind is IdentityKind.EMAIL), None)
    profile = {"profile": {"contact": {"email": email}}} if email is not None else {}
    body = write_json({"password": password, "identities": named, **profile})
    async with aiohttp.ClientSession(connector=connector(ca_file)) as session:
        requests = PapiRequests(RestRequests(session, base_url, clock=time.time))
        await requests.send_named(PapiOperation.CREATE_USER, application_key, read_ticket, body=body)


async def log_in(base_url: str, application_key: str, user: Recipient, password: str, *, ca_file: Path | None = None) -> str:
    """A user ticket for somebody's password. ``ca_file``: authorities to be trusted beside the system's.

    Raises AuthenticationError for a wrong password, and what ``RestRequests`` raises.
    """
    body = write_json({str(user.kind): user.identity, "password": password, "expiresIn": TICKET_S})
    async with aiohttp.ClientSession(connector=connector(ca_file)) as session:
        requests = PapiRequests(RestRequests(session, base_url, clock=time.time))
        try:
            return await requests.send_named(_LOG_IN[user.kind], application_key, read_ticket, body=body, identity=user.identity)
        except AuthenticationError as error:
            raise AuthenticationError(str(error), hint="check the user's name and password, and the application key") from error


def read_ticket(body: bytes) -> str:
    """The answer to an authentication: the ticket, whatever is in it."""
    return Record.parse(body).text("authorization", limit=MAX_TICKET_CHARACTERS)
