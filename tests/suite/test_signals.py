"""Programs that tests start, where the tests themselves were started so that signals are ignored."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
from tests.suite.signals import reset_ignored_signals
reset_ignored_signals()
signal.raise_signal(signal.SIGHUP)  # goes on being ignored here
show = "import signal; print([s.name for s in signal.valid_signals() if signal.getsignal(s) is signal.SIG_IGN])"
sys.exit(subprocess.run([sys.executable, "-c", show]).returncode)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_programs_begin_with_default_dispositions_under_nohup() -> None:
    def ignore() -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT)], preexec_fn=ignore, capture_output=True, text=True, timeout=60, check=True
    )
    assert set(eval(done.stdout)) <= {"SIGPIPE", "SIGXFSZ"}
