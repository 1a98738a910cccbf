"""A phone that waits for calls is reachable as soon as the network is back, in a network namespace that only this test sees."""

import json
import subprocess
import sys
from pathlib import Path

from tests.namespaces import ALONE, skip_without_namespaces

SCRIPT = Path(__file__).with_name("network_back.py")
SECONDS = 14  # of delays that double from 0.1 s: then the next one takes 7 s or more, most of which would still be to come


def test_who_listens_is_back_at_once_when_the_network_is(tmp_path: Path) -> None:
    skip_without_namespaces()
    command = [*ALONE, sys.executable, str(SCRIPT), str(SECONDS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["back_s"] < 4
