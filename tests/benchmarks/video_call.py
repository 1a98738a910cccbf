"""CPU of a whole video call in a terminal, and what it does to the call's sound: two phones, with pictures and without.

usage: python tests/benchmarks/video_call.py [SECONDS]        as root on Linux it goes before everything else

::

    sinchphone call-user (a terminal of 161 x 49 cells, test pictures of 640x360) <--> sinchphone listen --json (its ``stats`` each second)

The CPU is that of the caller's process, the sound's figures are what the other phone says of it: jitter of its packets,
and what was made up. Both phones, the exchange and whoever reads the terminal share the machine.
"""

import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from emulator import make_urgent
from figures import median, percentile, table

from sinchphone.audio.frame import RATE

COLUMNS, ROWS = 161, 49  # 160 x 45 cells of picture, and lines about the call
SETTLE_S = 12.0  # until the pictures have their size
PATIENCE_S = 30.0
WINDOWS = ("blocks", "none", "no pictures")  # of a call with pictures, of one whose pictures nobody shows, of one without
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class CallCost:
    """Of one call: the share of a core, bytes to the terminal each second, and the sound at the far end."""

    cpu: float
    terminal: float
    jitter_ms: list[float] = field(default_factory=list)  # each second
    made_up: list[float] = field(default_factory=list)  # [%] each second
    pictures: float = 0.0  # a second that the far end recognised

    def row(self) -> list[str]:
        """For the table."""
        return [
            f"{100 * self.cpu:.1f}",
            f"{self.terminal / 1000:.0f}",
            f"{self.pictures:.1f}",
            f"{median(self.jitter_ms):.2f} / {percentile(self.jitter_ms, 0.95):.2f}",
            f"{sum(self.made_up) / len(self.made_up):.2f}",
        ]


def measure(window: str, seconds: float) -> CallCost:
    """A call of its own, with an exchange of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            (home / "phone.toml").write_text(f"[exchange]\nport = {free.getsockname()[1]}\n")
        _write_tone(home / "tone.wav", SETTLE_S + seconds + PATIENCE_S)
        return _measure(window, seconds, home)


def _write_tone(file: Path, seconds: float) -> None:
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes((8_000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.int16).tobytes())


def _measure(window: str, seconds: float, home: Path) -> CallCost:
    pictures = () if window == "no pictures" else ("--video", "--video-test")
    shown = (*pictures, "--video-window", window) if pictures else ()
    heard: list[dict[str, object]] = []
    with _phone(home, "exchange", "--json") as exchange:
        assert exchange.stdout is not None and exchange.stdout.readline()
        listening = ("listen", "--user", "bob", "--auto-answer", "--no-audio", "--play", str(home / "tone.wav"), "--json", *pictures)
        with _phone(home, *listening) as bob:
            threading.Thread(target=_hear, args=(bob, heard), daemon=True).start()
            _until(heard, "client.ready")
            calling = ("call-user", "bob", "--user", "ada", "--no-audio", "--play", str(home / "tone.wav"), *shown)
            with _in_terminal(home, *calling) as (pid, octets):
                _until(heard, "call.established")
                time.sleep(SETTLE_S)
                cost = _watch(pid, octets, heard, seconds)
            _until(heard, "video.seen" if pictures else "call.ended")
    recognised = [int(str(each["recognised"])) for each in heard if each["event"] == "video.seen"]
    cost.pictures = sum(recognised) / (SETTLE_S + seconds)
    return cost


def _watch(pid: int, octets: list[int], heard: list[dict[str, object]], seconds: float) -> CallCost:
    before, written, said, began = _cpu(pid), octets[0], len(heard), time.monotonic()
    time.sleep(seconds)
    spent = time.monotonic() - began
    after = _cpu(pid)
    stats = [each for each in heard[said:] if each["event"] == "stats"]
    assert stats, "a second of sound"
    cost = CallCost((after - before) / spent, (octets[0] - written) / spent)
    cost.jitter_ms = [float(str(each["jitter_ms"] or 0)) for each in stats]
    cost.made_up = [float(str(each["concealed_percent"] or 0)) for each in stats]
    return cost


def _hear(phone: "subprocess.Popen[str]", heard: list[dict[str, object]]) -> None:
    assert phone.stdout is not None
    heard.extend(json.loads(line) for line in phone.stdout)


def _until(heard: list[dict[str, object]], event: str) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not any(each["event"] == event for each in heard):
        assert time.monotonic() < limit, f"no {event}, last {heard[-1:]}"
        time.sleep(0.05)


def _command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "sinchphone", words[0], "--config", str(home / "phone.toml"), *words[1:]]


def _environment(home: Path) -> Mapping[str, str]:
    mine = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home), "SINCHPHONE_BACKGROUND": "false"}
    return {**os.environ, **mine, "TERM": "xterm-256color", "COLORTERM": "truecolor"}


@contextmanager
def _phone(home: Path, *words: str) -> "Iterator[subprocess.Popen[str]]":
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(_command(home, *words), env=_environment(home), stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def _in_terminal(home: Path, *words: str) -> Iterator[tuple[int, list[int]]]:
    """Its process, and how many bytes it has written."""
    command, environment, octets = _command(home, *words), dict(_environment(home)), [0]
    pid, terminal = pty.fork()
    if not pid:
        os.execve(command[0], command, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    threading.Thread(target=_read, args=(terminal, octets), daemon=True).start()
    try:
        yield pid, octets
    finally:
        os.kill(pid, 15)
        os.waitpid(pid, 0)


def _read(terminal: int, octets: list[int]) -> None:
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            return
        if not data:
            return
        octets[0] += len(data)


def _cpu(pid: int) -> float:
    """Seconds that a process has spent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> None:
    """The table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    make_urgent()
    rows = {}
    for window in WINDOWS:
        rows[f"pictures shown as {window}" if window != "no pictures" else "sound alone"] = measure(window, seconds).row()
        print(window, *rows[list(rows)[-1]], flush=True)
    print(table("a call", ("CPU %", "kB/s to the terminal", "pictures/s", "jitter ms, 95 %", "made up %"), rows))


if __name__ == "__main__":
    main()
