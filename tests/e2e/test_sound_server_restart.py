"""A phone that listens goes on when its sound server goes, and has its devices again when that is back."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sinchphone.audio.frame import RATE
from sinchphone.audio.tones.goertzel import share
from tests.docs.dockit.picture import sound_lab

PATIENCE_S = 30.0


def environment_of(lab: Any) -> dict[str, str]:
    others = ("SINCH", "XDG_C", "XDG_S")
    kept = {name: value for name, value in lab.environment.items() if not name.startswith(others)}
    return kept | {"SINCHPHONE_BACKGROUND": "false"}


def is_heard(recording: Any, hz: float) -> bool:
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        sound = recording()[-RATE // 2 :]
        if len(sound) and share(sound, hz) > 0.9:
            return True
        time.sleep(0.1)
    return False


def a_call_is_heard(lab: Any, hz: float) -> bool:
    """Whether the listening phone's loudspeaker plays what a caller says."""
    words = ["call", "bob", "--user", "alice", "--no-audio", "--tone", str(hz), "--max-duration", "20s", "-q"]
    with (
        lab.ear() as ear,
        subprocess.Popen([sys.executable, "-m", "sinchphone", *words], env=environment_of(lab), stdin=subprocess.DEVNULL) as calling,
    ):
        try:
            return is_heard(ear, hz)
        finally:
            calling.terminate()


def test_a_listening_phone_has_its_devices_again_when_a_sound_server_is_back_pulseaudio_or_pipewire(tmp_path: Path) -> None:
    """PulseAudio goes and PipeWire comes in its place, goes too, and comes again."""
    kit = sound_lab()
    if missing := kit.missing_package() or kit.missing_of_pipewire():
        pytest.skip(f"needs the package {missing}")
    configured = tmp_path / ".config" / "sinchphone"
    configured.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (configured / "config.toml").write_text(f"[exchange]\nport = {port}\n[audio]\necho_cancel = 'off'\n")
    words = ["listen", "--user", "bob", "--auto-answer", "--json"]
    log = (tmp_path / "listen.log").open("w+")
    with kit.pulseaudio(tmp_path) as lab:
        command = [sys.executable, "-m", "sinchphone", *words]
        listening = subprocess.Popen(command, env=environment_of(lab), stdin=subprocess.DEVNULL, stdout=log)
        try:
            limit = time.monotonic() + PATIENCE_S
            while "client.ready" not in Path(log.name).read_text():
                assert time.monotonic() < limit
                time.sleep(0.05)
            assert a_call_is_heard(lab, 440.0)
        except BaseException:
            listening.kill()
            raise
    try:
        (tmp_path / "pulse.sock").unlink(missing_ok=True)
        (tmp_path / "pulse.sock").symlink_to(tmp_path / "pulse" / "native")
        for hz in (620.0, 500.0):
            assert listening.poll() is None, "it goes on without a sound server"
            with kit.pipewire(tmp_path) as lab:
                assert a_call_is_heard(lab, hz)
                assert listening.poll() is None
    finally:
        listening.terminate()
        listening.wait(PATIENCE_S)
        log.close()
    told = [json.loads(line)["event"] for line in (tmp_path / "listen.log").read_text().splitlines()]
    assert told.count("call.established") == 3
    assert "client.failed" not in told
