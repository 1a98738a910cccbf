"""The CPU of the pure rooms' tests, as a run counts it."""

import time
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.suite.pure_cpu import LIMIT_SECONDS, CpuOfProcess, CpuOfRun, is_pure


def test_protocol_audio_and_picture_are_pure_wherever_their_tests_stand() -> None:
    assert is_pure(PurePath("/x/tests/protocol/sip/test_uri.py"))
    assert is_pure(PurePath("tests/audio/test_mix.py")) and is_pure(PurePath("tests/picture/test_ladder.py"))
    assert not is_pure(PurePath("tests/cli/protocol/test_x.py"))
    assert not is_pure(PurePath("/audio/tests/media/test_opus.py"))


@pytest.mark.parametrize(
    ("of_each", "status"), [(LIMIT_SECONDS / 2 - 1, pytest.ExitCode.OK), (LIMIT_SECONDS / 2 + 1, pytest.ExitCode.TESTS_FAILED)]
)
def test_a_run_fails_where_all_processes_together_took_more_than_the_limit(of_each: float, status: pytest.ExitCode) -> None:
    run = CpuOfRun()
    for _ in range(2):
        output: dict[str, object] = {}
        process = CpuOfProcess(output)
        process._seconds = of_each
        process.pytest_sessionfinish()
        run.pytest_testnodedown(SimpleNamespace(workeroutput=output))
    run.pytest_testnodedown(SimpleNamespace())  # crashed
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    run.pytest_sessionfinish(cast(pytest.Session, session))
    assert session.exitstatus is status


@pytest.mark.parametrize(("path", "counts"), [("tests/protocol/test_x.py", True), ("tests/media/test_x.py", False)])
def test_only_what_a_pure_test_computes_counts(path: str, counts: bool) -> None:
    output: dict[str, Any] = {}
    process = CpuOfProcess(output)
    running = process.pytest_runtest_protocol(cast(pytest.Item, SimpleNamespace(path=PurePath(path))))
    next(running)
    began = time.process_time()
    while time.process_time() - began < 0.02:
        pass
    assert list(running) == []
    process.pytest_sessionfinish()
    assert (output["cpu_of_pure_tests"] > 0) is counts
