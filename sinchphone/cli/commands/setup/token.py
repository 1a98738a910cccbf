"""``token``: a registration token for another client."""

from functools import partial

import typer

from sinchphone.cli.addressing.recent import user_of
from sinchphone.cli.calling.phone import open_environment
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import UserFlags, with_flags
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session
from sinchphone.credentials import read_beside


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(token))


def token(context: typer.Context, flags: UserFlags) -> ExitCode:
    """Print a registration token (JWT), with api papi a user ticket. Another client can register as this user with it; so can
    whoever sees it."""
    session = open_session(flags.load(), json=False, quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    return run(session, _print)


async def _print(session: Session) -> ExitCode:
    environment = await read_beside(partial(open_environment, session.options))
    try:
        session.print(await environment.token(user_of(session.options)))
    finally:
        await environment.close()
    return ExitCode.OK
