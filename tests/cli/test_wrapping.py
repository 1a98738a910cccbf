"""Long lines are broken between words, on a terminal alone; in plain mode nothing is redrawn."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from sinchphone.cli.terminal.output.lines import Line, hint_lines
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.text.wrapping import wrapped

HINT = "check the application key, its secret or token, and the user: sinchphone config show"
LIMIT_S = 60.0


class Terminal:
    """The far end of a terminal of so many columns."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._far, near = pty.openpty()
        fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.stream: TextIO = os.fdopen(near, "w", encoding="utf-8")

    def lines(self) -> list[str]:
        """What was written."""
        self.stream.flush()
        return os.read(self._far, 65536).decode().replace("\r\n", "\n").splitlines()

    def close(self) -> None:
        self.stream.close()
        os.close(self._far)


@pytest.fixture(params=[30, 40, 80, 120])
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    made = Terminal(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("color", [False, True])
def test_a_long_hint_is_broken_between_words(terminal: Terminal, color: bool) -> None:
    Screen(terminal.stream, terminal.stream, color=color).write(hint_lines(HINT))
    written = terminal.lines()
    assert all(len(line) <= terminal.columns for line in written)
    assert " ".join(" ".join(written).split()) == f"hint: {HINT}"


def test_results_on_a_terminal_are_broken_between_words_below_where_they_began(terminal: Terminal) -> None:
    Screen(terminal.stream, terminal.stream).write([Line(f"{'':10}hint: {HINT}", result=True)])
    written = terminal.lines()
    assert all(line.startswith(" " * 10) for line in written)
    assert " ".join(" ".join(written).split()) == f"hint: {HINT}"


def test_a_word_longer_than_the_line_stays_whole() -> None:
    made = Terminal(30)
    try:
        url = "https://example.org/" + "x" * 60
        assert url in wrapped(f"see {url} about it", made.stream).splitlines()[1]
    finally:
        made.close()


def test_a_pipe_or_a_file_gets_the_line_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        assert wrapped(HINT * 3, file) == HINT * 3
    assert wrapped(HINT * 3, io.StringIO()) == HINT * 3


@pytest.mark.parametrize("how", ["--plain", "SINCHPHONE_PLAIN"])
def test_in_plain_mode_nothing_is_redrawn_and_every_line_is_whole(how: str) -> None:
    Path("sinchphone.toml").write_text("[exchange]\nport = 0\n")
    far, near = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "SINCHPHONE_BACKGROUND": "false", **({} if how == "--plain" else {how: "true"})}
    words = [
        "call",
        "echo",
        "--no-audio",
        "--tone",
        "440",
        "--max-duration",
        "1.5s",
        "--color",
        "never",
        *(["--plain"] if how == "--plain" else []),
    ]
    with subprocess.Popen([sys.executable, "-m", "sinchphone", *words], env=environ, stdin=near, stdout=near, stderr=near) as running:
        os.close(near)
        seen = b""
        try:
            while part := os.read(far, 65536):
                seen += part
        except OSError:  # the end, on Linux
            pass
        assert running.wait(LIMIT_S) == 0
    os.close(far)
    text = seen.decode()
    assert "\x1b" not in text and "\r" not in text.replace("\r\n", "")
    assert "connected" in text and "ended after" in text
