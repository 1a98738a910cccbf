"""``doctor``: what works here and what doesn't, one line a check."""

import typer

from sinchphone.cli.calling.checks import run_checks
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import UserJsonFlags, with_flags
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(doctor))


def doctor(context: typer.Context, flags: UserJsonFlags) -> ExitCode:
    """Check versions, configuration, secret, state, clock, token, sound, platform, network and, on the local exchange, a call to echo.

    One line a check, with a hint where something is to be done; exit code 20 when something is wrong.
    """
    session = open_session(flags.load(), quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    return run(session, _examine)


async def _examine(session: Session) -> ExitCode:
    found = []
    async for checked in run_checks(session):
        session.tell(checked)
        found.append(checked.result)
    return ExitCode.UNWELL if "problem" in found else ExitCode.OK
