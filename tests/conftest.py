"""A sound server of the test's own, PulseAudio or PipeWire, whose loudspeakers ("ear", "ear2") and microphones ("mouth", "mouth2") are
null sinks.

Everything that uses PortAudio runs in a process of its own, because ALSA reads its configuration once per process.
"""

import contextlib
import ctypes.util
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.tones.signals import Sine
from tests.suite.bytecode import write_bytecode
from tests.suite.guests import fetch_early, needs_guests
from tests.suite.phases import LONG, PhasedScheduling, cores, hash_alike, may_be_tried_again, phase_of, processes_for, step_back, tell
from tests.suite.pure_cpu import count_cpu
from tests.suite.second_tries import tell_reasons
from tests.suite.signals import reset_ignored_signals

PATIENCE_SECONDS = 30.0
RAW = ("--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=20")

ASOUNDRC = """
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.lab_ear { type pulse device ear }
pcm.lab_mouth { type pulse device mouth.monitor }
pcm.second_ear { type pulse device ear2 }
pcm.second_mouth { type pulse device mouth2.monitor }
"""

SINKS = ("ear", "mouth", "ear2", "mouth2")
NULL_SINK = "rate=48000 channels=1"
PULSEAUDIO = (
    *("pulseaudio", "-n", "--system=false", "--exit-idle-time=-1", "--daemonize=no"),
    *("--use-pid-file=no", "--realtime=no", "--high-priority=no"),
    *(word for sink in SINKS for word in ("-L", f"module-null-sink sink_name={sink} {NULL_SINK} format=s16le")),
)
PIPEWIRE = ("dbus-run-session", "--", "sh", "-c", "pipewire & sleep 0.5; wireplumber & pipewire-pulse & wait")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    reset_ignored_signals()
    step_back(config)
    # Commands host their exchange themselves, where a test isn't about the process in the background: nothing is left behind.
    os.environ["SINCHPHONE_BACKGROUND"] = "false"
    if os.environ.get("SINCHPHONE_COUNT_LINES"):
        from tests.suite.covered import count_lines

        count_lines(config)
    count_cpu(config)
    hash_alike()
    # No deadlines, since others use the machine too. Many more inputs: tests/fuzz, and any property with --hypothesis-profile=thorough.
    patient = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("patient", patient)
    settings.register_profile("thorough", patient, max_examples=2_000)
    settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def passwords_cost_little() -> Iterator[None]:
    """A tenth of a second for each password is for those who steal them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sinchphone.exchange.directory.passwords._LOG2_COST", 10)
        yield


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return processes_for(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    write_bytecode(config.rootpath / "tests", cores())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    tell(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> PhasedScheduling:
    return PhasedScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests live until the end: they are no garbage, now or whenever a test makes some."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of the phases; who waits for guests comes last in theirs, and what takes long first. The only place where tests get
    other chances."""
    items.sort(key=lambda item: (phase_of(item.path), needs_guests(item.path), item.path.name not in LONG))
    for item in items:
        if may_be_tried_again(item.path.relative_to(item.config.rootpath)):
            item.add_marker(pytest.mark.flaky(reruns=2))


def pytest_collection_finish(session: pytest.Session) -> None:
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw0":
        fetch_early(item.path for item in session.items)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    tell_reasons(terminalreporter)


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


def missing_of_pipewire() -> str | None:
    programs = {"pipewire": "pipewire", "pipewire-pulse": "pipewire-pulse", "wireplumber": "wireplumber", "dbus-run-session": "dbus-daemon"}
    return next((package for program, package in programs.items() if shutil.which(program) is None), None)


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

    def control(self, *arguments: str) -> str:
        """Runs pactl."""
        done = subprocess.run(
            ["pactl", *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
        )
        return done.stdout.strip()

    @contextlib.contextmanager
    def ear(self, sink: str = "ear") -> Iterator[Callable[[], Samples]]:
        """Records a loudspeaker; gives what was recorded so far. It opens the device with low latency, and keeps it awake."""
        file = self.folder / f"{sink}.raw"
        with stopping(self.start("parec", *RAW, "-d", f"{sink}.monitor", output=file)):
            yield lambda: np.frombuffer(file.read_bytes()[: file.stat().st_size // 2 * 2], "<i2")

    @contextlib.contextmanager
    def mouth(self, hz: float, sink: str = "mouth") -> Iterator[None]:
        """Says a tone of -20 dBFS into a microphone, for at most a minute."""
        voice = self.folder / f"{sink}.raw"
        voice.write_bytes(Sine(hz).pull(60 * RATE).tobytes())
        with stopping(self.start("pacat", *RAW, "--playback", "-d", sink, str(voice))):
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


@contextlib.contextmanager
def sound_server(folder: Path, socket: Path, command: tuple[str, ...]) -> Iterator[SoundLab]:
    """Runs ``command``, which listens at ``socket``."""
    folder.chmod(0o700)
    if not (folder / ".asoundrc").exists():
        (folder / ".asoundrc").write_text(ASOUNDRC)
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_SINK": "ear",
        "PULSE_SOURCE": "mouth.monitor",
    }
    found = SoundLab(folder, environment)
    server = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        limit = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < limit, "the sound server didn't start"
            assert server.poll() is None, "the sound server ended"
            time.sleep(0.1)
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):  # the whole session: PipeWire is three programs
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(10)


@contextlib.contextmanager
def pulseaudio(folder: Path) -> Iterator[SoundLab]:
    socket = folder / "pulse.sock"
    with sound_server(folder, socket, (*PULSEAUDIO, "-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1")) as found:
        yield found


@contextlib.contextmanager
def pipewire(folder: Path) -> Iterator[SoundLab]:
    with sound_server(folder, folder / "pulse" / "native", PIPEWIRE) as found:
        for sink in SINKS:
            found.control("load-module", "module-null-sink", f"sink_name={sink}", *NULL_SINK.split())
        yield found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SoundLab]:
    """PulseAudio."""
    missing = missing_package()
    if missing is not None:
        pytest.skip(f"needs the package {missing}")
    with pulseaudio(tmp_path) as found:
        yield found


@pytest.fixture
def sound_servers() -> Callable[[Path], contextlib.AbstractContextManager[SoundLab]]:
    """Starts PulseAudio in a folder; again, where it was stopped."""
    missing = missing_package()
    if missing is not None:
        pytest.skip(f"needs the package {missing}")
    return pulseaudio


@pytest.fixture(params=["pulseaudio", "pipewire"])
def any_lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SoundLab]:
    """PulseAudio, and PipeWire in its place."""
    missing = missing_package() or (missing_of_pipewire() if request.param == "pipewire" else None)
    if missing is not None:
        pytest.skip(f"needs the package {missing}")
    with (pulseaudio if request.param == "pulseaudio" else pipewire)(tmp_path) as found:
        yield found
