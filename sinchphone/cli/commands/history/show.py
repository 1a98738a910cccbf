"""``history``: list past calls and messages."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, ClassVar

import typer

from sinchphone.cli.addressing.contacts import contacts_of
from sinchphone.cli.addressing.recent import past_of
from sinchphone.cli.commands.history.choosing import ChoiceFlags
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import option_of_number, with_flags
from sinchphone.cli.terminal.flags.groups import CommandGroup, Planned
from sinchphone.cli.terminal.output.listings import HistoryEntry, PastKind
from sinchphone.cli.terminal.output.results import MessageState
from sinchphone.cli.terminal.run_at_once import run_at_once
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.engine.history.past import Past, PastCall, PastMessage
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, kw_only=True)
class HistoryFlags(ChoiceFlags):
    """Options of ``history``."""

    limit: Annotated[int, option_of_number("N", "The last N only", 1, 100_000, whole=True, shows_default=True)] = 100


class _HistoryGroup(CommandGroup):
    """What else is done with the history."""

    planned: ClassVar[Mapping[str, Planned]] = {
        "delete": Planned("sinchphone.cli.commands.history.delete", "Delete all, what was with somebody, or what is old."),
        "export": Planned("sinchphone.cli.commands.history.export", "Write a file of JSON or CSV."),
    }


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command, with those below it."""
    group = typer.Typer(cls=_HistoryGroup, invoke_without_command=True, rich_markup_mode=None, add_completion=False)
    group.callback()(with_flags(history))
    app.add_typer(group, name=name)


def history(context: typer.Context, flags: HistoryFlags) -> ExitCode:
    """Show past calls and messages of this computer, the latest last."""
    if context.invoked_subcommand is not None:
        return ExitCode.OK
    session = session_of(flags)
    is_meant, since = flags.chooser(session.options), flags.since_at
    wanted = [past for past in past_of(session.options, since=since) if is_meant(past)]
    return run_at_once(session, lambda session: _show(session, wanted[-flags.limit :]))


def _show(session: Session, wanted: list[Past]) -> ExitCode:
    names = contacts_of(session.options).names()
    for past in wanted:
        entry = entry_of(past)
        session.tell(replace(entry, contacts=[names.get(peer) for peer in entry.peers]))
    return ExitCode.OK


def entry_of(past: Past) -> HistoryEntry:
    """An entry as it's listed."""
    return _call_entry(past) if isinstance(past, PastCall) else _message_entry(past)


def _call_entry(call: PastCall) -> HistoryEntry:
    return HistoryEntry(
        kind=PastKind.CALL,
        id=call.id,
        at=_moment(call.at),
        outbound=call.outbound,
        peers=[call.peer],
        status=call.cause,
        missed=call.is_missed,
        duration_ms=call.duration_ms,
        text=None,
        domain=call.domain,
        ended_by=call.ended_by,
        code=call.code,
        reason=call.reason,
    )


def _message_entry(message: PastMessage) -> HistoryEntry:
    return HistoryEntry(
        kind=PastKind.MESSAGE,
        id=message.id,
        at=_moment(message.at),
        outbound=message.outbound,
        peers=list(message.peers),
        status=_status(message),
        missed=False,
        duration_ms=None,
        text=message.text,
        domain=None,
        ended_by=None,
        code=None,
        reason=None,
    )


def _status(message: PastMessage) -> str:
    """What is true of all recipients, the worst of it."""
    if not message.outbound:
        return "received"
    if message.failed:
        return MessageState.FAILED
    return MessageState.DELIVERED if message.delivered and all(at is not None for at in message.delivered.values()) else MessageState.SENT


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
