"""``config init`` asks at a terminal, and nowhere else."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.commands.setup.config_questions import asked
from sinchphone.config import load, login_name
from sinchphone.options import example

LIMIT_S = 60.0


def answers(*given: str) -> tuple[dict[str, str], list[str]]:
    left, complaints = list(given), list[str]()
    return asked(lambda question, default: left.pop(0) or default, complaints.append), complaints


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (("", "", "", ""), {"user": login_name()}),
        (("local", "ada", "usb", "2"), {"user": "ada", "audio.input": "usb", "audio.output": "2"}),
        (
            ("cloud", "key", "pass show sinch", "", "ada", "", ""),
            {"environment": "cloud", "application_key": "key", "secret_command": "pass show sinch", "user": "ada"},
        ),
        (
            ("cloud", "key", "", "~/secret", "+46700000000", "ada", "", ""),
            {"environment": "cloud", "application_key": "key", "secret_file": "~/secret", "caller_id": "+46700000000", "user": "ada"},
        ),
    ],
)
def test_the_answers_become_keys_that_can_be_read(given: tuple[str, ...], kept: dict[str, str], tmp_path: Path) -> None:
    found, complaints = answers(*given)
    assert (found, complaints) == (kept, [])
    file = tmp_path / "config.toml"
    file.write_text(example(found))
    configuration = load(file=file)
    assert {name for name in kept if configuration.source(name) == str(file)} == set(kept)


def test_an_answer_that_the_key_refuses_is_asked_for_again() -> None:
    found, complaints = answers("moon", "local", "", "", "")
    assert "environment" not in found
    assert complaints == ["environment must be one of local, cloud"]


def test_without_a_terminal_nothing_is_asked(sinchphone: Callable[..., Any], nobodys_machine: Path) -> None:
    ran = sinchphone("config", "init")
    assert (ran.code, ran.err) == (0, "")
    assert Path(ran.out.strip()).read_text() == example()


def test_at_a_terminal_it_asks_and_writes_what_was_answered(nobodys_machine: Path) -> None:
    far, near = pty.openpty()
    command = [sys.executable, "-m", "sinchphone", "config", "init"]
    with subprocess.Popen(command, stdin=near, stderr=near, stdout=subprocess.PIPE, text=True) as running:
        os.write(far, b"local\nada\nusb headset\n\n")
        out, _ = running.communicate(timeout=LIMIT_S)
        assert running.returncode == 0
    os.close(near)
    os.close(far)
    file = Path(out.strip())
    assert 'user = "ada"\n' in file.read_text() and 'input = "usb headset"\n' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
