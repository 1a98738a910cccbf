"""Runs what a page tells its reader to run."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sinchphone.audio.frame import RATE
from sinchphone.audio.tones.signals import Sine

LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Shell:
    """``folder`` is where commands run; pages that name port 4600 mean ``port``."""

    folder: Path
    port: int
    environment: dict[str, str]

    def adapt(self, text: str) -> str:
        """The text of a page with this shell's port in it."""
        return text.replace("127.0.0.1:4600", f"127.0.0.1:{self.port}").replace("Local()", f"Local(port={self.port})")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Standard error is part of standard output, as at a terminal."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def bash(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a script, or a line."""
        return self.run("bash", "-c", self.adapt(text))

    def python(self, text: str) -> tuple[str, str]:
        """The command that runs a program."""
        file = self.folder / "example.py"
        file.write_text(self.adapt(text))
        return sys.executable, str(file)

    @contextlib.contextmanager
    def beside(self, *command: str, speaks: bool = True) -> Iterator[Path]:
        """Runs all the while. ``speaks``: it is waited for until it says something. Gives the file with what it said."""
        said = self.folder / f"beside-{time.monotonic_ns()}.txt"
        with said.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            limit = time.monotonic() + LIMIT_S
            while speaks and not said.stat().st_size:
                assert time.monotonic() < limit and process.poll() is None, f"{command} says nothing"
                time.sleep(0.05)
            yield said
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def succeeds_soon(self, command: str, heard_from: Path) -> str:
        """Runs a command again until it ends with 0: whom it calls has to be there first. What it said."""
        limit = time.monotonic() + LIMIT_S
        while (done := self.bash(command)).returncode:
            assert time.monotonic() < limit, f"{done.stdout}\n{heard_from.read_text()}"
            time.sleep(0.2)
        return done.stdout

    def sound_file(self, name: str, seconds: float = 1.0) -> None:
        """A tone."""
        with wave.open(str(self.folder / name), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(Sine(440.0).pull(int(seconds * RATE)).tobytes())


def far_level(recording: Path) -> float:
    """How loud the far end of a stereo recording was, in dBFS."""
    with wave.open(str(recording)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 1].astype(float)
    return float(10 * np.log10(np.mean(samples**2) / 32768**2 + 1e-12))


def conversation(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that follow it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def fits(said: str, expected: str) -> bool:
    """Whether a line is what the page says; figures may differ, and … stands for anything."""
    same = (re.sub(r"[\d.:-]*\d", "0", part) for part in (said, expected))
    said, expected = same
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), said) is not None
