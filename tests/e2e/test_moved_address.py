"""A phone that waits for calls is reached soon after its address has changed, in a network namespace that only this test sees."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("moved_address.py")
ALONE = ("unshare", "--user", "--map-root-user", "--net")


def test_who_listens_is_called_again_within_a_minute_after_its_address_has_changed(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs the packages util-linux and iproute2")
    if subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("this system gives no network namespace of one's own")
    command = [*ALONE, sys.executable, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["reached"]
    assert found["after_s"] < 60
