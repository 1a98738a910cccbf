"""A measured call between two baresips (Debian's 1.0): from a file, to a null sink of PulseAudio, which is recorded."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from quality_urgency import hurry

from sinchphone.audio.frame import RATE, Samples

MODULES = Path("/usr/lib/baresip/modules")
PATIENCE_S = 10.0
AWAKE_S = 4.0  # a null sink that nobody listened to before stalls for up to 2 s

CONFIG = """
sip_listen {address}:5060
audio_path /usr/share/baresip
audio_source aufile,{said}
audio_player alsa,{player}
audio_alert none,none
ausrc_srate 48000
auplay_srate 48000
ausrc_channels 1
auplay_channels 1
jitter_buffer_delay 5-10
rtcp_mux no
module_path {modules}
module opus.so
module plc.so
module aufile.so
module alsa.so
module uuid.so
module_app account.so
module_app menu.so
opus_bitrate 32000
opus_stereo no
opus_sprop_stereo no
opus_inbandfec yes
opus_packet_loss 10
opus_complexity 10
"""

RECORDER = ("parec", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=10", "--raw")
SERVER = (
    *("pulseaudio", "-n", "--system=false", "--exit-idle-time=-1", "--daemonize=no"),
    *("--use-pid-file=no", "--realtime=no", "--high-priority=no"),
)


def missing() -> str | None:
    """What is not installed, in words; ``None`` where all is there."""
    if shutil.which("baresip") is None:
        return "baresip-core"
    if shutil.which("pulseaudio") is None or shutil.which("parec") is None:
        return "pulseaudio, pulseaudio-utils"
    return None if any(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")) else "libasound2-plugins"


@contextlib.contextmanager
def sound_server(folder: Path, sinks: int) -> Iterator[dict[str, str]]:
    """A PulseAudio with so many null sinks for listeners, and one that nobody listens to; the environment that leads to it."""
    folder.mkdir(mode=0o700)
    socket = folder / "pulse.sock"
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_SERVER": f"unix:{socket}"}
    names = ["nowhere", *(f"ear{number}" for number in range(sinks))]
    loads = [f"module-null-sink sink_name={name} rate=48000 channels=1 format=s16le" for name in names]
    loads.append(f"module-native-protocol-unix socket={socket} auth-anonymous=1")
    command = [*SERVER, *(part for load in loads for part in ("-L", load))]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + PATIENCE_S
        while subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < limit, "PulseAudio didn't start"
            time.sleep(0.1)
        with contextlib.ExitStack() as stack:
            for name in names:  # they keep the sinks awake, and their periods short
                stack.enter_context(_recording([*RECORDER, "-d", f"{name}.monitor"], environment, subprocess.DEVNULL))
            time.sleep(AWAKE_S)
            hurry(server.pid)
            yield environment
    finally:
        _stop(server)


def write_wav(file: Path, sound: Samples) -> None:
    """For baresip, which plays files."""
    with av.open(str(file), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def call(
    folder: Path,
    slot: int,
    addresses: tuple[str, str],
    on_host: Callable[..., list[str]],
    environment: dict[str, str],
    said: Path,
    seconds: float,
    started: Callable[[], None],
) -> Samples:
    """What host 1 heard, from some moment before the call on. ``started`` is told when both ends are there."""
    heard = folder / "heard.raw"
    ear = f"ear{slot}"
    recorder = [*RECORDER, "-d", f"{ear}.monitor"]
    quiet = folder / "quiet.wav"
    write_wav(quiet, np.zeros(int((seconds + 10) * RATE), np.int16))
    with contextlib.ExitStack() as stack:
        callee = _configure(folder / "callee", addresses[1], quiet, ear, environment)
        caller = _configure(folder / "caller", addresses[0], said, "nowhere", environment)
        stack.enter_context(_running(on_host(1, *callee[0]), callee[1], "baresip is ready"))
        with heard.open("wb") as file:
            stack.enter_context(_recording(recorder, environment, file.fileno()))
        dial = ["-e", f"/dial sip:b@{addresses[1]}"]
        stack.enter_context(_running(on_host(0, *caller[0], *dial), caller[1], "Call established"))
        started()
        time.sleep(seconds + 1.0)
    return np.fromfile(heard, np.int16)


def _configure(folder: Path, address: str, said: Path, sink: str, environment: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    folder.mkdir()
    (folder / "config").write_text(CONFIG.format(address=address, said=said, player=sink, modules=MODULES))
    (folder / "accounts").write_text(f"<sip:b@{address}>;regint=0;answermode=auto;audio_codecs=opus/48000/1\n")
    (folder / "contacts").write_text("")
    (folder / ".asoundrc").write_text(f"pcm.{sink} {{ type pulse device {sink} }}\nctl.{sink} {{ type pulse }}\n")
    return ["baresip", "-f", str(folder), "-v"], {**environment, "HOME": str(folder)}


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str], sign: str) -> Iterator[None]:
    """A baresip, from when its log shows ``sign`` on."""
    log = Path(environment["HOME"]) / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=file, stderr=file)
    try:
        limit = time.monotonic() + PATIENCE_S
        while sign not in log.read_text("utf-8", "replace"):
            assert time.monotonic() < limit and process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
            time.sleep(0.02)
        hurry(process.pid)
        yield
    finally:
        _stop(process)


@contextlib.contextmanager
def _recording(command: list[str], environment: dict[str, str], output: int) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
