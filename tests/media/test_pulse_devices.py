"""Real sound, without a sound card: a PulseAudio of the test's own, whose loudspeaker and microphone are null sinks.

Everything that uses PortAudio runs in a process of its own, because ALSA reads its configuration once per process.
"""

import contextlib
import ctypes.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.goertzel import share
from sinchphone.audio.level import dbfs
from sinchphone.audio.tones import Sine

PATIENCE_SECONDS = 30.0
HEARD_SECONDS = 1.0

# A leg that says 1000 Hz, at a desk with the machine's devices, until the microphone has heard 440 Hz for a second.
DESK = """
import asyncio, json, sys, time
import numpy as np
from sinchphone.audio.goertzel import share
from sinchphone.audio.tones import Sine
from sinchphone.media.desk.desk import Desk
from sinchphone.media.sound import SoundOptions
from sinchphone.media.thread import MediaThread

class Leg:
    def __init__(self):
        self.tone, self.sent = Sine(1000), []
    def send(self, frame):
        self.sent.append(frame)
    def pull(self, samples):
        return self.tone.pull(samples)

async def main(options):
    leg, seconds = Leg(), 0.0
    async with MediaThread() as media:
        desk = Desk(options, media)
        await desk.open()
        await desk.connect(leg)
        limit = time.monotonic() + 25
        while seconds < 1.0 and time.monotonic() < limit:
            await asyncio.sleep(0.1)
            heard = sum(share(np.concatenate(leg.sent[at : at + 5]), 440) > 0.95 for at in range(0, len(leg.sent) - 4, 5))
            seconds = heard * 0.1
        levels = desk.levels()
        await asyncio.sleep(1.0)
        await desk.close()
    warnings = [str(event) async for event in desk.events()]
    print(json.dumps({"heard_s": seconds, "near_dbfs": levels.near_dbfs, "far_dbfs": levels.far_dbfs, "warnings": warnings}))

asyncio.run(main(SoundOptions(**json.loads(sys.argv[1]))))
"""

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

LIST = """
import json
from sinchphone.media.desk.devices import list_devices
print(json.dumps([(device.name, device.inputs > 0, device.outputs > 0) for device in list_devices()]))
"""


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


pytestmark = pytest.mark.skipif(missing_package() is not None, reason=f"needs the package {missing_package()}")


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


def loudest_second(recording: Path) -> Samples:
    sound = np.frombuffer(recording.read_bytes()[: recording.stat().st_size // 2 * 2], "<i2")
    starts = range(0, max(1, len(sound) - RATE), RATE // 10)
    return max((sound[start : start + RATE] for start in starts), key=lambda second: share(second, 1000))


@pytest.mark.parametrize("options", [{}, {"input": "lab_mouth", "output": "lab_ear"}], ids=["default devices", "named devices"])
def test_a_desk_plays_to_the_loudspeaker_and_hears_the_microphone(lab: SoundLab, options: dict[str, str]) -> None:
    voice = lab.folder / "voice.raw"
    voice.write_bytes(Sine(440).pull(60 * RATE).tobytes())
    raw = ("--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=20")
    ear = lab.folder / "ear.raw"
    with (
        stopping(lab.start("parec", *raw, "-d", "ear.monitor", output=ear)),
        stopping(lab.start("pacat", *raw, "--playback", "-d", "mouth", str(voice))),
    ):
        done = lab.run(DESK, json.dumps(options))
    result = json.loads(done.stdout)
    assert result["heard_s"] >= HEARD_SECONDS
    assert result["near_dbfs"] == pytest.approx(-20, abs=1)
    assert result["far_dbfs"] == pytest.approx(-20, abs=1)
    assert result["warnings"] == []
    played = loudest_second(ear)
    assert share(played, 1000) > 0.95
    assert dbfs(played) == pytest.approx(-20, abs=1)


def test_devices_are_found_by_name_and_listing_writes_nothing_on_the_terminal(lab: SoundLab) -> None:
    done = lab.run(LIST)
    assert done.stderr == ""
    found = {name: (inputs, outputs) for name, inputs, outputs in json.loads(done.stdout)}
    assert "lab_ear" in found
    assert found["default"] == (True, True)


def test_a_sound_server_that_ends_is_one_warning_and_the_call_goes_on(lab: SoundLab) -> None:
    program = DESK.replace("limit = time.monotonic() + 25", "limit = time.monotonic() + 3; await asyncio.to_thread(sys.stdin.readline)")
    command = [sys.executable, "-c", program, "{}"]
    with subprocess.Popen(
        command, env=lab.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as desk:
        time.sleep(3)
        subprocess.run(["pactl", "exit"], env=lab.environment, check=True)
        out, err = desk.communicate("\n", timeout=PATIENCE_SECONDS)
    result = json.loads(out)
    assert desk.returncode == 0
    assert len(result["warnings"]) == 1
    assert "the sound device stopped" in result["warnings"][0]
    assert "Traceback" not in err  # what PortAudio's own thread writes there can't be stopped from here
