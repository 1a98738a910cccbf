"""``sinchphone listen`` under a service manager: its unit, its readiness, its levels."""

import os
import plistlib
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from sinchphone.cli.commands.help import read_page
from sinchphone.cli.terminal.output.lines import Line
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.service import READY, STOPPING, notify, with_level

LIMIT_S = 60.0
BLOCKS = re.findall(r"```text\n(.*?)```", read_page("service").text, re.DOTALL)
UNIT = next(block for block in BLOCKS if block.startswith("[Unit]"))
LAUNCHD = next(block for block in BLOCKS if block.startswith("<?xml"))


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs the package systemd")
    program = tmp_path / "sinchphone"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "sinchphone.service"
    unit.write_text(UNIT.replace("%h/.local/bin/sinchphone", str(program)))
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = ["systemd-analyze", "--user", "verify", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environ, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "sinchphone" in line]) == (0, [])


def test_the_unit_makes_the_folder_that_it_records_to() -> None:
    [folder] = re.findall(r"^ExecStart=.* --record %S/(\S+)/\S+$", UNIT, re.MULTILINE)
    assert f"StateDirectory={folder}\n" in UNIT


def test_the_units_program_and_the_launchd_file_run_options_that_exist() -> None:
    from sinchphone.cli.command_line import command_line

    read = plistlib.loads(LAUNCHD.encode())
    assert read["Label"] == "sinchphone.listen" and read["KeepAlive"] == {"SuccessfulExit": False}
    started = re.search(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    assert started is not None
    for words in (started[1].split(), read["ProgramArguments"]):
        assert words[0].endswith("/sinchphone")
        assert command_line([*words[1:], "--help"]) == 0


@pytest.mark.parametrize("abstract", [False, True])
def test_a_manager_that_waits_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"sinchphone-test-{os.getpid()}"
    address = f"\0{name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        assert notify(READY, {"NOTIFY_SOCKET": f"@{name}" if abstract else address})
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("value", [None, "", "relative", "/nowhere/at/all", "@", "vsock:2:3"])
def test_nobody_is_told_and_nothing_fails_where_nobody_waits(value: str | None) -> None:
    assert not notify(STOPPING, {} if value is None else {"NOTIFY_SOCKET": value})


def test_who_listens_is_ready_once_calls_can_come_and_says_when_it_stops(tmp_path: Path) -> None:
    Path("sinchphone.toml").write_text("[exchange]\nport = 0\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LIMIT_S)
        environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "SINCHPHONE_BACKGROUND": "false"}
        command = [sys.executable, "-m", "sinchphone", "listen", "--auto-answer", "--no-audio"]
        with subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
            assert manager.recv(100) == READY.encode()
            running.terminate()
            assert manager.recv(100) == STOPPING.encode()
            _, said = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 143
    assert "is waiting for calls" in said


@pytest.mark.parametrize(
    ("text", "level"),
    [("error: no network", 3), ("warning: muted", 4), ("debug sinchphone.x: y", 7), ("ringing", 6), ("warning sinchphone: z", 4)],
)
def test_each_line_has_its_level(text: str, level: int) -> None:
    assert with_level(text) == f"<{level}>{text}"


@pytest.mark.parametrize("journal", [True, False])
def test_levels_are_written_to_the_journal_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: bool) -> None:
    with (tmp_path / "log").open("w+") as log:
        seen = os.fstat(log.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{seen.st_dev}:{seen.st_ino + (not journal)}")
        stream: TextIO = log
        Screen(None, stream).write([Line("warning: careful", always=True)])
        log.seek(0)
        assert log.read() == ("<4>" if journal else "") + "warning: careful\n"
