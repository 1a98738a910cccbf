"""``devices test`` and ``devices meter``: the microphone heard, and seen, without a call."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sinchphone.cli.addressing import proposals
from sinchphone.cli.endings import Order
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import JsonFlags, option_of_key, with_flags
from sinchphone.cli.terminal.output.listings import DeviceLevel, DevicesTested
from sinchphone.cli.terminal.output.results import Warned
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from sinchphone.audio.frame import Samples

RECORD_SECONDS: Final = 3.0
METER_SECONDS: Final = 0.25  # between two levels
SILENT_DBFS: Final = -60.0


@quick_dataclass(frozen=True, kw_only=True)
class DeviceFlags(JsonFlags):
    """Options that choose devices."""

    input: Annotated[str | None, option_of_key("audio.input", "DEVICE", complete=proposals.complete_input)] = None
    output: Annotated[str | None, option_of_key("audio.output", "DEVICE", complete=proposals.complete_output)] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "audio.input": self.input, "audio.output": self.output}


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command of that name."""
    app.command(name)(with_flags({"test": test, "meter": meter_levels}[name]))


def test(context: typer.Context, flags: DeviceFlags) -> ExitCode:
    """Record three seconds and play them back. Exit code 12 where nothing was heard."""
    return run(session_of(flags), _test)


def meter_levels(context: typer.Context, flags: DeviceFlags) -> ExitCode:
    """Show how loud the microphone is, until Ctrl-C."""
    return run(session_of(flags), _meter)


@contextlib.contextmanager
def _microphone(session: Session, heard: "deque[Samples]") -> Iterator[str]:
    """What it captures goes to ``heard`` while inside. Gives its name. Blocks while it's opened; raises DeviceError."""
    from sinchphone.media.local_audio.devices import sound_cards as devices

    found = devices.find_device(session.options.audio.input, devices.Direction.INPUT)
    stream = devices.Microphone(found, heard.append, lambda: None)
    stream.open()
    try:
        yield found.name
    finally:
        stream.close()


async def _test(session: Session) -> ExitCode:
    import numpy as np

    from sinchphone.audio.levels.level import dbfs
    from sinchphone.media.local_audio.devices import sound_cards as devices

    loudspeaker = await asyncio.to_thread(devices.find_device, session.options.audio.output, devices.Direction.OUTPUT)
    heard: deque[Samples] = deque()
    with _microphone(session, heard) as microphone:
        session.note(f"say something into {microphone}: it records for {RECORD_SECONDS:g} s")
        await asyncio.sleep(RECORD_SECONDS)
    samples = np.concatenate([*heard, np.zeros(0, np.int16)])
    level = dbfs(samples)
    session.note(f"that is played on {loudspeaker.name}")
    await _play(session, loudspeaker, samples)
    silent = level < SILENT_DBFS
    session.tell(DevicesTested(microphone=microphone, loudspeaker=loudspeaker.name, level_dbfs=float(level), heard=not silent))
    if silent:
        session.tell(Warned(message="nothing was heard", hint="is the microphone switched off, or another one meant? sinchphone devices"))
    return ExitCode.NOT_DONE if silent else ExitCode.OK


async def _play(session: Session, device: Any, samples: "Samples") -> None:
    import numpy as np

    from sinchphone.media.local_audio.devices import sound_cards as devices

    at = 0

    def render(count: int) -> "Samples":
        nonlocal at
        part = samples[at : at + count]
        at += count
        return np.concatenate([part, np.zeros(count - len(part), np.int16)])

    stream = devices.Loudspeaker(device, render, lambda: None)
    await asyncio.to_thread(stream.open)
    try:
        await asyncio.sleep(RECORD_SECONDS)
    finally:
        stream.close()


async def _meter(session: Session) -> ExitCode:
    """Ctrl-C is how it is meant to end."""
    import numpy as np

    from sinchphone.audio.levels.level import dbfs

    heard: deque[Samples] = deque(maxlen=1_000)
    with _microphone(session, heard) as microphone, session.stop.taken():
        session.note(f"{microphone}: Ctrl-C ends")
        order = start_task(session.stop.wait(), name="stop")
        try:
            while not order.done():
                await asyncio.wait({order}, timeout=METER_SECONDS)
                blocks = [heard.popleft() for _ in range(len(heard))]
                session.tell(DeviceLevel(microphone=microphone, level_dbfs=float(dbfs(np.concatenate([*blocks, np.zeros(0, np.int16)])))))
        finally:
            order.cancel()
    return ExitCode.TERMINATED if session.stop.order is Order.TERMINATE else ExitCode.OK
