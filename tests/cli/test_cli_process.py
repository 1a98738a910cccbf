"""The command line as a person and a shell run it: processes of their own, the real exchange, pipes, signals, a terminal."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from sinchphone.config import user_file
from tests.programs import SINCHPHONE, start, until_said


def write_user_file(text: str) -> None:
    """The user's own file, and no other: a project's may not set the port."""
    Path("sinchphone.toml").unlink(missing_ok=True)
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


LIMIT = 60.0


@pytest.fixture(autouse=True)
def own_exchange(nobodys_machine: Path) -> None:
    """A free port, so that nobody else's exchange is found."""
    Path("sinchphone.toml").write_text('user = "ada"\n[exchange]\nport = 0\n')


def ends(out: str) -> str:
    """How the one call of ``out`` ended, without its length: that depends on the machine."""
    (line,) = out.splitlines()
    match = re.fullmatch(r"ended after 0:\d\d: (.+)", line)
    assert match, line
    return match[1]


def test_calling_the_echo_on_a_fresh_machine_ends_by_itself_and_reports_what_was_heard() -> None:
    done = start("call", "echo", env={**os.environ, "PULSE_SERVER": "none", "HOME": str(Path.cwd())})
    out, err = done.communicate(timeout=LIMIT)
    if "checking the line" not in err:
        pytest.skip("this machine has a sound device")
    assert out.splitlines()[0].startswith("heard the echo: yes, 0.")
    assert (done.returncode, ends(out.splitlines()[1])) == (0, "the check is done")


def test_a_script_that_is_interrupted_hangs_up_and_ends_with_130() -> None:
    call = start("call", "echo", "--no-audio", "--json")
    until_said(call.stdout, "call.established")
    call.send_signal(signal.SIGINT)
    out, err = call.communicate(timeout=LIMIT)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in lines][-2:] == ["call.ended", "result"]
    assert (lines[-1]["exit_code"], call.returncode) == (130, 130)
    assert lines[-1]["calls"][0]["cause"] == "hung_up"
    assert err == ""


def test_sigterm_hangs_up_and_ends_with_143() -> None:
    call = start("call", "no-answer", "--no-audio")
    until_said(call.stderr, "ringing")
    call.send_signal(signal.SIGTERM)
    out, _ = call.communicate(timeout=LIMIT)
    assert (call.returncode, out) == (143, "ended: terminated\n")


def test_ctrl_c_twice_leaves_at_once_and_still_gives_one_result() -> None:
    call = start("call", "echo", "--no-audio", "--json")
    until_said(call.stdout, "call.established")
    began = time.monotonic()
    call.send_signal(signal.SIGINT)
    call.send_signal(signal.SIGINT)
    out, _ = call.communicate(timeout=LIMIT)
    assert call.returncode == 130
    assert [json.loads(line)["event"] for line in out.splitlines()].count("result") == 1
    assert time.monotonic() - began < 5


def test_a_reader_that_goes_away_ends_the_call_quietly() -> None:
    call = start("call", "echo", "--no-audio", "--json")
    assert call.stdout is not None
    until_said(call.stdout, "call.established")
    call.stdout.close()
    assert call.wait(LIMIT) == 0
    assert call.stderr is not None
    assert call.stderr.read() == ""


def test_two_terminals_talk() -> None:
    host = start("exchange", env={**os.environ})
    port = until_said(host.stdout, "exchange http").strip().rpartition(":")[2]
    write_user_file(f"[exchange]\nport = {port}\n")
    listener = start("listen", "--user", "bob", "--auto-answer", "--once", "--no-audio")
    until_said(listener.stderr, "waiting for calls")
    call = start("call", "bob", "--user", "ada", "--no-audio", "--max-duration", "1s")
    out, _ = call.communicate(timeout=LIMIT)
    assert (call.returncode, ends(out)) == (0, "the time is up")
    out, _ = listener.communicate(timeout=LIMIT)
    assert (listener.returncode, ends(out)) == (0, "ada hung up")
    host.send_signal(signal.SIGINT)
    out, _ = host.communicate(timeout=LIMIT)
    assert host.returncode == 0
    assert "secret" not in out


class Terminal:
    """A program behind a pseudo terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self._leader = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, [*SINCHPHONE, *arguments])
        self.seen = ""

    def until(self, text: str) -> None:
        while text not in self.seen:
            self.seen += os.read(self._leader, 4096).decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._leader)[3] & termios.ECHO)

    def end(self) -> int:
        try:
            while chunk := os.read(self._leader, 4096):
                self.seen += chunk.decode(errors="replace")
        except OSError:  # the program has ended
            pass
        modes_are_back = self.echoes()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._leader)
        assert modes_are_back
        assert "\x1b[?25h" in self.seen or "\x1b[?25l" not in self.seen  # the cursor too
        return code


@pytest.mark.parametrize(("more", "code"), [((), 0), (("--once",), 130)])
def test_ctrl_c_at_a_terminal_is_how_listening_ends_unless_a_call_was_wanted(more: tuple[str, ...], code: int) -> None:
    terminal = Terminal("listen", "--user", "bob", "--no-audio", *more)
    terminal.until("Ctrl-C ends")
    terminal.type("\x03")
    assert terminal.end() == code


def test_at_a_terminal_q_hangs_up() -> None:
    terminal = Terminal("call", "echo", "--no-audio")
    terminal.until("established echo 0:")
    terminal.type("?")
    terminal.until("q hang up   m mute")
    terminal.type("m")
    terminal.until("MUTED")
    terminal.type("q")
    assert terminal.end() == 0
    assert "ended after 0:0" in terminal.seen
    assert "you hung up" in terminal.seen


def test_the_keys_of_a_group_are_told_where_there_are_any() -> None:
    terminal = Terminal("group", "standup", "--no-audio")
    terminal.until("m mutes, q leaves")
    terminal.type("q")
    assert terminal.end() == 0
    command = [*SINCHPHONE, "group", "standup", "--no-audio", "--max-duration", "1s"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL, check=False)
    assert "in the group standup" in ran.stderr and "q leaves" not in ran.stderr


def test_at_a_terminal_ctrl_c_in_an_established_call_is_a_normal_end() -> None:
    terminal = Terminal("call", "echo", "--no-audio")
    terminal.until("established echo")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert "hanging up" in terminal.seen


def test_at_a_terminal_ctrl_c_while_it_rings_ends_with_130() -> None:
    terminal = Terminal("call", "no-answer", "--no-audio")
    terminal.until("ringing no-answer")
    terminal.type("\x03")
    assert terminal.end() == 130


def test_at_a_terminal_a_call_is_answered_by_a_key() -> None:
    host = start("exchange")
    port = until_said(host.stdout, "exchange http").strip().rpartition(":")[2]
    write_user_file(f"[exchange]\nport = {port}\n")
    terminal = Terminal("listen", "--user", "bob", "--once", "--no-audio")
    terminal.until("waiting for calls")
    call = start("call", "bob", "--user", "ada", "--no-audio")
    terminal.until("a or Enter answer")
    terminal.type("a")
    terminal.until("established ada")
    terminal.type("q")
    assert terminal.end() == 0
    out, _ = call.communicate(timeout=LIMIT)
    assert (call.returncode, ends(out)) == (0, "bob hung up")
    host.send_signal(signal.SIGTERM)
    host.communicate(timeout=LIMIT)
    assert host.returncode == 143


def test_without_colours_a_terminal_still_has_timer_meters_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal("call", "echo", "--no-audio")
    terminal.until("established echo 0:0")
    terminal.until("q hang up   m mute   ? help")
    terminal.type("q")
    assert terminal.end() == 0
    assert not re.search("\x1b\\[[0-9;]*m", terminal.seen)


def test_what_a_c_library_prints_doesnt_reach_the_terminal() -> None:
    program = (
        "import os, sys\n"
        "from sinchphone.cli.terminal.streams import keep_stderr_to_ourselves\n"
        "keep_stderr_to_ourselves()\n"
        "os.write(2, b'ALSA lib pcm.c: noise\\n')\n"
        "print('ours', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "ours\n"
