"""``trace``: what happened in a call, as the exchange saw it: a ladder, or a file for other programs."""

import json
import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sinchphone.cli.calling.managed_exchange import running_exchange
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import HostFlags
from sinchphone.cli.terminal.flags.common import option_of_words, with_flags
from sinchphone.cli.terminal.output.events.trace import TraceCallListed, TraceEventTold
from sinchphone.cli.terminal.output.lines import MAX_MESSAGE
from sinchphone.cli.terminal.private_files import write_private
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.cli.terminal.text.escape import escape
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.wire import write_time

if TYPE_CHECKING:
    from sinchphone.exchange.tracing.summaries import CallSummary
    from sinchphone.local.traces import ExchangeTraces
    from sinchphone.protocol.trace.event import TraceEvent

_FILE_WIDTH: Final = 120  # cells of a ladder in a file


class TraceFormat(StrEnum):
    """In which form a trace is written to a file."""

    TEXT = "text"
    JSON = "json"
    PCAPNG = "pcapng"


_SUFFIXES: Final = {".txt": TraceFormat.TEXT, ".json": TraceFormat.JSON, ".pcapng": TraceFormat.PCAPNG}


@quick_dataclass(frozen=True, kw_only=True)
class TraceFlags(HostFlags):
    """Options of ``trace``."""

    bodies: Annotated[bool, typer.Option("--bodies", "-b", help="With what each message has in it.")] = False
    export: Annotated[str | None, typer.Option(metavar="FILE", help="Write it to FILE.txt, .json or .pcapng (Wireshark).")] = None
    format: Annotated[TraceFormat | None, option_of_words(TraceFormat, "FORMAT", "text, json or pcapng; else FILE's name tells.")] = None
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(trace))


def trace(
    context: typer.Context,
    flags: TraceFlags,
    call: Annotated[
        str | None, typer.Argument(metavar="[CALL]", help="Its id, how it begins, or last; without one: all calls.", show_default=False)
    ] = None,
) -> ExitCode:
    """Show what was said in a call of the local exchange: REST, messages, SIP and callbacks as a ladder. Secrets are stars.

    sinchphone trace last
    """
    form = _form(call, flags)
    session = session_of(flags)

    async def work(session: Session) -> ExitCode:
        from sinchphone.local.traces import ExchangeTraces

        traces = ExchangeTraces(await running_exchange(session))
        if call is None:
            return await _list(session, traces)
        if form is not None and flags.export is not None:
            return await _export(session, traces, call, form, Path(flags.export), force=flags.force)
        return await _show(session, traces, call, bodies=flags.bodies)

    return run(session, work)


def _form(call: str | None, flags: TraceFlags) -> TraceFormat | None:
    """In which form a file is written, where one is. Raises BadParameter."""
    if call is not None and not (call and call.isprintable()):
        raise typer.BadParameter("say which: its id, how it begins, or last", param_hint="CALL")
    if flags.export is None:
        return None
    if call is None:
        raise typer.BadParameter("say which call: sinchphone trace last --export call.pcapng", param_hint="--export")
    form = flags.format or _SUFFIXES.get(Path(flags.export).suffix.lower())
    if form is None:
        raise typer.BadParameter("say how: --format text, json or pcapng, or name it .txt, .json or .pcapng", param_hint="--export")
    return form


async def _list(session: Session, traces: "ExchangeTraces") -> ExitCode:
    calls = await traces.calls()
    for one in reversed(calls):
        session.tell(_listed(one))
    if not calls:
        session.note("the exchange has had no calls since it was started")
    return ExitCode.OK


async def _show(session: Session, traces: "ExchangeTraces", call: str, *, bodies: bool) -> ExitCode:
    from sinchphone.protocol.trace.ladder import draw

    summary, events = await traces.call(call)
    session.tell(_listed(summary))
    if session.report is not None:
        for event in events:
            session.tell(TraceEventTold.of(event))
        return ExitCode.OK
    width = shutil.get_terminal_size((_FILE_WIDTH, 24)).columns
    for line in draw(events, width, escape, bodies=bodies):
        session.print(line, limit=MAX_MESSAGE)
    return ExitCode.OK


async def _export(session: Session, traces: "ExchangeTraces", call: str, form: TraceFormat, file: Path, *, force: bool) -> ExitCode:
    if form is TraceFormat.PCAPNG:
        content = await traces.capture(call)
    else:
        summary, events = await traces.call(call)
        content = (_as_json(summary, events) if form is TraceFormat.JSON else _as_text(events)).encode()
    write_private(file, content, force=force)
    session.note(f"written to {file}")
    return ExitCode.OK


def _as_text(events: "Sequence[TraceEvent]") -> str:
    from sinchphone.protocol.trace.ladder import draw

    return "".join(f"{line}\n" for line in draw(events, _FILE_WIDTH, escape, bodies=True))


def _as_json(summary: "CallSummary", events: "Sequence[TraceEvent]") -> str:
    """In plain ASCII."""
    document: dict[str, Any] = {"call": summary.to_json(), "events": [event.to_json() for event in events]}
    return json.dumps(document, indent=1) + "\n"


def _listed(call: "CallSummary") -> TraceCallListed:
    return TraceCallListed(
        call_id=call.id,
        caller=call.caller,
        callee=call.callee,
        began_at=write_time(call.began_at),
        duration_ms=None if call.ended_at is None else max(0, round(1000 * (call.ended_at - call.began_at))),
        ending=call.ending or None,
        left_out=call.left_out,
    )
