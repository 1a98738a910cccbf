"""``exchange reset``: the local exchange as if it had just been started for the first time."""

import typer

from sinchphone.cli.calling.managed_exchange import managed_exchange
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import HostFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of


def add_to(exchange: typer.Typer) -> None:
    """Add the command to the group."""
    exchange.command("reset")(with_flags(reset))


def reset(context: typer.Context, flags: HostFlags) -> ExitCode:
    """End all calls of the local exchange and forget its users, messages, text messages and faults. Key and secret stay.

    Phones that run make themselves known again.
    """
    return run(session_of(flags), _reset)


async def _reset(session: Session) -> ExitCode:
    async with managed_exchange(session) as exchange:
        await exchange.reset()
    session.note("the exchange is as new")
    return ExitCode.OK
