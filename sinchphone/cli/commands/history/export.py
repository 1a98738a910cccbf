"""``history export``: the history as one JSON document or as CSV, for other programs."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from sinchphone.cli.addressing.recent import past_of
from sinchphone.cli.commands.history.choosing import ChoiceFlags
from sinchphone.cli.commands.history.show import entry_of
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import option_of_words, with_flags
from sinchphone.cli.terminal.output.listings import HistoryEntry
from sinchphone.cli.terminal.private_files import write_private
from sinchphone.cli.terminal.run_at_once import run_at_once
from sinchphone.cli.terminal.session import Session, open_session
from sinchphone.protocol.phone_numbers import is_number
from sinchphone.quick_dataclass import quick_dataclass

COLUMNS: Final = (
    *("at", "kind", "outbound", "peers", "status", "missed", "duration_ms", "ended_by", "code", "reason", "text", "domain", "id"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")  # what spreadsheets run


class ExportFormat(StrEnum):
    """In which form the history is written."""

    JSON = "json"
    CSV = "csv"


@quick_dataclass(frozen=True, kw_only=True)
class ExportFlags(ChoiceFlags):
    """Options of ``history export``."""

    format: Annotated[ExportFormat | None, option_of_words(ExportFormat, "FORMAT", "json or csv; else the file's name tells.")] = None
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(export))


def export(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="FILE.json, FILE.csv, or - for standard output.")],
    flags: ExportFlags,
) -> ExitCode:
    """Write calls and messages to a file for its owner's eyes only: sinchphone history export calls.csv"""
    form = flags.format or next((one for one in ExportFormat if Path(file).suffix.lower() == f".{one}"), None)
    if form is None:
        raise typer.BadParameter("say which: --format json or --format csv, or name it .json or .csv", param_hint="FILE")
    configuration = flags.load()
    if file == "-" and configuration.options.json:
        raise typer.BadParameter("--json writes lines of its own to standard output; without it", param_hint="FILE")
    session = open_session(configuration, quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    is_meant = flags.chooser(session.options)
    entries = (entry_of(past) for past in past_of(session.options, since=flags.since_at) if is_meant(past))
    text = as_csv(entries) if form is ExportFormat.CSV else as_json(entries)
    return run_at_once(session, lambda session: _print_or_write(session, file, text, force=flags.force))


def as_json(entries: Iterable[HistoryEntry]) -> str:
    """A list of objects, in plain ASCII."""
    return json.dumps([_row(entry) for entry in entries], indent=1) + "\n"


def as_csv(entries: Iterable[HistoryEntry]) -> str:
    """RFC 4180, with a heading. What a spreadsheet would take for a formula has an apostrophe in front: others wrote it."""
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(COLUMNS)
    for entry in entries:
        row = _row(entry)
        rows.writerow([_cell(" ".join(row[name]) if name == "peers" else row[name]) for name in COLUMNS])
    return written.getvalue()


def _row(entry: HistoryEntry) -> dict[str, Any]:
    row = asdict(entry)
    return {name: row[name] for name in COLUMNS}


def _cell(value: object) -> object:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() if value.startswith(_FORMULA) and not is_number(value):
            return f"'{value}"
        case _:
            return value


def _print_or_write(session: Session, file: str, text: str, *, force: bool) -> ExitCode:
    if file != "-":
        write_private(Path(file), text.encode(), force=force)
        session.note(f"written to {file}")
        return ExitCode.OK
    for line in text.replace("\r\n", "\n").rstrip("\n").split("\n"):  # a peer's text has other separators, which make no row here
        session.print(line, limit=len(line))
    return ExitCode.OK
