"""The local exchange for a command that asks it something: the one that runs, else one that is started for it."""

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from sinchphone.cli.calling.phone import begin_host, open_environment, tell_host_news
from sinchphone.cli.terminal.session import Session
from sinchphone.credentials import read_beside
from sinchphone.errors import ConfigError

if TYPE_CHECKING:
    from sinchphone.local.management import ExchangeManagement


@contextlib.asynccontextmanager
async def managed_exchange(session: Session) -> "AsyncIterator[ExchangeManagement]":
    """What runs, or is started, is asked inside. Raises ConfigError in the cloud, NetworkError where there's no exchange."""
    from sinchphone.local import Local

    early = await read_beside(partial(begin_host, session.options))
    environment = await read_beside(partial(open_environment, session.options, None, early))
    if not isinstance(environment, Local):
        raise ConfigError("this is about the local exchange, and the environment is the cloud", hint="--profile local")
    await environment.open()
    try:
        tell_host_news(session, environment)
        yield environment.management
    finally:
        await environment.close()
