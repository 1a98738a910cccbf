"""Makes the pictures of ``sinchphone help screens`` from real runs: ``python tests/docs/dockit/screens.py [NAME …]``.

::

    programs in terminals of 80 or 120 columns, dark or light  ->  what they show  ->  SVG by Rich, sinchphone/docs/screens/NAME.svg

Headsets are null sinks of a PulseAudio of our own, into whose microphones a tone is said; the exchange is one of our own too.
"""

import contextlib
import io
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))  # run as a program

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from tests.docs.dockit.picture import ROOT, Window, in_window, sound_lab

FOLDER: Final = ROOT / "sinchphone" / "docs" / "screens"
_ANSI: Final = [(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)]
DARK: Final = TerminalTheme((18, 18, 18), (222, 222, 222), _ANSI)
LIGHT: Final = TerminalTheme((255, 255, 255), (34, 34, 34), _ANSI)
SECONDS_OF_TALK: Final = 6.0


@dataclass(frozen=True)
class Look:
    """Of a terminal."""

    columns: int = 80
    light: bool = False
    more: tuple[tuple[str, str], ...] = ()  # of its environment


class Lab:
    """Where the programs run."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    @contextlib.contextmanager
    def window(self, command: str, look: Look, *, ear: str = "ear", mouth: str = "mouth") -> Iterator[Window]:
        """A program in a terminal."""
        named = {"COLORFGBG": "0;15" if look.light else "15;0", "PULSE_SINK": ear, "PULSE_SOURCE": f"{mouth}.monitor"}
        with in_window(command, self._environment | named | dict(look.more), look.columns) as window:
            yield window

    def shown(self, command: str, look: Look) -> Window:
        """What a program has written when it's over."""
        with self.window(command, look) as window:
            window.wait_for_end()
        return window


def incoming(lab: Lab, look: Look) -> list[Window]:
    """Somebody calls."""
    with lab.window("sinchphone listen --user bob", look) as listening:
        listening.wait_for("waiting for calls")
        with lab.window("sinchphone call bob --user alice", look, ear="ear2", mouth="mouth2"):
            listening.wait_for("ringing alice")
            listening.read(1.0)
            shown = listening.kept()
            listening.press("x")
            listening.wait_for("ended")
    return [shown]


def _talk(lab: Lab, look: Look, *keys: str) -> Window:
    with lab.window("sinchphone listen --user bob --auto-answer", look, ear="ear2", mouth="mouth2") as listening:
        listening.wait_for("waiting for calls")
        with lab.window("sinchphone call bob --user alice", look) as calling:
            calling.wait_for("connected")
            for key in keys:
                calling.press(key)
            for _ in range(int(SECONDS_OF_TALK / 0.2)):
                calling.read(0.1)
                listening.read(0.1)
            shown = calling.kept()
            calling.press("q")
            calling.wait_for_end()
    return shown


def call(lab: Lab, look: Look) -> list[Window]:
    """A call."""
    return [_talk(lab, look)]


def statistics(lab: Lab, look: Look) -> list[Window]:
    """A call with its statistics, and what keys do."""
    return [_talk(lab, look, "?", "s")]


def plain(lab: Lab, look: Look) -> list[Window]:
    """A call in plain mode."""
    return [lab.shown("sinchphone call echo --user alice --plain --max-duration 3s", look)]


def room(lab: Lab, look: Look) -> list[Window]:
    """A room with three in it."""
    names = ("ben", "cleo")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(lab.window("sinchphone conference standup --user alice", look))
        first.wait_for("connected")
        others = [
            stack.enter_context(lab.window(f"sinchphone conference standup --user {name}", look, ear="ear2", mouth="mouth2"))
            for name in names
        ]
        for other in others:
            other.wait_for("connected")
        for _ in range(int(SECONDS_OF_TALK / 0.3)):
            for window in (first, *others):
                window.read(0.1)
        return [first.kept()]


def history(lab: Lab, look: Look) -> list[Window]:
    """Calls and messages of the past."""
    quick = "--user alice --no-audio --max-duration 1s"
    lab.shown("sinchphone contacts add mum +46701740605 --user bob", look)
    for command in (
        f"sinchphone call echo {quick}",
        f"sinchphone call busy {quick}",
        f"sinchphone call conf:standup {quick}",
        f"sinchphone call nobody {quick}",
    ):
        lab.shown(command, look)
    with lab.window("sinchphone listen --user alice --no-audio", look) as listening:
        listening.wait_for("waiting for calls")
        lab.shown("sinchphone call alice --user bob --no-audio --ring-timeout 1s", look)
        listening.wait_for("gave up")
    lab.shown("sinchphone send-message bob Lunch-at-noon? --user alice --wait sent", look)
    return [lab.shown("sinchphone history --user alice", look)]


def devices(lab: Lab, look: Look) -> list[Window]:
    """Sound devices."""
    return [lab.shown("sinchphone devices", look)]


def doctor(lab: Lab, look: Look) -> list[Window]:
    """What works here."""
    return [lab.shown("sinchphone doctor --user alice", look)]


def errors(lab: Lab, look: Look) -> list[Window]:
    """What is wrong, and what to do."""
    commands = ("sinchphone call nobody --user alice --no-audio", "sinchphone call 12345", "sinchphone cal echo", "sinchphone +1415")
    return [lab.shown(command, look) for command in commands]


@dataclass(frozen=True)
class Picture:
    """How one is made."""

    make: Callable[[Lab, Look], list[Window]]
    look: Look


_C_LOCALE: Final = (("LC_ALL", "C"),)
PICTURES: Final = {
    "incoming": Picture(incoming, Look()),
    "call": Picture(call, Look(120)),
    "call-light": Picture(call, Look(80, light=True)),
    "statistics": Picture(statistics, Look()),
    "statistics-ascii": Picture(statistics, Look(light=True, more=_C_LOCALE)),
    "room": Picture(room, Look()),
    "history": Picture(history, Look()),
    "devices": Picture(devices, Look(120, light=True)),
    "doctor": Picture(doctor, Look()),
    "errors": Picture(errors, Look()),
    "errors-no-color": Picture(errors, Look(light=True, more=(("NO_COLOR", "1"),))),
    "plain": Picture(plain, Look()),
}


@contextlib.contextmanager
def laboratory(folder: Path) -> Iterator[Lab]:
    """Sound, an exchange, a home."""
    with sound_lab().pulseaudio(folder) as lab, lab.mouth(440.0, "mouth"), lab.mouth(600.0, "mouth2"):
        made = Lab(home(folder, lab.environment))
        with made.window("sinchphone exchange", Look()) as exchange:
            exchange.wait_for("application key")
            yield made


def home(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment of somebody who lives in ``folder``, with an exchange of their own."""
    configured = folder / ".config" / "sinchphone"
    configured.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (configured / "config.toml").write_text(f"[exchange]\nport = {port}\n[audio]\necho_cancel = 'off'\n")
    others = ("SINCH", "XDG_C", "XDG_S", "NO_COLOR", "FORCE_COLOR", "CI", "LC_", "COLORTERM")
    kept = {name: value for name, value in environment.items() if not name.startswith(others)}
    return kept | {"HOME": str(folder), "TERM": "xterm-256color", "LANG": "C.UTF-8"}


def drawn(name: str, windows: list[Window], look: Look) -> str:
    """The SVG of what windows show, one below the other. It loads no font from elsewhere."""
    console = Console(record=True, width=look.columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for window in windows:
        console.print(window.terminal.drawn(), soft_wrap=True)
    svg = console.export_svg(title="sinchphone", theme=LIGHT if look.light else DARK, unique_id=name)
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL).replace("Fira Code", "monospace")


def main(names: list[str]) -> None:
    """Make them."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory(prefix="alice-") as folder, laboratory(Path(folder)) as lab:
            picture = PICTURES[name]
            (FOLDER / f"{name}.svg").write_text(drawn(name, picture.make(lab, picture.look), picture.look), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
