"""A stream of commands: opened, read, bounded, answered."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.control.commands import Command, QuitPhone, SendDigits
from sinchphone.cli.control.control import MAX_REFUSED, MAX_UNDER_WAY, Control, Performed
from sinchphone.cli.control.lines import MAX_LINE_BYTES
from sinchphone.cli.control.stream import ControlStream
from sinchphone.cli.terminal.output.events.control import ControlClosed, ControlDone, ControlFailed
from sinchphone.errors import ControlError, LocalProtocolError
from sinchphone.tasks import start_task

PATIENCE_S = 20.0
Told = list[ControlDone | ControlFailed | ControlClosed]


async def nothing(command: Command) -> Performed:
    return Performed("call-1")


async def obeyed(path: Path, perform: Callable[[Command], Any] = nothing) -> Told:
    """What is told of a file of commands."""
    told: Told = []
    async with asyncio.timeout(PATIENCE_S):
        await Control(ControlStream(str(path)), told.append, perform).run()
    return told


def written(folder: Path, *lines: bytes | str | dict[str, Any]) -> Path:
    raw = [one if isinstance(one, bytes) else (one if isinstance(one, str) else json.dumps(one)).encode() for one in lines]
    (folder / "commands").write_bytes(b"\n".join(raw) + b"\n")
    return folder / "commands"


async def test_each_command_is_answered_under_its_own_id(tmp_path: Path) -> None:
    told = await obeyed(written(tmp_path, {"command": "hangup", "id": 1}, {"command": "quit", "id": "two"}, {"command": "mute"}))
    assert [(one.id, one.command) for one in told if isinstance(one, ControlDone)] == [(1, "hangup"), ("two", "quit"), (None, "mute")]
    assert sum(isinstance(one, ControlClosed) for one in told) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of descriptors there")
async def test_commands_are_read_beside_a_thousand_open_files(tmp_path: Path) -> None:
    """Trap: ``select`` takes no descriptor above 1023."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if hard == resource.RLIM_INFINITY else min(4096, hard), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        told = await obeyed(written(tmp_path, {"command": "hangup", "id": 1}))
    finally:
        for one in files:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [one.id for one in told if isinstance(one, ControlDone)] == [1]


async def test_what_fails_is_told_with_its_reason_and_the_next_is_done(tmp_path: Path) -> None:
    async def perform(command: Command) -> Performed:
        if isinstance(command, QuitPhone):
            return Performed()
        raise LocalProtocolError("no", hint="never")

    told = await obeyed(written(tmp_path, {"command": "hangup", "call_id": "c", "id": 1}, {"command": "quit", "id": 2}), perform)
    assert told[0] == ControlFailed(id=1, command="hangup", call_id="c", reason="no", hint="never")
    assert told[1] == ControlDone(id=2, command="quit", call_id=None)


async def test_one_that_takes_long_holds_up_no_other(tmp_path: Path) -> None:
    quick = asyncio.Event()

    async def perform(command: Command) -> Performed:
        if isinstance(command, SendDigits):
            await quick.wait()
        quick.set()
        return Performed()

    told = await obeyed(written(tmp_path, {"command": "dtmf", "digits": "1WWWW", "id": 1}, {"command": "hangup", "id": 2}), perform)
    assert [one.id for one in told if isinstance(one, ControlDone)] == [2, 1]


async def test_garbage_is_answered_and_the_next_command_is_done(tmp_path: Path) -> None:
    told = await obeyed(written(tmp_path, b"\xff\x00", "hang up!", b"x" * (MAX_LINE_BYTES + 1), {"command": "quit"}))
    failed = [one for one in told if isinstance(one, ControlFailed)]
    assert len(failed) == 3
    assert "longer than" in failed[2].reason
    assert any(isinstance(one, ControlDone) for one in told)


async def test_who_sends_garbage_only_is_heard_no_more(tmp_path: Path) -> None:
    told = await obeyed(written(tmp_path, *["garbage"] * (MAX_REFUSED + 500)))
    assert sum(isinstance(one, ControlFailed) for one in told) == MAX_REFUSED
    assert isinstance(told[-1], ControlClosed)
    assert "no commands" in told[-1].reason


async def test_what_is_asked_for_faster_than_it_is_done_is_refused(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def perform(command: Command) -> Performed:
        await release.wait()
        return Performed()

    told: Told = []
    path = written(tmp_path, *({"command": "dtmf", "digits": "1", "id": number} for number in range(MAX_UNDER_WAY + 10)))
    running = start_task(Control(ControlStream(str(path)), told.append, perform).run(), name="control")
    async with asyncio.timeout(PATIENCE_S):
        while not any(isinstance(one, ControlClosed) for one in told):
            await asyncio.sleep(0.01)
        release.set()
        await running
    refused = [one for one in told if isinstance(one, ControlFailed)]
    assert len(refused) == 10
    assert all("under way" in one.reason for one in refused)
    assert sum(isinstance(one, ControlDone) for one in told) == MAX_UNDER_WAY


async def test_what_is_under_way_at_the_end_is_answered_too(tmp_path: Path) -> None:
    async def perform(command: Command) -> Performed:
        await asyncio.Event().wait()
        raise AssertionError

    told: Told = []
    path = written(tmp_path, {"command": "dtmf", "digits": "1", "id": 1})
    running = start_task(Control(ControlStream(str(path)), told.append, perform).run(), name="control")
    async with asyncio.timeout(PATIENCE_S):
        while not told:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})
    assert ControlFailed(id=1, command="dtmf", call_id=None, reason="the phone ended first", hint=None) in told


async def test_a_fifo_has_one_writer_after_the_other(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    told: Told = []
    running = start_task(Control(ControlStream(str(fifo)), told.append, nothing).run(), name="control")
    async with asyncio.timeout(PATIENCE_S):
        for number in (1, 2):
            await asyncio.to_thread(fifo.write_text, json.dumps({"command": "mute", "id": number}) + "\n")
            while len(told) < number:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})
    assert [one.id for one in told if isinstance(one, ControlDone)] == [1, 2]
    assert not any(isinstance(one, ControlClosed) for one in told), "who comes next may still come"


async def test_a_writer_that_dies_is_told_and_its_last_line_done(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    stream = ControlStream(f"fd:{read}")
    os.close(read)
    os.write(write, b'{"command": "mute", "id": 1}')
    os.close(write)
    told: Told = []
    async with asyncio.timeout(PATIENCE_S):
        await Control(stream, told.append, nothing).run()
    assert ControlDone(id=1, command="mute", call_id="call-1") in told
    assert any(isinstance(one, ControlClosed) and "nobody writes" in one.reason for one in told)


@pytest.mark.parametrize("source", ["/nowhere/at/all", ".", "", "a\x00b"])
def test_a_stream_that_cannot_be_read_is_refused(source: str) -> None:
    with pytest.raises(ControlError):
        ControlStream(source)


async def test_no_thread_and_no_descriptor_is_left(tmp_path: Path) -> None:
    before, threads = len([*Path("/proc/self/fd").iterdir()]), threading.active_count()
    for _ in range(3):
        await obeyed(written(tmp_path, {"command": "mute"}))
        ControlStream(str(tmp_path / "commands")).close()
    async with asyncio.timeout(PATIENCE_S):
        while threading.active_count() > threads or len([*Path("/proc/self/fd").iterdir()]) > before:
            await asyncio.sleep(0.01)
