"""Makes the picture of the README from a real call: ``python tests/docs/dockit/picture.py [FILE.svg]``.

Two terminals with a headset each (null sinks of PulseAudio, into whose microphones a tone is said): alice calls bob, bob answers,
both talk for some seconds. What the two terminals show then is drawn by Rich.
"""

import contextlib
import copy
import fcntl
import importlib.util
import io
import os
import pty
import re
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group
from rich.rule import Rule
from rich.text import Text

ROOT: Final = Path(__file__).parents[3]
PICTURE: Final = ROOT / "sinchphone" / "docs" / "call.svg"
COLUMNS, ROWS = 108, 12
TALK_S, LIMIT_S = 4.0, 60.0
_TITLE: Final = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")  # and notifications: nothing of them is on the screen
_SEQUENCE: Final = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


class Terminal:
    """As much of a terminal as the phone's screen needs: lines, colours, erasing, and the cursor going up."""

    def __init__(self, columns: int = 0) -> None:
        """``columns``: where a line is broken, unless the program asks for the contrary."""
        self._columns = columns
        self._breaks = columns > 0
        self.lines: list[list[tuple[str, str]]] = [[]]
        self._row = self._column = 0
        self._style = ""

    def feed(self, text: str) -> None:
        """Take what a program wrote."""
        at = 0
        while at < len(text):
            if told := _TITLE.match(text, at):
                at = told.end()
            elif sequence := _SEQUENCE.match(text, at):
                self._obey(sequence[1], sequence[2])
                at = sequence.end()
            else:
                self._write(text[at])
                at += 1

    def _obey(self, numbers: str, what: str) -> None:
        if what == "m":
            self._style = "" if numbers in ("", "0") else self._style + f"\x1b[{numbers}m"
        elif what == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif what in "KJ":
            del self.lines[self._row][0 if numbers == "2" else self._column :]
            if what == "J":
                del self.lines[self._row + 1 :]
        elif numbers == "?7":
            self._breaks = what == "h" and self._columns > 0
        else:
            assert what in "hlt", f"a sequence that this terminal doesn't know: {numbers}{what}"

    def _write(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row += 1
            if self._row == len(self.lines):
                self.lines.append([])
        elif character.isprintable():
            if self._breaks and self._column == self._columns:
                self._write("\n")
                self._column = 0
            line = self.lines[self._row]
            line += [(" ", "")] * (self._column - len(line))
            line[self._column : self._column + 1] = [(character, self._style)]
            self._column += 1

    @property
    def text(self) -> str:
        """What it shows, without colours."""
        return "\n".join("".join(character for character, _ in line) for line in self.lines)

    def drawn(self) -> Text:
        """What it shows."""
        return Text.from_ansi("\n".join(map(_colored, self.lines)).rstrip())


def _colored(line: list[tuple[str, str]]) -> str:
    runs = ((style, "".join(character for character, _ in run)) for style, run in groupby(line, lambda cell: cell[1]))
    return "".join(f"{style}{text}\x1b[0m" if style else text for style, text in runs)


class Window:
    """A terminal with a program in it."""

    def __init__(self, command: str, environment: dict[str, str], columns: int = COLUMNS) -> None:
        self.terminal = Terminal(columns)
        self.terminal.feed(f"\x1b[1m$ {command}\x1b[0m\r\n")
        self._pid, self._master = pty.fork()
        if not self._pid:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
            os.execve(sys.executable, [sys.executable, "-m", *command.split()], environment)

    def press(self, key: str) -> None:
        """A key."""
        os.write(self._master, key.encode())

    def read(self, seconds: float) -> None:
        """Take what the program writes for so long."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                return
            try:
                self.terminal.feed(os.read(self._master, 65_536).decode(errors="replace"))
            except OSError:
                return

    def wait_for(self, text: str) -> None:
        """Until it shows that."""
        limit = time.monotonic() + LIMIT_S
        while text not in self.terminal.text:
            assert time.monotonic() < limit, self.terminal.text
            self.read(0.05)

    def wait_for_end(self) -> None:
        """Until the program is over."""
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            if not select.select([self._master], [], [], 1.0)[0]:
                continue
            try:
                self.terminal.feed(os.read(self._master, 65_536).decode(errors="replace"))
            except OSError:  # the end, on Linux
                return
        raise AssertionError(self.terminal.text)

    def kept(self) -> "Window":
        """The same window, with what it shows now."""
        kept = copy.copy(self)
        kept.terminal = Terminal()
        kept.terminal.lines = [list(line) for line in self.terminal.lines]
        return kept

    def close(self) -> None:
        """The end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        self.read(5.0)
        os.close(self._master)
        os.waitpid(self._pid, 0)


def sound_lab() -> Any:
    """The tests' own PulseAudio."""
    spec = importlib.util.spec_from_file_location("sound_lab", ROOT / "tests" / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sound_lab"] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def in_window(command: str, environment: dict[str, str], columns: int = COLUMNS) -> Iterator[Window]:
    """A program in a terminal, until the end."""
    window = Window(command, environment, columns)
    try:
        yield window
    finally:
        window.close()


def call(folder: Path) -> tuple[Terminal, Terminal]:
    """What bob's and alice's terminals show while they talk."""
    with sound_lab().pulseaudio(folder) as lab, lab.mouth(440.0, "mouth"), lab.mouth(600.0, "mouth2"):
        (folder / ".config" / "sinchphone").mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (folder / ".config" / "sinchphone" / "config.toml").write_text(f"[exchange]\nport = {port}\n[audio]\necho_cancel = 'off'\n")
        named = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
        kept = {
            name: value for name, value in lab.environment.items() if not name.startswith(("SINCH", "XDG_C", "XDG_S", "NO_COLOR", "CI"))
        }
        alice, bob = kept | named, kept | named | {"PULSE_SINK": "ear2", "PULSE_SOURCE": "mouth2.monitor"}
        with in_window("sinchphone listen --user bob", bob) as listening:
            listening.wait_for("waiting for calls")
            with in_window("sinchphone call bob --user alice", alice) as calling:
                listening.wait_for("alice calls")
                listening.read(1.0)
                listening.press("a")
                calling.wait_for("connected")
                listening.wait_for("connected")
                for _ in range(int(TALK_S / 0.2)):
                    calling.read(0.1)
                    listening.read(0.1)
                shown = listening.kept().terminal, calling.kept().terminal
                calling.press("q")
                calling.read(1.0)
    return shown


def draw(terminals: tuple[Terminal, Terminal]) -> str:
    """The SVG of the two, one above the other. It loads no font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    above, below = terminals
    console.print(Group(above.drawn(), Rule(style="dim"), below.drawn()))
    svg = console.export_svg(title="sinchphone", unique_id="call")
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL).replace("Fira Code", "monospace")


def main() -> None:
    """Make it."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    with tempfile.TemporaryDirectory() as folder:
        file.write_text(draw(call(Path(folder))), encoding="utf-8")


if __name__ == "__main__":
    main()
