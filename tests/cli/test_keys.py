import asyncio
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from sinchphone.cli.terminal.keys import Keys

# A terminal whose foreground job we are needs a session of its own, so each of these programs runs behind a pty.
PROGRAM = """
import asyncio, os, signal, sys, termios
from sinchphone.cli.terminal.keys import Keys
async def main():
    with Keys(sys.stdin) as keys:
        print("usable" if keys.usable else "not usable", flush=True)
        while True:
            key = await keys.press()
            print("key", repr(key), flush=True)
            if key == "q":
                return
            if key == "!":
                raise ValueError("oops")
try:
    asyncio.run(main())
except (ValueError, KeyboardInterrupt) as error:
    print(type(error).__name__, flush=True)
modes = termios.tcgetattr(0)[3]
print("restored" if modes & termios.ICANON and modes & termios.ECHO else "spoilt", flush=True)
"""


ASKING = """
import asyncio, sys
from sinchphone.cli.terminal.keys import Keys
async def main():
    with Keys(sys.stdin) as keys:
        print(keys.usable)
asyncio.run(main())
"""


class Behind:
    """A program behind a pseudo terminal."""

    def __init__(self, program: str) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, [sys.executable, "-c", program])
        self.seen = ""

    def until(self, text: str) -> None:
        while text not in self.seen:
            try:
                raw = os.read(self.terminal, 1024)
            except OSError:  # the program ended
                raw = b""
            assert raw, f"{text!r} never came: {self.seen!r}"
            self.seen += raw.decode()

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def end(self) -> int:
        os.close(self.terminal)
        return os.waitpid(self.pid, 0)[1]


@pytest.fixture
def behind() -> Iterator[Behind]:
    program = Behind(PROGRAM)
    yield program
    program.end()


def test_each_key_comes_at_once_without_echo_and_the_terminal_is_given_back(behind: Behind) -> None:
    behind.until("usable")
    behind.type("a")
    behind.until("key 'a'")
    behind.type("\r?")
    behind.until("key '?'")
    assert r"key '\n'" in behind.seen
    behind.type("q")
    behind.until("restored")


def test_arrows_are_no_letters(behind: Behind) -> None:
    behind.until("usable")
    behind.type("\x1b[A")
    behind.type("x")
    behind.until("key 'x'")
    assert "'A'" not in behind.seen
    behind.type("q")
    behind.until("restored")


def test_a_reply_of_the_terminal_in_two_reads_is_no_key(behind: Behind) -> None:
    behind.until("usable")
    behind.type("\x1b]11;rgb:aaaa/")
    time.sleep(0.2)
    behind.type("xxxx/ffff\x1b\\")
    behind.type("\x1b")
    time.sleep(0.05)
    behind.type("Oq7")
    behind.until("key '7'")
    assert behind.seen.count("key '") == 1
    behind.type("q")
    behind.until("restored")


def test_what_is_pasted_is_one_thing_and_the_terminal_is_asked_to_say_so_until_we_leave(behind: Behind) -> None:
    behind.until("usable")
    behind.type("\x1b[200~12q\x1b[201~")
    behind.until("key Paste(text='12q', dropped=0)")
    behind.type("q")
    behind.until("restored")
    assert [behind.seen.count(mode) for mode in ("\x1b[?2004h", "\x1b[?2004l")] == [1, 1]


def test_the_terminal_is_given_back_after_a_bug(behind: Behind) -> None:
    behind.until("usable")
    behind.type("!")
    behind.until("ValueError")
    behind.until("restored")


def test_ctrl_c_is_still_a_signal_and_the_terminal_is_given_back(behind: Behind) -> None:
    behind.until("usable")
    behind.type("\x03")
    behind.until("KeyboardInterrupt")
    behind.until("restored")


async def test_without_a_terminal_nothing_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"q")
    with os.fdopen(reading) as stream, Keys(stream) as keys:
        assert not keys.usable and not keys.expected
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keys.press(), 0.05)
    os.close(writing)


@pytest.mark.parametrize("stream", [None])
async def test_no_standard_input_at_all_is_no_terminal(stream: TextIO | None) -> None:
    with Keys(stream) as keys:
        assert not keys.usable


def test_in_the_background_the_terminal_is_left_alone() -> None:
    leader, follower = pty.openpty()
    before = termios.tcgetattr(follower)
    done = subprocess.run([sys.executable, "-c", ASKING], stdin=follower, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"  # it's no job of that terminal
    assert termios.tcgetattr(follower) == before
    os.close(leader)
    os.close(follower)
