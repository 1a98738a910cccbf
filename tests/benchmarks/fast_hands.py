"""What people wait for who only look: ``--help``, a word completed, ``history``; against ``python -c "import typer, rich"``.

usage: python tests/benchmarks/fast_hands.py [ROUNDS]

Processor time, not time on the clock: what else runs on the machine counts less.
"""

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from figures import installed, rounds, table

PROGRAM = (sys.executable, "-c", "from sinchphone.cli.main import main; main()")
ANCHOR = (sys.executable, "-c", "import typer, rich")
COMMANDS = ("--help", "history", "call --help")
WORDS = ("call-", "call @m", "call bo", "call --in")  # that are completed
CALLS = 20  # in the history


@dataclass(frozen=True)
class Hands:
    """The least processor time of each [ms], by what was run."""

    anchor: float
    ms: dict[str, float]

    def at_best(self, other: "Hands") -> "Hands":
        """The least of both measurements."""
        return Hands(min(self.anchor, other.anchor), {name: min(ms, other.ms[name]) for name, ms in self.ms.items()})

    def ratio(self, name: str) -> float:
        """Against the anchor."""
        return self.ms[name] / self.anchor


def measure(times: int, *, unmeasured: int = 1) -> Hands:
    """Everything ``times`` times in turn, after a first round that fills the caches, unless others have done that."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**installed(Path(folder)), "SINCH_USER_ID": "bench"}
        _fill(environ)
        found: dict[str, list[float]] = {}
        for _ in range(unmeasured + times):
            found.setdefault("anchor", []).append(_run(ANCHOR, environ))
            for command in COMMANDS:
                found.setdefault(command, []).append(_run((*PROGRAM, *command.split()), environ))
            for word in WORDS:
                line = {"_SINCHPHONE_COMPLETE": "complete_bash", "_TYPER_COMPLETE_ARGS": f"sinchphone {word}"}
                found.setdefault(f"{word} Tab", []).append(_run(PROGRAM, environ | line))
    least = {name: min(each[unmeasured:]) for name, each in found.items()}
    return Hands(least.pop("anchor"), least)


def _fill(environ: dict[str, str]) -> None:
    """A contact, and a history."""
    program = f"""
import asyncio, time
from sinchphone.cli.addressing.recent import history_of
from sinchphone.config import load
from sinchphone.engine.history.history import History
from sinchphone.engine.history.past import PastCall

async def main():
    async with History(*history_of(load().options)) as history:
        for number in range({CALLS}):
            await history.note_call("d", PastCall(str(number), True, "bob", "mxp", time.time(), True, 1000, "hung_up", "us"))

asyncio.run(main())
"""
    subprocess.run((sys.executable, "-c", program), env=environ, check=True)
    subprocess.run((*PROGRAM, "contacts", "add", "mum", "+46700000000"), env=environ, check=True, capture_output=True)


def _run(command: tuple[str, ...], environ: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def report(found: Hands) -> str:
    """The figures."""
    rows = {name: [ms, found.ratio(name)] for name, ms in found.ms.items()}
    return table("command", ["ms", "x"], {"python -c 'import typer, rich'": [found.anchor, 1.0], **rows})


if __name__ == "__main__":
    print(report(measure(rounds(10))))
