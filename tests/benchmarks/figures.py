"""What all benchmarks share: medians, tables, and Python processes that start as an installed program would."""

import os
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def median(values: Iterable[float]) -> float:
    """The median; NaN of nothing."""
    known = list(values)
    return statistics.median(known) if known else float("nan")


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that ``share`` of all don't pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | str]]) -> str:
    """Rows of figures under a title; numbers get one decimal."""
    width = max(len(name) for name in [title, *rows])
    head = f"{title:<{width}}" + "".join(f"  {column:>14}" for column in columns)
    lines = [f"{name:<{width}}" + "".join(f"  {_written(value):>14}" for value in values) for name, values in rows.items()]
    return "\n".join(["", head, "-" * len(head), *lines])


def _written(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return "-" if value != value else f"{value:.2f}" if abs(value) < 2 else f"{value:.1f}"


def installed(folder: Path) -> dict[str, str]:
    """An environment for child processes: byte code is kept (in ``folder``), as it is after an installation, and so is all state."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "PYTHON", "COVERAGE"))}
    homes = {"XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "HOME": "home"}
    return {**environ, **{name: str(folder / part) for name, part in homes.items()}, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def rounds(default: int) -> int:
    """How often to measure: the first argument of the script."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else default
