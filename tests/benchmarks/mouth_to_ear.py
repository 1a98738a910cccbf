"""Mouth to ear through sound devices: chirps into one end's microphone, recorded there and at the other end's loudspeaker on one clock.

usage: python tests/benchmarks/mouth_to_ear.py [SECONDS]

::

    chirps -> null sink "mouth" (left) -> microphone -> call -> loudspeaker -> null sink "ear" (right)
                                   `------ one stereo recorder of both ------'

The device floor is the same way without a call: the microphone's blocks go straight to the loudspeaker. Needs Debian's pulseaudio,
pulseaudio-utils, libasound2-plugins and libportaudio2.
"""

import asyncio
import collections
import contextlib
import fractions
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from figures import median, rounds, table
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Frame, Samples

FLOOR, OURS, CLEANED, STOCK = KINDS = ("device floor", "sinchphone", "sinchphone, echo cancelled", "stock aiortc")
PATIENCE_S = 30.0
SETTLE_S = 4.0  # a null sink that was just opened stalls for up to two seconds
PERIOD_S = 0.73
CHIRP_S = 0.03

ASOUNDRC = "".join(f"pcm.{name} {{ type pulse; device {device} }}\n" for name, device in (("mic", "mic"), ("ear", "ear")))
SERVER = (
    *("pulseaudio", "-n", "--system=false", "--exit-idle-time=-1", "--daemonize=no"),
    *("--use-pid-file=no", "--realtime=no", "--high-priority=no"),
    *("-L", "module-null-sink sink_name=air rate=48000 channels=2 format=s16le channel_map=front-left,front-right"),
    *("-L", "module-remap-sink sink_name=mouth master=air channels=1 channel_map=mono master_channel_map=front-left remix=no"),
    *("-L", "module-remap-sink sink_name=ear master=air channels=1 channel_map=mono master_channel_map=front-right remix=no"),
    *("-L", "module-remap-source source_name=mic master=air.monitor channels=1 channel_map=mono master_channel_map=front-left remix=no"),
)


def chirp() -> NDArray[np.float64]:
    times = np.arange(int(CHIRP_S * RATE)) / RATE
    return np.sin(2 * np.pi * (500 * times + 3000 / (2 * CHIRP_S) * times**2)) * np.hanning(len(times)) * 0.5


def chirps(seconds: float) -> Samples:
    wave = np.zeros(int(seconds * RATE))
    for number in range(int(seconds / PERIOD_S) - 1):
        start = int((0.3 + number * PERIOD_S) * RATE)
        wave[start : start + len(chirp())] += chirp()
    return np.asarray(wave * 32_767, np.int16)


def found(track: NDArray[np.float64]) -> list[int]:
    """Where the chirps begin: peaks of the correlation, at least a third of a second apart."""
    sample = chirp()
    size = 1 << (len(track) + len(sample)).bit_length()
    likeness = np.abs(np.fft.irfft(np.fft.rfft(track, size) * np.conj(np.fft.rfft(sample, size)), size)[: len(track)])
    peaks, at, threshold = [], 0, likeness.max() * 0.4
    if likeness.max() < 1e4:
        return []
    while at < len(likeness):
        if likeness[at] > threshold:
            peaks.append(at + int(np.argmax(likeness[at : at + RATE // 10])))
            at = peaks[-1] + RATE // 3
        else:
            at += 1
    return peaks


def delays_ms(recorded: Samples) -> list[float]:
    said, heard = (found(recorded.reshape(-1, 2)[:, side].astype(np.float64)) for side in (0, 1))
    delays = []
    for moment in said:
        after = next((each for each in heard if each > moment - RATE // 1000), None)
        if after is not None and after - moment < PERIOD_S * RATE:
            delays.append((after - moment) * 1000 / RATE)
    return delays


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], output: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with (output or Path(os.devnull)).open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def measure(kind: str, seconds: float) -> list[float]:
    """One kind of line, on a sound server of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".asoundrc").write_text(ASOUNDRC)
        socket = f"unix:{folder}/pulse.sock"
        environment = {**os.environ, "HOME": name, "XDG_RUNTIME_DIR": name, "PULSE_SERVER": socket}
        (folder / "chirps.raw").write_bytes(chirps(seconds).tobytes())
        module = f"module-native-protocol-unix socket={folder}/pulse.sock auth-anonymous=1"
        raw = ["--raw", "--format=s16le", "--rate=48000"]
        with running([*SERVER, "-L", module], environment):
            until = time.monotonic() + PATIENCE_S
            while subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False).returncode:
                assert time.monotonic() < until, "PulseAudio didn't start"
                time.sleep(0.1)
            recorder = ["parec", *raw, "--channels=2", "--channel-map=front-left,front-right", "--latency-msec=10", "-d", "air.monitor"]
            line = [sys.executable, __file__, "--line", kind]
            with running(recorder, environment, folder / "air.raw"), running(line, environment):
                time.sleep(SETTLE_S)
                player = ["pacat", *raw, "--channels=1", "--latency-msec=30", "-d", "mouth", str(folder / "chirps.raw")]
                subprocess.run(player, env=environment, timeout=seconds + PATIENCE_S, check=True)
                time.sleep(0.5)
        recorded = np.fromfile(folder / "air.raw", "<i2")
        return delays_ms(recorded[: len(recorded) // 2 * 2])


# The lines, each in a process of its own that runs until it is ended


def floor() -> None:
    """The microphone's blocks go straight to the loudspeaker."""
    import sounddevice

    blocks: collections.deque[bytes] = collections.deque(maxlen=2)

    def play(target: Any, samples: int, *_: Any) -> None:
        target[:] = blocks.popleft() if blocks else bytes(2 * samples)

    form: dict[str, Any] = {"samplerate": RATE, "channels": 1, "dtype": "int16", "blocksize": 480, "latency": "low"}
    with (
        sounddevice.RawInputStream(device="mic", callback=lambda block, *_: blocks.append(bytes(block)), **form),
        sounddevice.RawOutputStream(device="ear", callback=play, **form),
    ):
        time.sleep(600)


async def ours(echo_cancel: Literal["on", "off"]) -> None:
    """Two desks and two ports of ours in one process: the one has the microphone, the other the loudspeaker."""
    from sinchphone.media.local_audio.local_audio import LocalAudio
    from sinchphone.media.port import CandidateFound, Connected, MediaPort, PortOptions
    from sinchphone.media.sound import SoundOptions
    from sinchphone.media.thread import MediaThread

    async def follow(port: MediaPort, other: MediaPort, connected: asyncio.Event) -> None:
        async for event in port.events():
            if isinstance(event, CandidateFound):
                await other.add_candidate(event.candidate)
            elif isinstance(event, Connected):
                connected.set()

    async with MediaThread() as media, asyncio.TaskGroup() as group:
        mouth, ear = (media.ports.port(PortOptions(loopback=True)) for _ in range(2))
        up = [asyncio.Event(), asyncio.Event()]
        offer = await mouth.offer()
        await mouth.accept(await ear.answer(offer))
        group.create_task(follow(mouth, ear, up[0]))
        group.create_task(follow(ear, mouth, up[1]))
        for event in up:
            await event.wait()
        talks = LocalAudio(SoundOptions(input="mic", output="ear", echo_cancel=echo_cancel), media)
        hears = LocalAudio(SoundOptions(output="ear", microphone=False), media)
        await hears.open()
        await hears.connect(ear.leg)
        await talks.open()
        await talks.connect(_Deaf(mouth.leg))
        await asyncio.sleep(600)


class _Deaf:
    """A leg that only talks: its loudspeaker stays silent."""

    def __init__(self, leg: Any) -> None:
        self.send = leg.send

    def is_missing(self) -> bool:
        return False

    def pull(self, samples: int) -> Samples:
        return np.zeros(samples, np.int16)


async def stock_call() -> None:
    """Two peer connections of aiortc, with a queue at each end, as its examples have them."""
    import sounddevice
    import stock
    from aiortc import MediaStreamTrack
    from av import AudioFrame

    loop = asyncio.get_running_loop()
    captured: asyncio.Queue[bytes] = asyncio.Queue()
    to_play: collections.deque[bytes] = collections.deque()

    class Microphone(MediaStreamTrack):
        kind = "audio"
        sent = 0

        async def recv(self) -> AudioFrame:
            frame = AudioFrame.from_ndarray(np.frombuffer(await captured.get(), np.int16)[None, :], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self.sent, fractions.Fraction(1, RATE)
            self.sent += frame.samples
            return frame

    class Ear(stock.Peer):
        async def _listen(self, track: MediaStreamTrack) -> None:
            while True:
                frame: Frame = (await track.recv()).to_ndarray().reshape(-1)[::2].astype(np.int16)  # type: ignore[union-attr]
                to_play.append(frame.tobytes())

    mouth, ear = stock.Peer(440.0), Ear(620.0)
    mouth.connection.getSenders()[0].replaceTrack(Microphone())
    await mouth.accept(await ear.answer(await mouth.offer()))
    await mouth.connected.wait()
    await ear.connected.wait()
    said, waiting = bytearray(), bytearray()

    def capture(block: Any, *_: Any) -> None:
        said.extend(bytes(block))
        while len(said) >= 1920:
            loop.call_soon_threadsafe(captured.put_nowait, bytes(said[:1920]))
            del said[:1920]

    def play(target: Any, samples: int, *_: Any) -> None:
        while len(waiting) < 2 * samples and to_play:
            waiting.extend(to_play.popleft())
        ready = len(waiting) >= 2 * samples
        target[:] = bytes(waiting[: 2 * samples]) if ready else bytes(2 * samples)
        if ready:
            del waiting[: 2 * samples]

    form: dict[str, Any] = {"samplerate": RATE, "channels": 1, "dtype": "int16", "blocksize": 480, "latency": "low"}
    with (
        sounddevice.RawInputStream(device="mic", callback=capture, **form),
        sounddevice.RawOutputStream(device="ear", callback=play, **form),
    ):
        await asyncio.sleep(600)


def main() -> None:
    if sys.argv[1:2] == ["--line"]:
        lines = {FLOOR: floor, OURS: lambda: asyncio.run(ours("off")), CLEANED: lambda: asyncio.run(ours("on"))}
        lines.get(sys.argv[2], lambda: asyncio.run(stock_call()))()  # type: ignore[no-untyped-call]
        return
    seconds = float(rounds(12))
    rows = {}
    for kind in KINDS:
        delays = measure(kind, seconds)
        rows[kind] = (median(delays), min(delays, default=float("nan")), max(delays, default=float("nan")), float(len(delays)))
    print(table("mouth to ear (ms)", ("median", "least", "most", "chirps"), rows))
    above, ratio = rows[OURS][0] - rows[FLOOR][0], rows[OURS][0] / rows[STOCK][0]
    print(f"\nours above the device floor: {above:.1f} ms; ours : stock {ratio:.2f}")


if __name__ == "__main__":
    main()
