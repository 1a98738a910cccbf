"""Every block of every page that can run here runs, as a reader would run it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest

from sinchphone.config import load
from tests.docs.dockit.pages import DIRECTIONS, Block, blocks
from tests.docs.dockit.shell import Shell, conversation, far_level, fits

BLOCKS = list(blocks())
NOT_RUN = ("text", "json", "toml", "kamailio", "dockerfile", "yaml")  # the last two: test_recipes
READERS = ("$du", "list_file", "listen=", "alias=", 'password";')  # lines with addresses, files and passwords of the reader's
INSIDE = """
import asyncio
from sinchphone import *

async def example(local, client):
{body}

async def main():
    async with Local() as local, SinchClient("ada", local) as client:
        await asyncio.wait_for(example(local, client), 60)

asyncio.run(main())
"""


def _of(*languages: str, marked: bool = False) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages and bool(block.all("not run")) is marked]


def _prepare(block: Block, shell: Shell) -> None:
    missing = [program for line in block.all("needs") for program in line.split() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs the package {missing[0]}")
    for line in block.all("runs with"):
        for name in line.split():
            shell.sound_file(name)
    for command in block.all("before"):
        done = shell.bash(command)
        assert done.returncode == 0, done.stdout


def _run(block: Block, shell: Shell, *command: str) -> None:
    """The block's program by itself, or ended after what its direction says."""
    with ExitStack() as stack:
        for beside in block.all("beside"):
            stack.enter_context(shell.beside(*shlex.split(beside)))
        if not (afterwards := block.all("after")):
            done = shell.run(*command)
            assert done.returncode == 0, done.stdout
            return
        said = stack.enter_context(shell.beside(*command, speaks=False))
        for line in afterwards:
            shell.succeeds_soon(line, said)
    for recording in shell.folder.glob("*.wav"):
        assert far_level(recording) > -50.0


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_says_what_it_is_and_where_it_cannot_run_why(block: Block) -> None:
    assert block.language in ("sh", "console", "python", *NOT_RUN)
    assert {name for name, _ in block.directions} <= DIRECTIONS
    assert all(len(reason.split()) > 3 for reason in block.all("not run"))


@pytest.mark.parametrize("block", _of("sh"), ids=str)
def test_a_script_runs(block: Block, shell: Shell) -> None:
    _prepare(block, shell)
    _run(block, shell, "bash", "-euo", "pipefail", "-c", shell.adapt(block.text))


@pytest.mark.parametrize("block", _of("console"), ids=str)
def test_commands_say_what_the_page_says(block: Block, shell: Shell) -> None:
    _prepare(block, shell)
    with ExitStack() as stack:
        for beside in block.all("beside"):
            stack.enter_context(shell.beside(*shlex.split(beside)))
        for command, expected in conversation(block.text):
            said = shell.bash(command).stdout.splitlines()
            assert len(said) == len(expected), "\n".join(said)
            assert [pair for pair in zip(said, expected, strict=True) if not fits(*pair)] == []


@pytest.mark.parametrize("block", _of("python"), ids=str)
def test_a_program_runs(block: Block, shell: Shell) -> None:
    _prepare(block, shell)
    if block.all("pytest"):
        (shell.folder / "test_example.py").write_text(block.text)
        _run(block, shell, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py")
    elif block.all("inside"):
        _run(block, shell, *shell.python(INSIDE.format(body=textwrap.indent(block.text, "    "))))
    else:
        _run(block, shell, *shell.python(block.text))


@pytest.mark.parametrize("block", _of("toml"), ids=str)
def test_a_configuration_can_be_read(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(block.text)
    assert load(file=file, environ={}).files == (file,)


@pytest.mark.parametrize("block", _of("kamailio"), ids=str)
def test_kamailio_is_told_what_the_tests_of_it_tell_it(block: Block) -> None:
    files = (Path(__file__).parents[1] / "peers" / "peerkit" / name for name in ("kamailio.py", "dispatcher.py"))
    kit = "".join(file.read_text() for file in files)
    tested = " ".join(kit.replace("{{", "{").replace("}}", "}").split())
    for line in block.text.splitlines():
        if module := re.fullmatch(r'loadmodule "(\w+)\.so"', line):
            assert f'"{module[1]}"' in tested
        elif not any(word in line for word in READERS):
            assert " ".join(line.split()) in tested


@pytest.mark.parametrize("block", _of("kamailio"), ids=str)
def test_kamailio_takes_the_file(block: Block, tmp_path: Path) -> None:
    if (kamailio := shutil.which("kamailio", path=f"{os.environ['PATH']}:/usr/sbin")) is None:
        pytest.skip("needs the package kamailio")
    (tmp_path / "kamailio.cfg").write_text(block.text)
    done = subprocess.run([kamailio, "-c", "-f", tmp_path / "kamailio.cfg", "-w", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", _of("sh", marked=True), ids=str)
def test_a_script_that_is_not_run_is_a_script(block: Block) -> None:
    if shutil.which("bash") is None:
        pytest.skip("needs the package bash")
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
