"""A shell of the reader's: a home of its own, an exchange on a free port, no sound card."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinchphone.exchange.directory.credentials import FILE_NAME, local_credentials
from sinchphone.exchange.options import HostKind
from sinchphone.local.host_control import HostControl
from sinchphone.local.probe import ExchangeProbe, Found
from tests.docs.dockit.shell import LIMIT_S, Shell


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
    state = tmp_path / "home/.local/state/sinchphone"
    if (state / FILE_NAME).exists():
        asyncio.run(stop_in_background(state, port))


async def stop_in_background(state: Path, port: int) -> None:
    """End the exchange that commands have left there, as ``exchange stop --force`` does, for a tenth of a process's time."""
    probe = ExchangeProbe(local_credentials(state), "127.0.0.1", port)
    answer = await probe.ask(LIMIT_S)
    if answer.found is Found.OURS and answer.kind is HostKind.BACKGROUND:
        await HostControl(probe).stop(answer, unused=False)
        async with asyncio.timeout(LIMIT_S):
            while (await probe.ask(LIMIT_S)).found is not Found.NOBODY:
                await asyncio.sleep(0.02)
