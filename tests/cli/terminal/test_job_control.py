"""A call in a terminal under a shell with job control, and without any: stopped, continued, in the background, quit."""

import contextlib
import os
import pty
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CALL = f"{sys.executable} -m sinchphone call echo --no-audio"
PATIENCE_S = 60.0


class Terminal:
    """A program behind a pseudo terminal of its own."""

    def __init__(self, *command: str) -> None:
        self.pid, self.leader = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm", "PS1": "ready> ", "LC_ALL": "C.UTF-8"}
            os.execv(command[0], command)
        self.seen = ""

    def until(self, pattern: str) -> str:
        """Read until ``pattern`` comes; what came up to its end is forgotten."""
        limit = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < limit, f"{pattern!r} never came: {self.seen!r}"
            if select.select([self.leader], [], [], 1.0)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.leader, 4096).decode(errors="replace")
        text, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return text

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def modes_are_usual(self) -> bool:
        wanted = termios.ECHO | termios.ICANON
        return bool(termios.tcgetattr(self.leader)[3] & wanted == wanted)

    def wait(self) -> int:
        with contextlib.suppress(OSError):  # Linux's way to say that the program has ended
            while raw := os.read(self.leader, 4096):
                self.seen += raw.decode(errors="replace")
        status = os.waitpid(self.pid, 0)[1]
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Hang up, as a terminal does whose window is closed: shells that only get the signal may wait for another key."""
        os.close(self.leader)
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)
            os.waitpid(self.pid, 0)


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    Path("sinchphone.toml").write_text('user = "ada"\n[exchange]\nport = 0\n')
    opened: list[Terminal] = []

    def start(*command: str) -> Terminal:
        opened.append(Terminal(*command))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture
def shell(open_terminal: Callable[..., Terminal]) -> Terminal:
    terminal = open_terminal("/bin/bash", "--norc", "--noprofile", "-i")
    terminal.until("ready> ")
    return terminal


def obeys_keys_until_the_end(terminal: Terminal) -> None:
    terminal.type("m")
    terminal.until("MUTED")
    terminal.type("q")
    terminal.until("you hung up")
    terminal.until("ready> ")


def test_a_stopped_call_gives_the_terminal_back_and_obeys_keys_again_in_the_foreground(shell: Terminal) -> None:
    shell.type(f"{CALL}\n")
    shell.until("established echo 0:")
    shell.type("\x1a")
    assert "\x1b[?25h" in shell.until("Stopped"), "the cursor is back"
    shell.until("ready> ")
    shell.type("stty -a\n")
    settings = shell.until("ready> ")
    assert " icanon" in settings and " echo " in settings
    shell.type("fg\n")
    shell.until("echo 0:")
    obeys_keys_until_the_end(shell)
    shell.type("stty -a\n")
    settings = shell.until("ready> ")
    assert " icanon" in settings and " echo " in settings


def test_a_call_in_the_background_leaves_typing_to_the_shell_and_draws_nothing(shell: Terminal) -> None:
    shell.type(f"{CALL}\n")
    shell.until("established echo 0:")
    shell.type("\x1a")
    shell.until("Stopped")
    shell.until("ready> ")
    shell.type("bg\n")
    shell.until("ready> ")
    for number in range(4):
        shell.type(f"sleep 0.3; echo still$((1+{number})) | tr a-z A-Z\n")
        assert "echo 0:" not in shell.until(f"STILL{number + 1}")
    shell.type("jobs\n")
    shell.until("Running")
    shell.until("ready> ")
    shell.type("fg\n")
    shell.until("echo 0:")
    obeys_keys_until_the_end(shell)


def test_a_call_that_began_in_the_background_gets_keys_once_it_is_in_the_foreground(shell: Terminal) -> None:
    shell.type(f"{CALL} &\n")
    shell.until("connected")
    shell.type("echo still$((1+1)) | tr a-z A-Z\n")
    assert "\x1b[?25l" not in shell.until("STILL2")
    shell.type("fg\n")
    shell.until("echo 0:")
    obeys_keys_until_the_end(shell)


def test_a_call_that_is_stopped_without_being_asked_takes_the_terminal_again(shell: Terminal) -> None:
    shell.type(f"{CALL}\n")
    shell.until("established echo 0:")
    [child] = children(shell.pid)
    os.kill(child, signal.SIGSTOP)
    shell.until("Stopped")
    shell.until("ready> ")
    shell.type("fg\n")
    shell.until("echo 0:")
    obeys_keys_until_the_end(shell)


def test_quitting_by_ctrl_backslash_leaves_the_terminal_as_it_was(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(*CALL.split())
    terminal.until("established echo 0:")
    assert not terminal.modes_are_usual()
    terminal.type("\x1c")
    assert terminal.wait() == -signal.SIGQUIT
    assert terminal.modes_are_usual()
    assert terminal.seen.endswith("\x1b[?25h\x1b[?2004l")


def test_where_there_is_no_job_control_a_stop_that_is_ignored_changes_nothing(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(*CALL.split())  # its process group has no parent in the session: the kernel drops SIGTSTP
    terminal.until("established echo 0:")
    terminal.type("\x1a")
    terminal.until("echo 0:")
    terminal.type("m")
    terminal.until("MUTED")
    terminal.type("q")
    assert terminal.wait() == 0
    assert terminal.modes_are_usual()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
