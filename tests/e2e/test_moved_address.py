"""A phone that waits for calls is reached soon after its address has changed, in a network namespace that only this test sees."""

import json
import subprocess
import sys
from pathlib import Path

from tests.namespaces import ALONE, skip_without_namespaces

SCRIPT = Path(__file__).with_name("moved_address.py")


def test_who_listens_is_called_again_within_a_minute_after_its_address_has_changed(tmp_path: Path) -> None:
    skip_without_namespaces()
    command = [*ALONE, sys.executable, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["reached"]
    assert found["after_s"] < 60
