"""``exchange move``: what the exchange of one process remembered, to the Redis that several share."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import MoveFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.output.events.exchange import ExchangeMoved
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session
from sinchphone.credentials import read_beside, read_exchange, read_local_application

if TYPE_CHECKING:
    from sinchphone.exchange.options import ExchangeOptions


def add_to(exchange: typer.Typer) -> None:
    """Add the command to the group."""
    exchange.command("move")(with_flags(move))


def move(
    context: typer.Context,
    flags: MoveFlags,
    file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="The database of the exchange; without it that of the state folder.")
    ] = None,
) -> ExitCode:
    """Move users, devices and waiting messages from the exchange's file (SQLite) to Redis.

    End the exchange first. The file stays as it is. It may be done again: only what is new is moved then.
    """
    configuration = flags.load()
    if configuration.options.exchange.store is None:
        raise typer.BadParameter("names no store", param_hint="--to")
    session = open_session(configuration, quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    return run(session, lambda session: _move(session, file))


async def _move(session: Session, file: Path | None) -> ExitCode:
    from sinchphone.exchange.directory.credentials import local_credentials
    from sinchphone.exchange.options import StoreAddress
    from sinchphone.exchange.store.redis import moving
    from sinchphone.exchange.store.sqlite import FILE_NAME
    from sinchphone.protocol.auth import decode_secret

    folder = session.options.state_path
    credentials = read_local_application(session.options) or local_credentials(folder)
    options: ExchangeOptions = await read_beside(partial(read_exchange, session.options))
    assert isinstance(options.store, StoreAddress), "it was named"
    source, secret = file or folder / FILE_NAME, decode_secret(credentials.secret)
    moved = await moving.move(source, options.store, credentials.key, secret, options.history_seconds)
    session.tell(ExchangeMoved(users=moved.users, devices=moved.devices, message_frames=moved.frames, rows=moved.rows, known=moved.known))
    return ExitCode.OK
