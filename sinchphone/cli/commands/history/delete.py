"""``history delete``: forget all, what was with somebody, or what is older than a time."""

import time
from collections.abc import Callable
from typing import Annotated

import typer

from sinchphone.cli.addressing.recent import history_of, past_of
from sinchphone.cli.commands.history.choosing import ChoiceFlags, read_moment
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.output.listings import HistoryDeleted
from sinchphone.cli.terminal.run_at_once import run_at_once
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.engine.history.past import Past, PastCall, forget
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, kw_only=True)
class DeleteFlags(ChoiceFlags):
    """Options of ``history delete``."""

    all_: Annotated[bool, typer.Option("--all", help="Everything.")] = False
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="WHEN", help="Only what was before then: 30d, or a date such as 2026-11-21.")
    ] = None

    @property
    def older_than_at(self) -> float:
        """Before when [s since the epoch]. Raises BadParameter."""
        return float("inf") if self.older_than is None else read_moment(self.older_than, time.time(), "--older-than")


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(delete))


def delete(context: typer.Context, flags: DeleteFlags) -> ExitCode:
    """Delete entries: --all, or those that fit --with, --older-than, --since and --missed together. A message to several goes whole."""
    chosen = flags.missed or any(value is not None for value in (flags.older_than, flags.with_, flags.since))
    if flags.all_ == chosen:
        raise typer.BadParameter("say which: --all, or --with WHO, --older-than WHEN, --since WHEN, --missed")
    older_than = flags.older_than_at
    session = session_of(flags)
    is_meant = flags.chooser(session.options)
    return run_at_once(session, lambda session: _delete(session, lambda past: past.at < older_than and is_meant(past)))


def _delete(session: Session, is_meant: Callable[[Past], bool]) -> ExitCode:
    path, account = history_of(session.options)
    chosen = [past for past in past_of(session.options) if is_meant(past)]
    forget(path, account, chosen)
    calls = sum(isinstance(past, PastCall) for past in chosen)
    session.tell(HistoryDeleted(calls=calls, messages=len(chosen) - calls))
    return ExitCode.OK
