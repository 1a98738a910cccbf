"""``sinchphone help``: pages from the package, for terminals and for pipes."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.commands.help import read_page, topics
from tests.programs import SINCHPHONE

Run = Callable[..., Any]
EXPECTED = {
    *("phones", "trunk", "kamailio", "backend", "json", "exit-codes", "python", "logging", "architecture", "configuration"),
    *("how-fast", "security", "changelog"),
}


def on_a_terminal(*arguments: str, **environment: str) -> str:
    pid, leader = pty.fork()
    if not pid:
        os.execve(sys.executable, [*SINCHPHONE, *arguments], {**os.environ, "TERM": "xterm-256color", "COLUMNS": "90", **environment})
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65_536)
        except OSError:  # Linux: the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return shown.decode()


def test_without_a_topic_it_lists_them_with_a_line_each(sinchphone: Run) -> None:
    ran = sinchphone("help")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines] == topics() == sorted(topics())
    assert set(topics()) >= EXPECTED
    assert all(re.fullmatch(r"\S+ {2,}\S.{10,}", line) for line in lines)


def test_in_a_pipe_it_is_plain_markdown_without_what_only_the_tests_read(sinchphone: Run) -> None:
    for topic in topics():
        out = sinchphone("help", topic).out
        assert out.startswith("# ")
        assert "\x1b" not in out and "<!--" not in out
        assert out == read_page(topic).text


def test_on_a_terminal_it_is_set_for_reading() -> None:
    shown = on_a_terminal("help", "trunk")
    assert "\x1b[" in shown
    text = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert "# A trunk" not in text and "A trunk" in text
    assert "](" not in text and "`" not in text
    assert max(map(len, text.replace("\r", "").splitlines())) <= 90


def test_a_terminal_without_colours_gets_none() -> None:
    assert re.findall(r"\x1b\[[\d;]*m", on_a_terminal("help", "trunk", "--color", "never")) == []
    assert re.findall(r"\x1b\[(?:[39]\d|38)", on_a_terminal("help", "trunk", NO_COLOR="1")) == []


def test_links_on_a_terminal_are_commands_that_can_be_typed() -> None:
    assert "sinchphone help trunk" in " ".join(re.sub(r"\x1b\[[\d;]*m", "", on_a_terminal("help", "phones")).split())


@pytest.mark.parametrize(("word", "meant"), [("trnk", "trunk"), ("exitcodes", "exit-codes"), ("KAMAILIO", "kamailio"), ("lisen", "listen")])
def test_an_unknown_topic_is_a_usage_error_that_names_the_nearest(sinchphone: Run, word: str, meant: str) -> None:
    ran = sinchphone("help", word)
    assert (ran.code, ran.out) == (2, "")
    assert f"did you mean {meant}?" in ran.err


def test_a_topic_that_is_like_no_other_is_not_guessed(sinchphone: Run) -> None:
    ran = sinchphone("help", "../../etc/passwd")
    assert ran.code == 2
    assert "did you mean" not in ran.err


def test_the_name_of_a_command_shows_its_help(sinchphone: Run) -> None:
    assert sinchphone("help", "call").out == sinchphone("call", "--help").out


def test_the_help_of_everything_points_here(sinchphone: Run) -> None:
    assert "sinchphone help" in sinchphone("--help").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_topics(shell: str) -> None:
    environ = {
        **os.environ,
        "_SINCHPHONE_COMPLETE": f"complete_{shell}",
        **{"COMP_WORDS": "sinchphone help kam", "COMP_CWORD": "2", "_TYPER_COMPLETE_ARGS": "sinchphone help kam"},
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(SINCHPHONE, capture_output=True, text=True, timeout=60, env=environ, check=False)
    assert "kamailio" in done.stdout
    assert "trunk" not in done.stdout


def test_the_pages_and_the_licence_are_part_of_the_package() -> None:
    package = resources.files("sinchphone")
    assert all(package.joinpath("docs", f"{topic}.md").is_file() for topic in topics())
    assert "Apache License" in package.joinpath("LICENSE").read_text()


def test_a_configuration_that_cannot_be_read_keeps_nobody_from_reading_about_it(tmp_path: Path, sinchphone: Run) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("= no")
    assert sinchphone("--config", str(broken), "help", "configuration").code == 0
