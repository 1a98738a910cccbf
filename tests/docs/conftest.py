"""A shell of the reader's: a home of its own, an exchange on a free port, no sound card."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.dockit.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder to be in, with ``sinchphone`` on the path."""
    for name in ("home/.config/sinchphone", "bin", "work"):
        (tmp_path / name).mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "home/.config/sinchphone/config.toml").write_text(f'user = "ada"\n[exchange]\nport = {port}\n')
    program = tmp_path / "bin/sinchphone"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sinchphone "$@"\n')
    program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "XDG_", "FORCE_COLOR", "PULSE"))}
    home = {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "COLUMNS": "200"}
    (tmp_path / "asound.conf").write_text("pcm.!default { type pulse }\n")  # and no card
    silent = {"PULSE_SERVER": "none", "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}
    if shutil.which("bash") is None:
        pytest.skip("needs the package bash")
    made = Shell(tmp_path / "work", port, kept | home | silent)
    yield made
    if (tmp_path / "home/.local/state/sinchphone").exists():  # something may run in the background
        made.run("sinchphone", "exchange", "stop", "--force")
