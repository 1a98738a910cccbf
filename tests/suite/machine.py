"""A person's machine, for tests of the process in the background: a home, a port, real commands. What ran there is ended by its pid."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = [sys.executable, "-m", "sinchphone"]
MODULE: Final = "sinchphone.local.background"
PATIENCE_S: Final = 60.0


class Command:
    """A command that runs, with ``--json``."""

    def __init__(self, process: "subprocess.Popen[str]", out: Path) -> None:
        self.process = process
        self._out = out

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def names(self) -> list[str]:
        return [event["event"] for event in self.events()]

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        eventually(lambda: self.names().count(name) >= count or self.process.poll() is not None, f"{name} of {self.process.args!r}")
        assert self.names().count(name) >= count, self.events()
        return next(event for event in self.events() if event["event"] == name)

    def end(self, signal_number: int | None = None) -> dict[str, Any]:
        """Its result; where it was killed, nothing."""
        if signal_number is not None:
            self.process.send_signal(signal_number)
        self.process.wait(PATIENCE_S)
        last = (self.events() or [{}])[-1]
        return last if last.get("event") == "result" else {}


class Machine:
    """``settings`` are lines of [exchange] in the configuration."""

    def __init__(self, home: Path, settings: str = "") -> None:
        self.home = home
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.state = home / "state" / "sinchphone"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "XDG", "COVERAGE"))}
        self.environ = kept | {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}
        self.configure(settings)
        self._commands: list[Command] = []

    def configure(self, exchange: str = "", more: str = "") -> None:
        file = self.home / "config" / "sinchphone" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"[exchange]\nport = {self.port}\n{exchange}\n{more}")

    def start(self, *arguments: str) -> Command:
        out = self.home / f"out-{len(self._commands)}"
        with out.open("w") as file:
            process = subprocess.Popen(
                [*PROGRAM, *arguments, "--json"],
                cwd=self.home,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        self._commands.append(Command(process, out))
        return self._commands[-1]

    def run(self, *arguments: str) -> Command:
        """To its end."""
        command = self.start(*arguments)
        command.end()
        return command

    def status(self) -> dict[str, Any]:
        return self.run("exchange", "status").events()[0]

    def hosts(self) -> list[int]:
        """The processes in the background that this machine ever had and that run."""
        log = self.state / "exchange.log"
        pids = {int(found[1]) for found in re.finditer(r"^\S+ \S+ (\d+) ", log.read_text(), re.MULTILINE)} if log.exists() else set()
        return sorted(pid for pid in pids if is_host(pid))

    def clean_up(self) -> None:
        for command in self._commands:
            if command.process.poll() is None:
                command.process.kill()
                command.process.wait()
        for pid in self.hosts():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def machine(home: Path, settings: str = "") -> Iterator[Machine]:
    made = Machine(home, settings)
    try:
        yield made
    finally:
        made.clean_up()


def is_host(pid: int) -> bool:
    """Whether a process runs that hosts in the background."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        return MODULE.encode() in words and " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def eventually(is_so: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)
