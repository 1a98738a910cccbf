"""The local exchange for a command that asks it something: the one that runs, else one that is started for it, or none."""

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final

from sinchphone.cli.calling.phone import begin_host, open_environment, tell_host_news
from sinchphone.cli.terminal.session import Session
from sinchphone.credentials import read_beside
from sinchphone.errors import ConfigError, NotFoundError, PlatformError, UsageError
from sinchphone.options import Place

if TYPE_CHECKING:
    from sinchphone.local.management import ExchangeManagement
    from sinchphone.local.probe import ExchangeProbe, HostAnswer
    from sinchphone.local.signed_requests import SignedRequests

_BAD_REQUEST: Final = 400
ASK_SECONDS: Final = 3.0  # for an exchange to say that it's ours


@contextlib.asynccontextmanager
async def managed_exchange(session: Session) -> "AsyncIterator[ExchangeManagement]":
    """What runs, or is started, is asked inside. Raises ConfigError in the cloud, NetworkError where there's no exchange, and UsageError
    where it can't take what it's asked."""
    from sinchphone.local import Local

    early = await read_beside(partial(begin_host, session.options))
    environment = await read_beside(partial(open_environment, session.options, None, early))
    if not isinstance(environment, Local):
        raise _in_the_cloud()
    await environment.open()
    try:
        tell_host_news(session, environment)
        yield environment.management
    except PlatformError as error:
        if error.status != _BAD_REQUEST:
            raise
        raise UsageError(str(error)) from error
    finally:
        await environment.close()


async def running_exchange(session: Session) -> "SignedRequests":
    """What asks the exchange that runs; none is started. Raises NotFoundError where none runs, ConfigError in the cloud, NetworkError."""
    from sinchphone.local.signed_requests import SignedRequests

    if session.options.environment is Place.CLOUD:
        raise _in_the_cloud()
    probe, answer = await find_host(session)
    if answer is None:
        raise NotFoundError("no exchange runs, so there are no calls to look at", hint="sinchphone exchange runs one; so does a call")
    return SignedRequests(probe.url, probe.credentials)


async def find_host(session: Session) -> "tuple[ExchangeProbe, HostAnswer | None]":
    """Where the exchange should be, and who answers there; nobody where nobody listens. Raises NetworkError for anybody else."""
    from sinchphone.credentials import read_local_application
    from sinchphone.exchange.directory.credentials import local_credentials
    from sinchphone.local.probe import ExchangeProbe, Found

    where = session.options.exchange
    credentials = read_local_application(session.options) or local_credentials(session.options.state_path)
    probe = ExchangeProbe(credentials, where.host, where.port)
    answer = await probe.ask(ASK_SECONDS)
    match answer.found:
        case Found.OURS:
            return probe, answer
        case Found.NOBODY:
            return probe, None
        case found:
            raise probe.unusable(found)


def _in_the_cloud() -> ConfigError:
    return ConfigError("this is about the local exchange, and the environment is the cloud", hint="--profile local")
