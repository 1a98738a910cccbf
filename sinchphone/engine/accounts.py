"""Users with a password, on a platform whose REST API knows such (PAPI v1): made here, without a client of theirs."""

from sinchphone.engine.environment import Environment
from sinchphone.engine.messages.recipients import Recipients, read_recipients
from sinchphone.signaling.papi import users


async def create_user(environment: Environment, identities: Recipients, password: str) -> None:
    """Make a user who logs in with that password (``Cloud(api="papi", password=…)``); needs the application's key alone. ``identities``
    are what the user is known by: one or several of user id, e-mail address and number, as in ``send_message``.

    Raises DestinationError for what is none, PlatformError where the platform refuses (a name that is taken, a password too short),
    ForbiddenError where it makes no users, NetworkError. Cancelling it is safe.
    """
    names = read_recipients(identities)
    base_url = await environment.open()
    try:
        await users.create_user(base_url, environment.application_key, names, password, ca_file=environment.ca_file)
    finally:
        await environment.close()
