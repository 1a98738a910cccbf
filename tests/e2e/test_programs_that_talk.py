"""The documented machine that answers with eSpeak's voice, as it stands there."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.levels.activity import Listener
from sinchphone.audio.tones.goertzel import share

PAGE = Path(__file__).parents[2] / "sinchphone" / "docs" / "sound.md"
PATIENCE_S = 60.0


def test_the_example_of_the_page_speaks_and_hears(tmp_path: Path, free_port: int) -> None:
    missing = [tool for tool in ("espeak-ng", "sox") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs the package {missing[0]}")
    (script,) = re.findall(r"```sh\n(mkfifo.*?)```", PAGE.read_text(), re.DOTALL)
    phone = tmp_path / "sinchphone"
    phone.write_text(f'#!/bin/sh\nexec {sys.executable} -m sinchphone "$@"\n')
    phone.chmod(0o755)
    (tmp_path / "config" / "sinchphone").mkdir(parents=True)
    (tmp_path / "config" / "sinchphone" / "config.toml").write_text(f"[exchange]\nport = {free_port}\n")
    environ = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    machine = subprocess.Popen(
        ["/bin/sh", "-c", script],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert machine.stdout is not None
        assert "waiting" in machine.stdout.readline()
        order = ["call", "bot", "--user", "ada", "--tone", "500", "--no-audio", "--record", "r.wav", "--max-duration", "5s"]
        call = subprocess.run([str(phone), *order], cwd=tmp_path, env=environ, capture_output=True, timeout=PATIENCE_S, check=False)
        assert call.returncode == 0
        limit = time.monotonic() + PATIENCE_S
        while not (tmp_path / "heard.raw").exists() or not (tmp_path / "heard.raw").stat().st_size:
            assert time.monotonic() < limit, "nothing was heard"
            time.sleep(0.1)
    finally:
        os.killpg(machine.pid, signal.SIGTERM)
        machine.wait(PATIENCE_S)
    with wave.open(str(tmp_path / "r.wav")) as recording:
        both = np.frombuffer(recording.readframes(recording.getnframes()), "<i2").reshape(-1, 2)
    listener = Listener()
    listener.push(both[:, 1])
    assert 1.0 < listener.activity.speech_seconds < 4.5, "the machine spoke, and stopped"
    heard = np.fromfile(tmp_path / "heard.raw", "<i2")
    assert share(heard[24_000:72_000], 500) > 0.95
