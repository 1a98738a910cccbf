"""Commands are imported when they run, and what the table says of them is true."""

import json
import subprocess
import sys
from typing import Any

import pytest

from sinchphone.cli.app import COMMANDS, whole_command
from sinchphone.options import KEYS

GROUP: Any = whole_command()
PROGRAM = """
import json, sys
from sinchphone.cli.command_line import command_line
command_line(sys.argv[1:])
print(json.dumps([name for name in sys.modules if name.startswith("sinchphone.cli.commands.")]))
"""


def loaded(*arguments: str, **environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=60, env={"PATH": "", **environ}, check=True
    )
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return [name.removeprefix("sinchphone.cli.commands.") for name in found]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_planned_command_is_there_under_its_name(name: str) -> None:
    command = GROUP.commands[name]
    assert command.name == name
    assert command.help


@pytest.mark.parametrize("planned", COMMANDS.items(), ids=lambda item: item[0])
def test_its_line_fits_a_terminal(planned: Any) -> None:
    name, one = planned
    assert len(one.words) <= 80 - 4 - max(map(len, COMMANDS)), name
    assert one.words.endswith(".")


def test_help_and_completion_of_a_name_import_no_command() -> None:
    assert loaded("--help") == []
    assert loaded("--version") == []
    assert loaded(_SINCHPHONE_COMPLETE="complete_bash", COMP_WORDS="sinchphone c", COMP_CWORD="1") == []


@pytest.mark.parametrize(("arguments", "module"), [(("call-user", "--help"), "call"), (("verify", "--help"), "verify")])
def test_a_command_imports_no_other(arguments: tuple[str, ...], module: str) -> None:
    assert loaded(*arguments) == [module]


def test_an_unknown_command_is_refused_with_one_that_is_near(sinchphone: Any) -> None:
    ran = sinchphone("histroy")
    assert (ran.code, "history" in ran.err) == (2, True)


def test_the_root_says_of_colours_what_the_key_says() -> None:
    [color] = [parameter for parameter in GROUP.params if parameter.name == "color"]
    assert color.help.rstrip(".").lower() == KEYS["color"].help
    assert GROUP.commands["help"].params[1].help.startswith(color.help)


def test_the_root_checks_a_colour_as_the_key_does(sinchphone: Any) -> None:
    assert sinchphone("--color", "blue", "config", "path").code == 2
    assert sinchphone("--color", "never", "config", "path").code == 0
