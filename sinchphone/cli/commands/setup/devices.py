"""``devices``: which sound devices and cameras there are."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import typer

from sinchphone.cli.doctor.finding import NO_DEVICES_HINT
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import JsonFlags, with_flags
from sinchphone.cli.terminal.flags.groups import CommandGroup, Planned
from sinchphone.cli.terminal.output.events.events import Warned
from sinchphone.cli.terminal.output.lines import Line, hint_lines
from sinchphone.cli.terminal.output.listings import CameraFound, DeviceFound
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.errors import DeviceError


class _DevicesGroup(CommandGroup):
    """What else is done with devices."""

    planned: ClassVar[Mapping[str, Planned]] = {
        "test": Planned("sinchphone.cli.commands.setup.devices_try", "Record three seconds and play them back."),
        "meter": Planned("sinchphone.cli.commands.setup.devices_try", "Show how loud the microphone is."),
    }


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command, with those below it."""
    group = typer.Typer(cls=_DevicesGroup, invoke_without_command=True, rich_markup_mode=None, add_completion=False)
    group.callback()(with_flags(devices))
    app.add_typer(group, name=name)


def devices(context: typer.Context, flags: JsonFlags) -> ExitCode:
    """List sound devices and cameras. --input, --output, --ring and --camera take the index or part of the name."""
    if context.invoked_subcommand is not None:
        return ExitCode.OK
    session = session_of(flags)
    return run(session, _list)


async def _list_cameras(session: Session) -> None:
    """Nobody needs one: where they can't be listed a remark says why."""
    from sinchphone.media.local_video.cameras import list_cameras

    try:
        for one in await asyncio.to_thread(list_cameras):
            session.tell(CameraFound(index=one.index, name=one.name))
    except DeviceError as error:
        session.screen.write([Line(str(error)), *(replace(line, always=False) for line in hint_lines(error.hint))])


async def _list(session: Session) -> ExitCode:
    from sinchphone.media.local_audio.devices.sound_cards import list_devices
    from sinchphone.media.local_audio.voice import MISSING_HINT, is_available

    try:
        found = await asyncio.to_thread(list_devices)
    except DeviceError:  # what is there besides is listed all the same
        await _list_cameras(session)
        raise
    for one in found:
        session.tell(
            DeviceFound(
                index=one.index,
                name=one.name,
                host=one.host,
                inputs=one.inputs,
                outputs=one.outputs,
                default_input=one.default_input,
                default_output=one.default_output,
                headset=one.worn,
            )
        )
    await _list_cameras(session)
    if is_available():
        session.note("echo cancelling, gain control, and noise suppression (by pywebrtc-audio): there")
    else:
        session.tell(Warned(message="no noise suppression: pywebrtc-audio is missing", hint=MISSING_HINT))
    if not found:
        raise DeviceError("there is no sound device", hint=NO_DEVICES_HINT)
    return ExitCode.OK
