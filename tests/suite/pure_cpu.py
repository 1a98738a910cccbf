"""What the pure rooms' tests cost: their CPU is counted in each process of a whole run, summed, and more than the limit fails the run.

A second is told by a loop of Python that is run beside the tests now and then: on a machine that is slower, or whose cores are shared, it
is slower too, though not by as much as the tests: those that take 15 s alone take 20 s by the loop, beside others in a whole run.
"""

import time
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Final

import pytest

LIMIT_SECONDS: Final = 26.0  # by the loop, in a whole run: 20 s alone
PURE: Final = ("audio", "picture", "protocol")
_LOOP_STEPS: Final = 400_000
_LOOP_SECONDS: Final = 0.009  # of CPU that the loop takes on the machine whose seconds these are
_LOOPS_EACH: Final = 50  # tests
_TOLD: Final = "cpu_of_pure_tests"  # in what a process tells when it ends


def is_pure(path: PurePath) -> bool:
    """Whether a test file is a pure room's."""
    return any(("tests", room) == pair for pair in zip(path.parts, path.parts[1:], strict=False) for room in PURE)


def loop_seconds() -> float:
    """The CPU that the loop takes now."""
    began = time.process_time()
    total = 0
    for number in range(_LOOP_STEPS):
        total ^= number
    return time.process_time() - began


class CpuOfProcess:
    """In a process that runs tests."""

    def __init__(self, output: dict[str, object]) -> None:
        self._output = output
        self._tests = 0
        self._factor = 1.0
        self._seconds = 0.0

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Count, where it's a pure one."""
        if not is_pure(item.path):
            return (yield)
        if self._tests % _LOOPS_EACH == 0:
            self._factor = _LOOP_SECONDS / loop_seconds()
        self._tests += 1
        began = time.process_time()
        try:
            return (yield)
        finally:
            self._seconds += (time.process_time() - began) * self._factor

    def pytest_sessionfinish(self) -> None:
        """Tell."""
        self._output[_TOLD] = self._seconds


class CpuOfRun:
    """In the process that hands out tests: sums up, and says so where it is too much."""

    def __init__(self) -> None:
        self._seconds = 0.0

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A process has ended; one that crashed tells nothing."""
        self._seconds += getattr(node, "workeroutput", {}).get(_TOLD, 0.0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run, if nothing else did."""
        if self._seconds > LIMIT_SECONDS and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One line."""
        too_much = ", TOO MUCH" if self._seconds > LIMIT_SECONDS else ""
        terminalreporter.write_line(
            f"pure rooms' tests: {self._seconds:.0f} s of CPU, of {LIMIT_SECONDS:.0f}{too_much}", red=bool(too_much)
        )


def count_cpu(config: pytest.Config) -> None:
    """Count in a whole run, which has several processes."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        config.pluginmanager.register(CpuOfProcess(output))
    elif config.option.numprocesses:
        config.pluginmanager.register(CpuOfRun())
