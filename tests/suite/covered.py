"""How much of the package is run by the tests that compute: where SINCHPHONE_COUNT_LINES is set, counted in each process of a whole run,
joined and printed at its end. Else not: no bound is on it, and counting makes these tests, and collecting, take two thirds more CPU.

Tests in real time and those that measure aren't traced: it would cost them a third of their time, and they'd fail for it. Nor are those
that try hundreds of inputs or packets on the same lines, or read all sources: it doubles their time, and shows next to nothing that others
don't.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import coverage
import pytest
from hypothesis import is_hypothesis_test

from tests.suite.phases import Phase, phase_of

PACKAGE: Final = "sinchphone"
_FOLDER: Final = "covered_folder"  # in what a process is told


def _counting(folder: str, **more: Any) -> coverage.Coverage:
    return coverage.Coverage(data_file=str(Path(folder) / "counted"), source_pkgs=[PACKAGE], config_file=False, messages=False, **more)


class CoverageOfProcess:
    """In a process that runs tests: counts lines from here on, but not in tests that others' time matters to."""

    def __init__(self, folder: str) -> None:
        self._coverage = _counting(folder, data_suffix=True)
        self._coverage.start()
        self._counts = True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Count, or don't."""
        wanted = _is_worth_counting(item)
        if wanted != self._counts:
            self._counts = wanted
            (self._coverage.start if wanted else self._coverage.stop)()
        return (yield)

    def pytest_sessionfinish(self) -> None:
        """Keep what was counted."""
        self._coverage.stop()
        self._coverage.save()


def _is_worth_counting(item: pytest.Item) -> bool:
    if phase_of(item.path) is not Phase.COMPUTING or is_hypothesis_test(getattr(item, "obj", None)):
        return False
    return not {"benchmarks", "fuzz", "house", "test_generated_parts.py"} & {*item.path.parts}


class CoverageOfRun:
    """In the process that hands out tests: tells the others where to keep what they count, and prints the sum."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="sinchphone-covered-")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """A process begins."""
        node.workerinput[_FOLDER] = self._folder

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One line a room, and one for all."""
        try:
            joined = _counting(self._folder)
            joined.combine([self._folder])
            terminalreporter.write_sep("-", "lines run by the tests that compute")
            for line in _lines(joined):
                terminalreporter.write_line(line)
        except coverage.CoverageException as error:
            terminalreporter.write_line(f"coverage: {error}")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def _lines(joined: coverage.Coverage) -> Iterator[str]:
    counts: dict[str, tuple[int, int]] = {}
    for file in sorted(joined.get_data().measured_files()):
        _, statements, _, missing, _ = joined.analysis2(file)
        parts = Path(file).parts
        room = parts[len(parts) - 1 - parts[::-1].index(PACKAGE) + 1].removesuffix(".py")
        run, there = counts.get(room, (0, 0))
        counts[room] = run + len(statements) - len(missing), there + len(statements)
    for room, (run, there) in counts.items():
        yield f"{room:12} {100 * run / max(there, 1):4.0f} %"
    run, there = (sum(pair[index] for pair in counts.values()) for index in (0, 1))
    yield f"{'all':12} {100 * run / max(there, 1):4.0f} % of {there} lines"


def count_lines(config: pytest.Config) -> None:
    """Count in a whole run, which has several processes; a run of a part prints nothing."""
    told = getattr(config, "workerinput", None)
    if told is not None:
        if _FOLDER in told:
            config.pluginmanager.register(CoverageOfProcess(told[_FOLDER]))
    elif config.option.numprocesses:
        config.pluginmanager.register(CoverageOfRun())
