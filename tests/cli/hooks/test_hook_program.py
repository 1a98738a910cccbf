"""A hook's program: whatever it does, it is over in time, and nothing of it is left."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from sinchphone.cli.hooks.program import MAX_LINE_BYTES, Program

PATIENCE_S = 30.0
pytestmark = pytest.mark.skipif(os.name != "posix", reason="groups of processes")


def run(code: str, *, said: bytes = b"", limit_s: float = PATIENCE_S, **environment: str) -> tuple[str | None, list[str]]:
    """Why it failed, and its first line."""
    lines: list[str] = []
    environ = {"PATH": os.environ["PATH"], **environment}
    return Program([sys.executable, "-c", code], environ, said, limit_s).run(lines.append), lines


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_its_first_line_is_told_and_the_rest_is_not() -> None:
    assert run("print('answer'); print('decline')") == (None, ["answer"])
    assert run("import sys; sys.stdout.write('answer')") == (None, ["answer"]), "the line may lack its end"
    assert run("pass") == (None, [])


def test_it_reads_what_it_is_told_and_has_no_environment_but_the_given_one() -> None:
    code = "import os, sys; print(sys.stdin.read(), os.environ['SINCHPHONE_PEER'], 'HOME' in os.environ)"
    assert run(code, said=b"facts", SINCHPHONE_PEER="ada") == (None, ["facts ada False"])


def test_one_that_reads_nothing_of_a_lot_is_no_trouble() -> None:
    assert run("print('decline')", said=b"x" * 1_000_000) == (None, ["decline"])


def test_its_exit_code_and_last_words_are_told() -> None:
    failure, _ = run("import sys; print('why\\nno such file', file=sys.stderr); sys.exit(3)")
    assert failure == "it ended with 3: no such file"


def test_its_decision_is_known_before_it_ends() -> None:
    lines: list[str] = []
    program = Program(
        [sys.executable, "-c", "import time; print('answer', flush=True); time.sleep(600)"], {"PATH": os.environ["PATH"]}, b"", PATIENCE_S
    )
    thread = threading.Thread(target=program.run, args=(lines.append,))
    thread.start()
    began = time.monotonic()
    while not lines:
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.01)
    program.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert lines == ["answer"]


def test_one_that_hangs_is_killed_at_the_limit() -> None:
    began = time.monotonic()
    failure, _ = run("import time; time.sleep(600)", limit_s=0.3)
    assert failure == "it was not done within 0.3 s"
    assert time.monotonic() - began < PATIENCE_S


def test_one_that_ignores_signals_is_killed_too() -> None:
    code = "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(600)"
    assert "not done" in str(run(code, limit_s=0.5)[0])


def test_what_it_started_is_killed_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; sleep = [sys.executable, '-c', 'import time; time.sleep(600)'];"
        "children = [subprocess.Popen(sleep) for _ in range(3)];"
        f"print(*(c.pid for c in children), file=open({str(tmp_path / 'pids')!r}, 'w'))"
    )
    failure, _ = run(code)
    assert failure is None
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    began = time.monotonic()
    while any(map(is_running, pids)):
        assert time.monotonic() - began < PATIENCE_S, "children that hold its output open are left"
        time.sleep(0.01)


def test_one_that_floods_is_killed() -> None:
    failure, lines = run("import sys\nwhile True: sys.stdout.write('x' * 65536)")
    assert "wrote more than" in str(failure)
    assert [len(line) for line in lines] == [MAX_LINE_BYTES]


def test_one_that_floods_standard_error_is_killed() -> None:
    assert "wrote more than" in str(run("import sys\nwhile True: sys.stderr.write('x' * 65536)")[0])


def test_one_that_closes_all_its_streams_and_hangs_is_killed_at_the_limit() -> None:
    assert "not done" in str(run("import os, time\nfor n in (0, 1, 2): os.close(n)\ntime.sleep(600)", limit_s=0.5)[0])


def test_one_that_is_not_there_is_told() -> None:
    assert "can't be run" in str(Program(["/no/such/program"], {}, b"", 1.0).run(lambda _: None))
    assert "can't be run" in str(Program([sys.executable], {"A": "b\0c"}, b"", 1.0).run(lambda _: None))


def test_no_zombie_and_no_descriptor_is_left() -> None:
    run("pass")
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(3):
        run("import sys; sys.exit(1)")
        run("import time; time.sleep(600)", limit_s=0.1)
    assert len([*Path("/proc/self/fd").iterdir()]) <= before
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    assert not children.exists() or not children.read_text().split()
