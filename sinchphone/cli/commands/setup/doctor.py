"""``doctor``: what works here and what doesn't, one line a check."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any

import typer

from sinchphone.cli.doctor.checks import cloud_checks, run_checks
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import UserJsonFlags, with_flags
from sinchphone.cli.terminal.output.listings import CheckResult, DoctorChecked
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.quick_dataclass import quick_dataclass


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(doctor))


@quick_dataclass(frozen=True, kw_only=True)
class DoctorFlags(UserJsonFlags):
    """Options of ``doctor``."""

    cloud: Annotated[bool, typer.Option("--cloud", help="Walk the start sequence with the cloud, step by step.")] = False

    microphone: Annotated[
        bool, typer.Option("--microphone", help="Play tones on the loudspeaker too, and listen for them with the microphone.")
    ] = False

    def __post_init__(self) -> None:
        """Raises BadParameter."""
        if self.cloud and self.microphone:
            raise typer.BadParameter("--cloud and --microphone exclude each other")

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "environment": "cloud" if self.cloud else None}


def doctor(context: typer.Context, flags: DoctorFlags) -> ExitCode:
    """Check versions, configuration, secret, state, clock, token, sound, platform, network and, on the local exchange, a call to echo.

    One line a check, with a hint where something is to be done; exit code 20 when something is wrong. With --cloud only the start
    sequence with the cloud, which ends where a step fails: what the platform answered is told.

    With --microphone tones are played on the loudspeaker, and listened for with the microphone.
    """
    session = session_of(flags)
    return run(session, partial(_examine, checks=cloud_checks if flags.cloud else partial(run_checks, microphone=flags.microphone)))


async def _examine(session: Session, checks: Callable[[Session], AsyncIterator[DoctorChecked]]) -> ExitCode:
    found = []
    async for checked in checks(session):
        session.tell(checked)
        found.append(checked.result)
    return ExitCode.UNWELL if CheckResult.PROBLEM in found else ExitCode.OK
