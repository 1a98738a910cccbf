"""Network namespaces that only one test sees, where the system gives them."""

import shutil
import subprocess
from typing import Final

import pytest

ALONE: Final = ("unshare", "--user", "--map-root-user", "--net")  # before a command: it has a network of its own, with nothing in it


def skip_without_namespaces() -> None:
    """Skip the test where a command can't have such a network."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs the packages util-linux and iproute2")
    if subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("this system gives no network namespace of one's own")
