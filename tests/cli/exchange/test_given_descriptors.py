"""A descriptor on the command line that nobody gave: refused, and nothing of ours is written to."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 60


def sinchphone(home: Path, *arguments: str, given: tuple[int, ...] = ()) -> "subprocess.CompletedProcess[str]":
    environment = {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-m", "sinchphone", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False, pass_fds=given
    )


@pytest.mark.parametrize("option", ["--pipe-out", "--pipe-in"])
@pytest.mark.parametrize("number", [3, 6, 13])
def test_one_that_was_never_given_is_a_usage_error(tmp_path: Path, option: str, number: int) -> None:
    ran = sinchphone(tmp_path, "call", "echo", "--no-audio", option, f"fd:{number}", "--max-duration", "1s")
    assert ran.returncode == 2
    assert "not given" in ran.stderr
    assert not list(tmp_path.rglob("history.db")), "nothing was opened"


@pytest.mark.parametrize("path", ["fd:1", "fd:2"])
def test_sound_does_not_mix_with_the_result(tmp_path: Path, path: str) -> None:
    ran = sinchphone(tmp_path, "call", "echo", "--no-audio", "--pipe-out", path)
    assert ran.returncode == 2
    assert "may not mix" in ran.stderr


def test_standard_input_is_read_by_one_only(tmp_path: Path) -> None:
    ran = sinchphone(tmp_path, "call", "echo", "--no-audio", "--pipe-in", "fd:0", "--play", "-")
    assert ran.returncode == 2


def test_what_was_given_gets_the_sound_and_the_history_stays_whole(tmp_path: Path) -> None:
    heard = (tmp_path / "heard.raw").open("wb")
    with heard:
        port = ("--max-duration", "2s", "--config", str(tmp_path / "config.toml"))
        (tmp_path / "config.toml").write_text("[exchange]\nport = 0\n")
        ran = sinchphone(tmp_path, "call", "tone", "--no-audio", "--pipe-out", f"fd:{heard.fileno()}", *port, given=(heard.fileno(),))
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "heard.raw").stat().st_size > 48_000
    for database in tmp_path.rglob("history.db"):
        with sqlite3.connect(database) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
