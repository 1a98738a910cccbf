"""What people see, read from a real terminal (tmux) of 80 and of 120 columns: calls, lists, checks and errors, in colour and without."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs the package tmux")

WIDTHS = (80, 120)
LIMIT_S = 60.0
PHONE = f"{sys.executable} -m sinchphone"
OTHERS = ("SINCH", "XDG_", "NO_COLOR", "FORCE_COLOR", "CI", "LC_", "LANG", "COLORTERM", "COLORFGBG", "TMUX", "TERM")


@dataclass
class Desk:
    """A tmux server with windows of one width, and somebody's home."""

    folder: Path
    columns: int
    seen: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self.folder / "tmux"), "-f", "/dev/null", *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
        environ = kept | {"HOME": str(self.folder), "SINCHPHONE_BACKGROUND": "false", "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S, env=environ).stdout

    def start(self, name: str, command: str, **environ: str) -> None:
        """A program in a window, which stays when it is over."""
        size = ("-x", str(self.columns), "-y", "40")
        named = [word for pair in ({"COLORFGBG": "15;0"} | environ).items() for word in ("-e", "=".join(pair))]
        self.run(
            "new-session", "-d", "-s", name, *size, *named, f"{command.replace('sinchphone ', f'{PHONE} ')}; echo; echo OVER; sleep 600"
        )

    def text(self, name: str, *how: str) -> str:
        """What the window shows."""
        return self.run("capture-pane", "-p", "-t", name, *how).rstrip("\n")

    def wait(self, name: str, found: str, *, lacks: str = "") -> str:
        """What it shows once it shows that."""
        limit = time.monotonic() + LIMIT_S
        while True:
            text = self.text(name)
            if re.search(found, text) and not (lacks and re.search(lacks, text)):
                return text
            assert time.monotonic() < limit, f"{found} is not in:\n{text}"
            time.sleep(0.05)

    def keep(self, name: str, window: str) -> None:
        """Remember what a window shows, with and without what tells about colours, and whether the terminal had to break lines."""
        self.seen[name] = self.text(window)
        self.seen[f"{name} in colour"] = self.text(window, "-e")
        self.seen[f"{name} joined"] = self.text(window, "-J")

    def press(self, name: str, key: str) -> None:
        self.run("send-keys", "-t", name, key)


def talk_and_check(desk: Desk) -> None:
    """Alice calls bob, who answers, and hangs up; a doctor looks on."""
    desk.start("bob", "sinchphone listen --user bob --no-audio --tone 600")
    desk.wait("bob", "waiting for calls")
    desk.start("doctor", "sinchphone doctor --user ada")
    desk.start("alice", "sinchphone call bob --user alice --no-audio --tone 440", LC_ALL="C")
    desk.wait("bob", r"ringing alice \|")
    desk.keep("incoming", "bob")
    desk.press("bob", "a")
    desk.wait("bob", r"0:0\d \| you")
    desk.press("bob", "?")
    desk.press("bob", "s")
    desk.press("alice", "s")
    desk.wait("bob", r"MOS \d.*\n.*loss \d")
    desk.keep("statistics", "bob")
    desk.wait("alice", r"MOS \d.*\n.*loss \d")
    desk.keep("statistics in ascii", "alice")
    desk.press("bob", "s")
    desk.wait("bob", r"0:\d\d \| you", lacks=r"MOS \d")
    desk.keep("call", "bob")
    desk.press("bob", "q")
    desk.wait("alice", "OVER")
    desk.keep("ended", "alice")
    desk.wait("doctor", "OVER")
    desk.keep("doctor", "doctor")


def meet_in_a_room(desk: Desk) -> None:
    """Carol and dora; carol is muted, and leaves."""
    for name, muted in (("carol", " --mute"), ("dora", "")):
        desk.start(name, f"sinchphone conference standup --user {name} --no-audio --tone 500{muted}")
        desk.wait(name, r"0:0\d \| you")
    desk.wait("dora", r"carol, muted(.|\n)*\| 2 here")
    desk.keep("room", "dora")
    desk.press("carol", "q")
    desk.wait("carol", "OVER")
    desk.wait("dora", r"\| 1 here")
    desk.press("dora", "q")
    desk.wait("dora", "OVER")
    desk.keep("room left", "dora")


def lists(desk: Desk) -> None:
    """What is over at once."""
    nobody = "sinchphone call nobody-of-that-long-name --user alice --no-audio"
    desk.start("errors", f"{nobody}; sinchphone cal echo; sinchphone call 12345")
    desk.start("errors on white", "sinchphone call 12345", COLORFGBG="0;15")
    desk.start("errors without colour", "sinchphone call 12345", NO_COLOR="1")
    desk.start("plain", "sinchphone call echo --user alice --no-audio --tone 440 --max-duration 1s --plain")
    desk.start("devices", "sinchphone devices")
    for name in ("errors", "errors on white", "errors without colour", "plain", "devices"):
        desk.wait(name, "OVER")
        desk.keep(name, name)


def history(desk: Desk) -> None:
    """What is left of it."""
    desk.start("history", "sinchphone history --user alice")
    desk.wait("history", "OVER")
    desk.keep("history", "history")


def show_all(desk: Desk) -> None:
    """One after the other: the exchange ends with bob, who hosts it."""
    talk_and_check(desk)
    meet_in_a_room(desk)
    lists(desk)
    history(desk)


@pytest.fixture(scope="module")
def desks() -> Iterator[dict[int, Desk]]:
    """Both widths, beside each other. Homes with short names: a path is never broken."""
    made = {}
    for columns in WIDTHS:
        folder = Path(tempfile.mkdtemp(prefix="home"))
        configured = folder / ".config" / "sinchphone"
        configured.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            (configured / "config.toml").write_text(f"[exchange]\nport = {free.getsockname()[1]}\n")
        made[columns] = Desk(folder, columns)
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(show_all, made.values()))
        yield made
    finally:
        for desk in made.values():
            subprocess.run(["tmux", "-S", str(desk.folder / "tmux"), "kill-server"], capture_output=True, check=False, timeout=LIMIT_S)
            shutil.rmtree(desk.folder, ignore_errors=True)


@pytest.fixture(params=WIDTHS)
def desk(request: pytest.FixtureRequest, desks: dict[int, Desk]) -> Desk:
    made: Desk = desks[request.param]
    return made


def last(text: str) -> str:
    return text.splitlines()[-1]


SCREENS = ("incoming", "statistics", "statistics in ascii", "call", "ended", "errors", "history", "devices", "doctor")


@pytest.mark.parametrize("name", SCREENS)
def test_no_word_is_broken_by_the_edge_of_the_terminal(desk: Desk, name: str) -> None:
    shown, joined = ([line.rstrip() for line in desk.seen[each].splitlines()] for each in (name, f"{name} joined"))
    assert shown == joined


def test_who_is_called_sees_who_calls_and_what_keys_do(desk: Desk) -> None:
    shown = desk.seen["incoming"]
    assert re.search(r"^\d\d:\d\d:\d\d alice calls$", shown, re.MULTILINE)
    assert last(shown) == "ringing alice | a or Enter answer   x decline   i silence   ? help"
    assert shown.count("x decline") == 1, "not in a line of its own too"


def test_a_call_has_its_facts_in_one_line_and_more_of_them_where_there_is_room(desk: Desk) -> None:
    line = last(desk.seen["call"])
    word, codec = ("established ", r"opus, ") if desk.columns == 120 else ("", "")
    bar = "[▁-█ ]+"
    assert re.fullmatch(
        rf"{word}alice 0:\d\d \| you {bar} far {bar}\| {codec}loss \d+\.\d %(, \d+ ms)? \| q hang up   m mute   \? help", line
    )


def test_a_room_says_who_is_there_who_is_muted_and_when_somebody_leaves(desk: Desk) -> None:
    there = desk.seen["room"]
    assert re.search(r"in the room: (dora \(you\); carol, muted|carol, muted; dora \(you\))", there)
    assert re.search(r"standup 0:0\d \| .*2 here", last(there))
    assert [line for line in desk.seen["room left"].splitlines() if line.startswith("in the room")][-1] == "in the room: dora (you)"
    assert "ended after" in desk.seen["room left"]


def test_statistics_stand_above_the_line_and_go_again(desk: Desk) -> None:
    *_, first, second, third, line = desk.seen["statistics"].splitlines()
    assert re.fullmatch(r"codec opus   path direct \(host\)   sent \d+\.\d kbit/s   heard \d+\.\d kbit/s", first)
    assert re.fullmatch(r"loss .* heard, .* sent   jitter \d+ ms   delay \d+ ms   round trip (\d+|\?)( ms)?", second)
    assert re.fullmatch(r"MOS \d\.\d, mean \d\.\d [▁-█ ]+", third)
    assert "q hang up" in line
    assert "s no statistics" in desk.seen["statistics"] or "s statistics" in desk.seen["statistics"]
    assert "MOS" not in desk.seen["call"]


def test_a_locale_without_utf8_gets_ascii_alone(desk: Desk) -> None:
    shown = desk.seen["statistics in ascii"]
    assert shown.isascii()
    assert re.search(r"\| you [.#-]+ +far [.#-]+ +\|", last(shown))
    assert re.search(r"MOS \d\.\d, mean \d\.\d [_.:=+*# -]+$", shown, re.MULTILINE)


def test_nothing_is_left_of_the_status_line_when_the_call_is_over(desk: Desk) -> None:
    shown = desk.seen["ended"]
    assert re.search(r"^ended after 0:\d\d: bob hung up$", shown, re.MULTILINE)
    assert " | " not in shown and "MOS" not in shown


def test_the_history_is_in_columns(desk: Desk) -> None:
    lines = [line for line in desk.seen["history"].splitlines() if line[:2] == "20"]
    ends = {line[33:49].strip(): line[49:] for line in lines}
    assert set(ends) == {"bob", "nobody-of-that-l", "echo"}
    assert ends["echo"] == "you hung up, 0:01"
    assert ends["bob"].startswith("they hung up, 0:")


def test_the_doctors_words_stand_below_each_other(desk: Desk) -> None:
    shown = [line for line in desk.seen["doctor"].splitlines() if line and line != "OVER"]
    checks = [line for line in shown if not line.startswith(" ")]
    assert {line[:8].strip() for line in checks} <= {"ok", "warning", "skipped"}
    assert all(line[23] == " " and line[24] != " " for line in checks)
    assert all(len(line) - len(line.lstrip()) in (24, 26) for line in shown if line not in checks), "hints a little further in"
    assert {"versions", "platform", "call"} <= {line[10:23].strip() for line in checks}


GREEN, RED, RED_ON_WHITE = 77, 210, 124


def test_colours_are_those_for_the_background_and_none_where_none_are_wanted(desk: Desk) -> None:
    assert f"38;5;{GREEN}mok" in desk.seen["doctor in colour"]
    assert f"38;5;{RED}merror: no such command" in desk.seen["errors in colour"]
    assert f"38;5;{RED_ON_WHITE}merror: " in desk.seen["errors on white in colour"]
    assert "\x1b" not in desk.seen["errors without colour in colour"]


def test_every_error_says_what_to_do(desk: Desk) -> None:
    lines = [line for line in desk.seen["errors"].splitlines() if line and not line.startswith("  ")]
    errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    assert len(errors) == 3
    assert all(lines[number + 1].startswith("hint: ") for number in errors)


def test_in_plain_mode_each_line_is_written_once_and_stays(desk: Desk) -> None:
    shown = desk.seen["plain"].splitlines()
    assert shown[:6] == [
        *shown[:1],
        "ringing",
        *shown[2:3],
        "connected (opus, host), 0:00",
        "q hang up   m mute   ? help",
        "ended after 0:01: the time is up",
    ]
    assert shown[0].startswith("calling echo as alice (local exchange")
    assert shown[2].startswith("answered after")
