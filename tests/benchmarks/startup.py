"""Cold start: what ``sinchphone --help`` imports and costs, and how long it takes from the shell to a call that stands.

usage: python tests/benchmarks/startup.py [ROUNDS]

The anchors, measured in the same run: ``import typer`` for a command that does nothing, and the bare imports of the libraries
that a call can't do without for a call.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from figures import installed, median, rounds, table

HEAVY = frozenset({"aiortc", "aioice", "av", "aiohttp", "numpy", "sounddevice"})
PROGRAM = (sys.executable, "-c", "from sinchphone.cli.main import main; main()")
TYPER = (sys.executable, "-c", "import typer")
LIBRARIES = (sys.executable, "-c", "import typer, aiohttp.web, aiortc, jwt, numpy")
CALL = ("call", "echo", "--user", "bench", "--json", "--no-audio", "--max-duration", "0.1s")
STEPS = ("client.ready", "call.ringing", "call.established", "result")


@dataclass(frozen=True)
class Startup:
    """Medians [ms]."""

    typer: float
    libraries: float
    help: float
    version: float
    call: dict[str, float]  # from the start of the process to each of STEPS, and to its "exit"


def imported(*arguments: str) -> set[str]:
    """The top-level packages that a command imports, as ``-X importtime`` tells."""
    program, *rest = PROGRAM
    done = subprocess.run([program, "-X", "importtime", *rest, *arguments], capture_output=True, text=True, timeout=60, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


def measure(times: int, *, unmeasured: int = 1) -> Startup:
    """Everything ``times`` times in turn, after a first round that fills the caches, unless others have done that."""
    with tempfile.TemporaryDirectory() as folder:
        environ = installed(Path(folder))
        port = _write_configuration(Path(folder))
        found: list[tuple[float, float, float, float]] = []
        calls: list[dict[str, float]] = []
        for _ in range(unmeasured + times):
            commands = (TYPER, LIBRARIES, (*PROGRAM, "--help"), (*PROGRAM, "--version"))
            typer, libraries, helped, version = (_run(command, environ) for command in commands)
            found.append((typer, libraries, helped, version))
            calls.append(_call(environ, port))
    medians = [median(column) for column in zip(*found[unmeasured:], strict=True)]
    return Startup(*medians, {step: median(each[step] for each in calls[unmeasured:]) for step in (*STEPS, "exit")})  # type: ignore[arg-type, call-arg]


def _write_configuration(folder: Path) -> Path:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    file = folder / "bench.toml"
    file.write_text(f"[exchange]\nport = {port}\n")
    return file


def _run(command: tuple[str, ...], environ: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)  # a time limit would be polled for, every 50 ms
    return (time.perf_counter() - begun) * 1000


def _call(environ: dict[str, str], configuration: Path) -> dict[str, float]:
    begun, seen = time.perf_counter(), {}  # type: ignore[var-annotated]
    command = [*PROGRAM, "--config", str(configuration), *CALL]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seen.setdefault(json.loads(line)["event"], (time.perf_counter() - begun) * 1000)
        code = process.wait()
    assert code == 0, f"the call ended with {code}"
    return {**{step: seen[step] for step in STEPS}, "exit": (time.perf_counter() - begun) * 1000}


def report(found: Startup) -> str:
    """The figures."""
    commands = {
        "python -c 'import typer'": [found.typer, 1.0],
        "sinchphone --version": [found.version, found.version / found.typer],
        "sinchphone --help": [found.help, found.help / found.typer],
    }
    call = {step: [ms, ms / found.libraries] for step, ms in found.call.items()}
    return "\n".join(
        [
            table("command", ["ms", "x typer"], commands),
            table(
                "sinchphone call echo, cold, until",
                ["ms", "x libraries"],
                {"(bare import of the libraries)": [found.libraries, 1.0], **call},
            ),
        ]
    )


if __name__ == "__main__":
    for command in ("--help", "--version"):
        print(f"sinchphone {command} imports of the heavy libraries: {sorted(imported(command) & HEAVY) or 'none'}")
    print(report(measure(rounds(10))))
