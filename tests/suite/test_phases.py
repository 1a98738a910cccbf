"""The scheduler against simulated processes, which run a test when they know the next one or that there is none."""

import random
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.suite.phases import IN_BACKGROUND, LONG, PHASES, TOGETHER, WIDTHS, Phase, PhasedScheduling, may_be_tried_again, phase_of

TESTS = Path(__file__).parent.parent
NAMES = {
    Phase.WAITING: "tests/e2e/test_calls.py",
    Phase.COMPUTING: "tests/audio/test_mix.py",
    Phase.SOUNDING: "tests/e2e/test_conference.py",
    Phase.MEASURING: "tests/benchmarks/test_speed.py",
}


TOGETHER_FILE = "tests/cli/test_listening_day.py"


@dataclass(eq=False)
class Process:
    """As the scheduler sees it, and what it does."""

    queue: deque[int] = field(default_factory=deque)
    runs: int | None = None
    shutting_down: bool = False
    gone: bool = False
    workerinput: dict[str, object] = field(default_factory=dict)

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.queue.extend(indices)

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def can_start(self) -> bool:
        return self.runs is None and not self.gone and len(self.queue) >= (1 if self.shutting_down else 2)

    @property
    def can_end(self) -> bool:
        return self.shutting_down and self.runs is None and not self.queue and not self.gone

    @property
    def gateway(self) -> SimpleNamespace:
        return SimpleNamespace(id="a process")


class Config:
    """What the scheduler asks of pytest's."""

    def __init__(self, processes: int) -> None:
        self.tx = ["popen"] * processes

    def getvalue(self, _name: str) -> list[str]:
        return self.tx


class Run:
    """A run of some tests of each phase."""

    def __init__(self, processes: int, seed: int, *, together: int = 0, in_background: int = 0, **tests: int) -> None:
        self.random = random.Random(seed)
        self.names = [f"{TOGETHER_FILE}::test_{n}" for n in range(together)]
        self.names += [f"{NAMES[phase]}::test_{n}" for phase in Phase for n in range(tests.get(phase.name.lower(), 0))]
        self.ran_in: dict[str, Process] = {}
        self.done: list[str] = []
        self.crashed: list[str] = []
        self.most = dict.fromkeys(Phase, 0)  # that ran beside each other, while one of the phase did
        config: Any = Config(processes)
        self.scheduler = PhasedScheduling(config)
        self.processes = [self.add(in_background=n >= processes - in_background) for n in range(processes)]

    def add(self, *, in_background: bool = False) -> Process:
        process: Any = Process(workerinput={IN_BACKGROUND: in_background})
        self.scheduler.add_node(process)
        self.scheduler.add_node_collection(process, self.names)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()
        return process  # type: ignore[no-any-return]

    def until_the_end(self, crash: str | None = None) -> None:
        while not (self.scheduler.tests_finished and all(process.runs is None for process in self.processes)):
            self.step(crash)
        for process in self.processes:
            process.shutdown()
        while any(process.queue or process.runs is not None for process in self.processes):
            self.step(None)

    def step(self, crash: str | None) -> None:
        able = [process for process in self.processes if process.can_start or process.runs is not None]
        ending = [process for process in self.processes if process.can_end]
        assert able or ending, "nothing goes on"
        process = self.random.choice([*able, *ending])
        if process in ending:
            process.gone = True
            assert self.scheduler.remove_node(process) is None
        elif process.runs is None:
            process.runs = process.queue.popleft()
            self.note()
        elif self.names[process.runs] == crash and not self.crashed:
            process.gone, process.runs = True, None
            process.queue.clear()
            self.crashed.append(self.scheduler.remove_node(process))  # type: ignore[arg-type]
            self.processes.append(self.add())
        else:
            self.done.append(self.names[process.runs])
            index, process.runs = process.runs, None
            self.ran_in[self.names[index]] = process
            self.scheduler.mark_test_complete(process, index)

    def note(self) -> None:
        running = [self.phase(process.runs) for process in self.processes if process.runs is not None]
        for phase in running:
            self.most[phase] = max(self.most[phase], len(running))

    def phase(self, index: int) -> Phase:
        return phase_of(Path(self.names[index].split("::")[0]))


@pytest.mark.parametrize("seed", range(20))
def test_every_test_runs_once_and_no_phase_has_more_beside_it_than_it_bears(seed: int) -> None:
    run = Run(6, seed, waiting=20, computing=30, sounding=30, measuring=10)
    run.until_the_end()
    assert sorted(run.done) == sorted(run.names)
    assert run.most[Phase.WAITING] > 2
    assert run.most[Phase.SOUNDING] == WIDTHS[Phase.SOUNDING]
    assert run.most[Phase.MEASURING] == WIDTHS[Phase.MEASURING]


@pytest.mark.parametrize("seed", range(5))
def test_many_short_ones_are_handed_out_some_at_a_time(seed: int) -> None:
    run = Run(4, seed, waiting=20, computing=400, sounding=30, measuring=5)
    run.until_the_end(crash=f"{NAMES[Phase.COMPUTING]}::test_30")
    assert sorted([*run.done, *run.crashed]) == sorted(run.names)
    assert run.most[Phase.SOUNDING] == WIDTHS[Phase.SOUNDING]
    assert run.most[Phase.MEASURING] == WIDTHS[Phase.MEASURING]


@pytest.mark.parametrize("seed", range(20))
def test_in_the_background_runs_what_computes_while_others_wait(seed: int) -> None:
    run = Run(6, seed, in_background=2, waiting=60, computing=50, sounding=30, measuring=10)
    run.until_the_end()
    assert sorted(run.done) == sorted(run.names)
    background = run.processes[-2:]
    phases = [phase_of(Path(name.split("::")[0])) for name in run.names if run.ran_in[name] in background]
    assert set(phases) == {Phase.COMPUTING}
    assert run.most[Phase.SOUNDING] == WIDTHS[Phase.SOUNDING]
    assert run.most[Phase.MEASURING] == WIDTHS[Phase.MEASURING]


@pytest.mark.parametrize("tests", [{"waiting": 9}, {"waiting": 9, "computing": 1}, {"computing": 9}, {"measuring": 3}, {}], ids=str)
def test_few_tests_run_with_processes_in_the_background_too(tests: dict[str, int]) -> None:
    run = Run(5, 1, in_background=2, **tests)
    run.until_the_end()
    assert sorted(run.done) == sorted(run.names)


@pytest.mark.parametrize("phase", Phase)
def test_beside_processes_in_the_background_one_that_crashes_is_replaced(phase: Phase) -> None:
    culprit = f"{NAMES[phase]}::test_1"
    run = Run(5, 3, in_background=2, waiting=20, computing=20, sounding=30, measuring=10)
    run.until_the_end(crash=culprit)
    assert run.crashed == [culprit]
    assert sorted([*run.done, culprit]) == sorted(run.names)
    assert run.most[Phase.MEASURING] == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_file_whose_tests_belong_together_runs_in_one_process(seed: int) -> None:
    run = Run(6, seed, together=9, waiting=20, computing=5, measuring=2)
    run.until_the_end()
    assert sorted(run.done) == sorted(run.names)
    assert len({run.ran_in[name] for name in run.names if name.startswith(TOGETHER_FILE)}) == 1


def test_where_a_process_crashes_in_such_a_file_another_has_the_rest_of_it() -> None:
    culprit = f"{TOGETHER_FILE}::test_2"
    run = Run(4, 3, together=6, waiting=10, measuring=3)
    run.until_the_end(crash=culprit)
    assert run.crashed == [culprit]
    assert sorted([*run.done, culprit]) == sorted(run.names)
    assert len({run.ran_in[f"{TOGETHER_FILE}::test_{n}"] for n in (3, 4, 5)}) == 1


@pytest.mark.parametrize("name", sorted(TOGETHER | LONG))
def test_each_file_that_has_a_rule_is_there(name: str) -> None:
    assert next(TESTS.rglob(name), None), f"no test file {name}"


@pytest.mark.parametrize("tests", [{"measuring": 1}, {"measuring": 5}, {"waiting": 1}, {"sounding": 3, "measuring": 1}, {}], ids=str)
def test_few_tests_run_too(tests: dict[str, int]) -> None:
    run = Run(6, 1, **tests)
    run.until_the_end()
    assert sorted(run.done) == sorted(run.names)


@pytest.mark.parametrize("phase", Phase)
def test_of_a_process_that_crashes_one_test_is_to_blame_and_the_others_run(phase: Phase) -> None:
    culprit = f"{NAMES[phase]}::test_3"
    run = Run(4, 3, waiting=10, computing=10, sounding=30, measuring=10)
    run.until_the_end(crash=culprit)
    assert run.crashed == [culprit]
    assert sorted([*run.done, culprit]) == sorted(run.names)
    assert run.most[Phase.MEASURING] == 1


@pytest.mark.parametrize("name", PHASES)
def test_each_name_that_has_a_phase_is_there(name: str) -> None:
    assert next(TESTS.rglob(name), None), f"no test file or folder {name}"


def test_the_innermost_name_decides() -> None:
    assert phase_of(Path("/x/tests/e2e/test_calls.py")) is Phase.WAITING
    assert phase_of(Path("/x/tests/e2e/test_conference.py")) is Phase.SOUNDING
    assert phase_of(Path("/x/tests/protocol/test_mxp.py")) is Phase.COMPUTING


def test_what_computes_gets_one_try_and_so_do_the_pure_rooms() -> None:
    files = list(TESTS.rglob("test_*.py"))
    assert {phase_of(path) for path in files if not may_be_tried_again(path)} == {Phase.COMPUTING}
    pure = [path for room in ("audio", "protocol") for path in (TESTS / room).rglob("test_*.py")]
    assert pure and not any(may_be_tried_again(path) for path in pure)
