"""``exchange recordings``: what backends had recorded of calls, in the state folder of the local exchange."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import HostFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.output.events.exchange import RecordingListed
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.errors import NotFoundError
from sinchphone.signaling.wire import write_time

if TYPE_CHECKING:
    from sinchphone.exchange.recordings.recordings import Recordings


def add_to(exchange: typer.Typer) -> None:
    """Add the command to the group."""
    exchange.command("recordings")(with_flags(recordings))


def recordings(
    context: typer.Context,
    flags: HostFlags,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="NAME", help="Delete this one; may be given often.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Delete all of them.")] = False,
) -> ExitCode:
    """List what backends had recorded of calls (startRecording), or delete it. The exchange needn't run.

    They are files in the state folder; a backend fetches and deletes its own at /calling/v1/recording.
    """
    if clear and remove:
        raise typer.BadParameter("deletes all, and names none", param_hint="--clear")
    session = session_of(flags)
    return run(session, lambda session: _delete(session, remove) if clear or remove else _list(session))


async def _list(session: Session) -> ExitCode:
    kept = _kept(session)
    found = await asyncio.to_thread(kept.listed)
    for file in found:
        session.tell(RecordingListed(name=file.name, path=str(kept.path(file.name)), bytes=file.bytes, at=write_time(file.made_at)))
    if not found:
        session.note("nothing was recorded yet")
    return ExitCode.OK


async def _delete(session: Session, names: list[str] | None) -> ExitCode:
    """Those, or all."""
    kept = _kept(session)
    chosen = names or [file.name for file in await asyncio.to_thread(kept.listed)]
    for name in chosen:
        if not await asyncio.to_thread(kept.delete, name):
            raise NotFoundError(f"there is no recording {name}", hint="sinchphone exchange recordings lists them")
        session.note(f"deleted {name}")
    return ExitCode.OK


def _kept(session: Session) -> "Recordings":
    from sinchphone.exchange.recordings.recordings import Recordings

    return Recordings(session.options.state_path)
