"""A sound server of the test's own: PulseAudio, whose loudspeaker ("ear") and microphone ("mouth") are null sinks.

Everything that uses PortAudio runs in a process of its own, because ALSA reads its configuration once per process.
"""

import contextlib
import ctypes.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.tones import Sine

PATIENCE_SECONDS = 30.0
RAW = ("--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=20")

ASOUNDRC = """
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.lab_ear { type pulse device ear }
pcm.lab_mouth { type pulse device mouth.monitor }
"""

SERVER = (
    *("pulseaudio", "-n", "--system=false", "--exit-idle-time=-1", "--daemonize=no"),
    *("--use-pid-file=no", "--realtime=no", "--high-priority=no"),
    *("-L", "module-null-sink sink_name=ear rate=48000 channels=1 format=s16le"),
    *("-L", "module-null-sink sink_name=mouth rate=48000 channels=1 format=s16le"),
)

# Rooms and files whose tests run in real time: processes, sound, sockets and guests beside each other on a machine that others share.
REAL_TIME = {"e2e", "interop", "peers", "test_bad_input.py", "test_cli_process.py", "test_pulse_devices.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in real time has a second chance (shown as a rerun): a stall of the machine is no fault of the program."""
    for item in items:
        if REAL_TIME.intersection(item.path.parts):
            item.add_marker(pytest.mark.flaky(reruns=1))


def missing_package() -> str | None:
    if sys.platform != "linux":
        return "PulseAudio (Linux only)"
    for program, package in (("pulseaudio", "pulseaudio"), ("parec", "pulseaudio-utils"), ("pacat", "pulseaudio-utils")):
        if shutil.which(program) is None:
            return package
    if ctypes.util.find_library("portaudio") is None:
        return "libportaudio2"
    if not any(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        return "libasound2-plugins"
    return None


@dataclass(frozen=True)
class SoundLab:
    """A sound server. ``environment`` leads programs to it."""

    folder: Path
    environment: dict[str, str]

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS, check=True)

    def start(self, *command: str, output: Path | None = None) -> subprocess.Popen[bytes]:
        with (output or Path(os.devnull)).open("wb") as file:
            return subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def ear(self) -> Iterator[Callable[[], Samples]]:
        """Records the loudspeaker; gives what was recorded so far. It opens the device with low latency, and keeps it awake."""
        file = self.folder / "ear.raw"
        with stopping(self.start("parec", *RAW, "-d", "ear.monitor", output=file)):
            yield lambda: np.frombuffer(file.read_bytes()[: file.stat().st_size // 2 * 2], "<i2")

    @contextlib.contextmanager
    def mouth(self, hz: float) -> Iterator[None]:
        """Says a tone of -20 dBFS into the microphone, for at most a minute."""
        voice = self.folder / "voice.raw"
        voice.write_bytes(Sine(hz).pull(60 * RATE).tobytes())
        with stopping(self.start("pacat", *RAW, "--playback", "-d", "mouth", str(voice))):
            yield


@contextlib.contextmanager
def stopping(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SoundLab]:
    missing = missing_package()
    if missing is not None:
        pytest.skip(f"needs the package {missing}")
    tmp_path.chmod(0o700)
    socket = tmp_path / "pulse.sock"
    (tmp_path / ".asoundrc").write_text(ASOUNDRC)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_SINK": "ear",
        "PULSE_SOURCE": "mouth.monitor",
    }
    found = SoundLab(tmp_path, environment)
    server = found.start(*SERVER, "-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1")
    with stopping(server):
        limit = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < limit, "PulseAudio didn't start"
            assert server.poll() is None, "PulseAudio ended"
            time.sleep(0.1)
        yield found
