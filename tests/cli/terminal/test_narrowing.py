"""A real terminal that reflows its lines: tmux."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")

DRAWING = """
import sys, time
from sinchphone.cli.terminal.screen.status_line import KEYS_IN_CALL, Status, StatusLine
for number in range(30):
    print("above", number, flush=True)
line = StatusLine(sys.stderr)
for second in range(600):
    line.draw(Status("established", "echo", second / 10, -10, -10, keys=KEYS_IN_CALL))
    time.sleep(0.1)
"""


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., str]]:
    def run(*arguments: str) -> str:
        command = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    (tmp_path / "drawing.py").write_text(DRAWING)
    run("new-session", "-d", "-x", "120", "-y", "10", f"LC_ALL=C.UTF-8 {sys.executable} {tmp_path / 'drawing.py'}")
    yield run
    run("kill-server")


def shown(tmux: Callable[..., str], done: Callable[[list[str]], bool]) -> list[str]:
    limit = time.monotonic() + 30
    while True:
        lines = [line for line in tmux("capture-pane", "-p", "-S", "-").splitlines() if line]
        if done(lines) or time.monotonic() > limit:
            return lines
        time.sleep(0.1)


def test_narrowing_and_widening_leave_one_status_line_below_what_was_written(tmux: Callable[..., str]) -> None:
    above = [f"above {number}" for number in range(30)]
    assert "established echo" in shown(tmux, lambda lines: len(lines) == 31)[-1]
    for columns in (90, 70, 60, 40, 30, 20, 100, 50):
        tmux("resize-window", "-x", str(columns), "-y", "10")
        time.sleep(0.5)  # more than two redraws
        lines = shown(tmux, lambda lines: len(lines) == 31)
        assert lines[:30] == above
        assert len(lines) == 31, lines
        assert "echo 0:" in lines[30]
