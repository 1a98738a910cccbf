"""The README is short, has its parts in their order, and names every command. What it says is run by ``tests/docs``."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.app import whole_command

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = list(dict.fromkeys(re.findall(r"^\| `sinchphone ([a-z-]+)", README, re.MULTILINE)))
MAX_CHARACTERS = 10_000
PARTS = [
    *("Install", "Two terminals", "Commands", "A script", "A test with pytest", "Your own app or backend"),
    *("What is not there", "Test", "More", "Licence"),
]


def test_it_is_short() -> None:
    assert len(README) <= MAX_CHARACTERS


def test_it_has_its_parts_in_their_order() -> None:
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == PARTS
    opening = README.split("## Install")[0]
    assert "](sinchphone/docs/call.svg)" in opening and "headset" in opening


def test_the_table_names_every_command_and_no_other_in_the_order_of_the_help() -> None:
    group: Any = whole_command()
    assert list(group.commands) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_table_has_help(command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "sinchphone", command, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_what_installs_it_needs_no_published_package() -> None:
    assert re.findall(r"pipx? install ((?:-\S+ )*)(\S+)", README) == [("-q ", "."), ("", "."), ("-q -e ", "'.[test]'")]


def test_the_licence_is_where_the_project_says() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["sinchphone/LICENSE"]
    text = (ROOT / "sinchphone" / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert PROJECT["authors"] == [{"name": "sinchphone maintainers"}]
    assert not [one for one in PROJECT["classifiers"] if one.startswith("License ::")], "PEP 639: the expression says it"
