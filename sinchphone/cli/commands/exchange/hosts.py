"""``exchange status`` and ``exchange stop``: the process that hosts this user's exchange, wherever it came from."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sinchphone.cli.calling.managed_exchange import ASK_SECONDS, find_host
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import HostFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.output.events.events import Problem
from sinchphone.cli.terminal.output.events.exchange import ExchangeStatus, ExchangeStopped
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of

if TYPE_CHECKING:
    from sinchphone.local.probe import ExchangeProbe, HostAnswer

_STOP_SECONDS: Final = 10.0  # for its port to be free
_STOPPED_PAUSE_SECONDS: Final = 0.05


def add_to(exchange: typer.Typer) -> None:
    """Add the commands to the group."""
    exchange.command("status")(with_flags(status))
    exchange.command("stop")(with_flags(stop))


def status(context: typer.Context, flags: HostFlags) -> ExitCode:
    """Say who hosts the local exchange.

    And for how many calls and phones. Exit code 7 where nobody does.
    """
    return run(session_of(flags), _status)


def stop(
    context: typer.Context,
    flags: HostFlags,
    force: Annotated[bool, typer.Option("--force", help="End the calls that go on there.")] = False,
) -> ExitCode:
    """Stop the exchange that runs in the background. A phone that waits there starts it again."""
    return run(session_of(flags), lambda session: _stop(session, force=force))


async def _status(session: Session) -> ExitCode:
    from sinchphone.local.host_control import HostControl

    probe, answer = await find_host(session)
    if answer is None:
        session.tell(ExchangeStatus(running=False, url=probe.url))
        return ExitCode.NOT_FOUND
    report = await HostControl(probe).report()
    session.tell(
        ExchangeStatus(
            running=True,
            url=probe.url,
            kind=report.kind.value,
            pid=report.pid,
            version=report.version,
            running_s=report.seconds,
            calls=report.calls,
            callers=report.callers,
            phones=report.phones,
            log=report.log,
        )
    )
    return ExitCode.OK


async def _stop(session: Session, *, force: bool) -> ExitCode:
    from sinchphone.errors import NetworkError
    from sinchphone.exchange.options import HostKind
    from sinchphone.local.host_control import HostControl, InUseError

    probe, answer = await find_host(session)
    if answer is None:
        session.tell(ExchangeStopped(calls=None))
        return ExitCode.OK
    if answer.kind is not HostKind.BACKGROUND:
        raise NetworkError(f"the exchange at {probe.url} belongs to a terminal or a program", hint="end that one")
    control = HostControl(probe)
    calls = (await control.report()).calls
    try:
        await control.stop(answer, unused=not force)
    except InUseError as error:
        session.problem = Problem(message=str(error), hint="--force ends the calls; sinchphone exchange status counts them")
        return ExitCode.NOT_DONE
    await _until_gone(probe, answer)
    session.tell(ExchangeStopped(calls=calls))
    return ExitCode.OK


async def _until_gone(probe: "ExchangeProbe", answer: "HostAnswer") -> None:
    """Return when the process that gave ``answer`` has left its port."""
    from sinchphone.local.probe import Found

    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        now = await probe.ask(ASK_SECONDS)
        if now.found is not Found.SILENT and now.host_id != answer.host_id:
            return
        await asyncio.sleep(_STOPPED_PAUSE_SECONDS)
    raise probe.unusable(Found.SILENT)
