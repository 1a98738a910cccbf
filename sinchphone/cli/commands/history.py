"""``history``: past calls and messages."""

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from sinchphone.cli.calling.phone import open_history
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal import events as e
from sinchphone.cli.terminal.flags import HistoryFlags, with_flags
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session
from sinchphone.schema import parse_duration

if TYPE_CHECKING:
    from sinchphone.engine.history import Past, PastCall, PastMessage

MAX_READ: Final = 100_000  # entries that are looked through for those that are wanted
_DAYS: Final = re.compile(r"(\d{1,6})d")
_DAY_S: Final = 86_400.0


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("history")(with_flags(history))


def history(context: typer.Context, flags: HistoryFlags) -> ExitCode:
    """Show past calls and messages of this computer, the latest last."""
    since = 0.0 if flags.since is None else read_since(flags.since, time.time())
    session = open_session(flags.load(), quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    return run(session, lambda session: _show(session, flags, since))


def read_since(text: str, now: float) -> float:
    """Seconds since the epoch, from ``2h``, ``3d`` (so long ago) or a date, in local time where it names no zone. Raises BadParameter."""
    days = _DAYS.fullmatch(text.strip())
    if days:
        return now - int(days[1]) * _DAY_S
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter("must be 90m, 2h, 3d, or a date such as 2026-11-21", param_hint="--since") from error


async def _show(session: Session, flags: HistoryFlags, since: float) -> ExitCode:
    from sinchphone.engine.history import PastCall

    wanted = []
    async with open_history(session.options) as past:
        for entry in await past.entries(since=since, limit=MAX_READ):
            peers = _peers(entry)
            if flags.missed and not (isinstance(entry, PastCall) and entry.is_missed):
                continue
            if flags.with_ is None or flags.with_ in peers:
                wanted.append(entry)
    for entry in wanted[-flags.limit :]:
        session.tell(_call_entry(entry) if isinstance(entry, PastCall) else _message_entry(entry))
    return ExitCode.OK


def _peers(entry: "Past") -> list[str]:
    from sinchphone.engine.history import PastCall

    if isinstance(entry, PastCall):
        return [entry.peer]
    return list(entry.recipients) if entry.outbound else [entry.sender]


def _call_entry(call: "PastCall") -> e.HistoryEntry:
    return e.HistoryEntry(
        kind="call",
        id=call.id,
        at=_moment(call.at),
        outbound=call.outbound,
        peers=[call.peer],
        status=call.cause,
        missed=call.is_missed,
        duration_ms=call.duration_ms,
        text=None,
    )


def _message_entry(message: "PastMessage") -> e.HistoryEntry:
    return e.HistoryEntry(
        kind="message",
        id=message.id,
        at=_moment(message.at),
        outbound=message.outbound,
        peers=_peers(message),
        status=_status(message),
        missed=False,
        duration_ms=None,
        text=message.text,
    )


def _status(message: "PastMessage") -> str:
    """What is true of all recipients, the worst of it."""
    if not message.outbound:
        return "received"
    if message.failed:
        return "failed"
    return "delivered" if message.delivered and all(at is not None for at in message.delivered.values()) else "sent"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
