"""The byte code of the test files, written before the processes of a whole run begin: else each of them would compile all the files, with
pytest's rewriting of their assertions, which takes three times as long as collecting their tests."""

import subprocess
import sys
from pathlib import Path
from typing import Final

FEW: Final = 50  # files: the first process that needs one of them compiles it
PATIENCE_S: Final = 600


def write_bytecode(tests: Path, processes: int) -> None:
    """Have ``processes`` compile what changed since the last run. What can't be collected is told by the run itself."""
    stale = [path for path in sorted(tests.rglob("test_*.py")) if not _is_compiled(path)]
    if len(stale) <= FEW or sys.dont_write_bytecode:
        return
    command = (sys.executable, "-m", "pytest", "--collect-only", "-qq", "--numprocesses=0", "-p", "no:cacheprovider")
    shares = [stale[first::processes] for first in range(processes)]
    running = [subprocess.Popen((*command, *share), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for share in shares]
    for process in running:
        process.wait(PATIENCE_S)


def _is_compiled(path: Path) -> bool:
    found = (path.parent / "__pycache__").glob(f"{path.stem}.*pytest*.pyc")
    return any(one.stat().st_mtime >= path.stat().st_mtime for one in found)
