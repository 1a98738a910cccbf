"""Echo of a loudspeaker in a room: how much weaker our processing makes it, what it leaves of the person, what it costs.

usage: python tests/benchmarks/echo.py [--set report|tuning] [--peers]

::

    far speech -> loudspeaker (clips) -> room (rooms.py), 12 dB weaker -> microphone (its own clock, noise) + near speech -> processing

A scene is made of samples, without devices and clocks: SECONDS of speech from the far end, then as long of both at once. The loss is the
level of the echo against what is left of it, from 6 s on (where the devices' delay jumps: from 6 s after the jump on) while somebody
speaks there. What is kept is how much of the near speech is in what is sent while both speak; it counts as lost too where it is
distorted. Then the gain control: how loud somebody arrives who speaks at some level.

Constants may be chosen on the set *tuning* of speech.py, figures that are told are of *report*. --peers adds libwebrtc's AEC3 on the same
samples, twice: pywebrtc-audio's, which was ours before (CPU is told beside it), and PyPI's livekit's, the processing of current browsers
(echo_livekit.py, installed into a cache folder).
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import pywebrtc_audio
import speech
from figures import median, table
from numpy.typing import NDArray
from rooms import Room

from sinchphone.audio.frame import RATE, Samples
from sinchphone.exchange.destinations.prompts import load
from sinchphone.media.local_audio.voice import VoiceProcessing, make_voice
from sinchphone.media.options import AudioOptions
from tests.suite import guests

BLOCK = RATE // 100
SECONDS = 16.0
SETTLED_S = 6.0
JUMP_S = 8.0
NOMINAL_DBFS, LOUD_DBFS = -26.0, -16.0  # speech on a line (ITU-T P.56), and somebody who shouts
ECHO_DB = -12.0
NOISE_DBFS = -75.0
SPEAKS_DBFS = -55.0  # of the echo in 10 ms: less is a pause
LATEST_MS = 50.0  # of what is sent
TALKERS_DBFS = (-40.0, -30.0, -20.0, -10.0)
ARRIVES_S = 10.0  # so long a gain control may take

Wave = NDArray[np.float64]


class Processing(Protocol):
    """Takes what was played and what was heard, in blocks of 10 ms; gives what is to be sent."""

    def far(self, samples: Samples) -> None: ...

    def near(self, samples: Samples) -> Samples: ...


class Say(Protocol):
    """Speech of so many seconds, so loud; of it the first ``start_s`` are left out."""

    def __call__(self, seconds: float, level_dbfs: float, start_s: float = 0.0) -> Samples: ...


Make = Callable[[], Processing]


@dataclass(frozen=True)
class Scene:
    """What is between the loudspeaker and the microphone."""

    delay_ms: float = 30.0
    drift_ppm: float = 0.0
    decay_s: float = 0.3  # RT60
    far_dbfs: float = NOMINAL_DBFS
    clips: float | None = None  # at that part of full scale, hard; else softly at a half
    jump_ms: float = 0.0  # of the devices' delay, after JUMP_S
    diffuse: bool = False  # sound from everywhere, of which a twelve-hundredth part comes straight: no box has it, some halls nearly

    @property
    def name(self) -> str:
        parts = [f"{self.delay_ms:.0f} ms", f"RT60 {self.decay_s:.1f} s"]
        parts += [f"{self.drift_ppm:+.0f} ppm"] if self.drift_ppm else []
        parts += ["loud"] if self.far_dbfs == LOUD_DBFS else []
        parts += ["clips"] if self.clips else []
        parts += ["diffuse"] if self.diffuse else []
        return ", ".join([*parts, f"then {self.jump_ms:+.0f} ms"] if self.jump_ms else parts)


@dataclass(frozen=True)
class Found:
    """The result in one scene."""

    loss_db: float
    kept_db: float  # of the near speech while both speak: 0 is all of it
    cpu_us: float  # for 10 ms, mean


HALL = 0.8
SCENES = (
    *(Scene(delay, drift) for delay in (30.0, 150.0) for drift in (0.0, 100.0, -100.0)),
    *(Scene(delay, decay_s=HALL) for delay in (30.0, 150.0)),
    *(Scene(delay, decay_s=HALL, diffuse=True) for delay in (30.0, 150.0)),
    Scene(far_dbfs=LOUD_DBFS),
    Scene(far_dbfs=LOUD_DBFS, diffuse=True),
    *(Scene(decay_s=decay, far_dbfs=LOUD_DBFS, clips=0.3) for decay in (0.3, HALL)),
    *(Scene(delay, jump_ms=jump) for delay, jump in ((30.0, 60.0), (150.0, -90.0), (90.0, 10.0))),
    Scene(decay_s=HALL, jump_ms=60.0),
)


def prompts(seconds: float, level_dbfs: float, start_s: float = 0.0) -> Samples:
    """Recorded prompts of that level: they are always there."""
    return _levelled(np.roll(load("speech"), -round(start_s * RATE)), seconds, level_dbfs)


def talk(chosen: str) -> Say:
    """Speech of that set: as ``prompts``."""

    def say(seconds: float, level_dbfs: float, start_s: float = 0.0) -> Samples:
        return _levelled(np.roll(_spoken(chosen), -round(start_s * RATE)), seconds, level_dbfs)

    return say


@cache
def _spoken(chosen: str) -> Samples:
    return speech.speech(chosen=chosen).sound[round(speech.LEAD_S * RATE) :]


def _levelled(said: Samples, seconds: float, level_dbfs: float) -> Samples:
    wave: Wave = np.resize(said, round(seconds * RATE)).astype(float) * 10 ** ((level_dbfs - active_dbfs(said)) / 20)
    return as_samples(wave)


def active_dbfs(said: Samples) -> float:
    """The level of speech while it lasts: of those 10 ms that are less than 30 dB below the loudest."""
    power = _powers(said)
    return 10 * math.log10(power[power > power.max() / 1000].mean() / 32_768**2)


def echo_of(far: Samples, scene: Scene) -> Wave:
    """What the microphone hears of ``far``, on its own clock."""
    response = (diffuse if scene.diffuse else room)(scene.decay_s) * 10 ** (ECHO_DB / 20)
    full = far / 32_768
    played = (np.tanh(2 * full) / 2 if scene.clips is None else np.clip(full, -scene.clips, scene.clips)) * 32_768
    played = np.interp(np.arange(len(far)) * (1 + scene.drift_ppm * 1e-6), np.arange(len(far)), played)
    size = 1 << (len(played) + len(response)).bit_length()
    heard = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(response, size), size)[: len(far)]
    jumps = round(JUMP_S * RATE)
    delays = np.full(len(far), round(scene.delay_ms * RATE / 1000))
    delays[jumps:] += round(scene.jump_ms * RATE / 1000)
    at = np.arange(len(far)) - delays
    return np.where(at >= 0, heard[np.maximum(at, 0)], 0.0)


@cache
def room(decay_s: float) -> Wave:
    return Room(decay_s).response()


@cache
def diffuse(decay_s: float) -> Wave:
    times = np.arange(round(decay_s * RATE)) / RATE
    response: Wave = np.random.default_rng(2).normal(0, 1, len(times)) * np.exp(-6.9 * times / decay_s)
    response[0] = 3
    return response / math.sqrt(float(np.dot(response, response)))


def through(voice: Processing, captured: Samples, far: Samples, drift_ppm: float) -> tuple[Samples, float]:
    """What is sent, and the mean time [us] that a block took. The loudspeaker is two blocks ahead and keeps its own time."""
    sent, took, played = [], [], 0
    for start in range(0, len(captured) - BLOCK + 1, BLOCK):
        while played < (start + 2 * BLOCK) * (1 + drift_ppm * 1e-6):
            voice.far(far[played : played + BLOCK])
            played += BLOCK
        began = time.perf_counter()
        sent.append(voice.near(captured[start : start + BLOCK]))
        took.append(time.perf_counter() - began)
    halves = [sum(pair) / 2 for pair in zip(took[::2], took[1::2], strict=False)]  # one may process two blocks at once
    return np.concatenate(sent), 1e6 * median(halves)


def as_samples(wave: Wave) -> Samples:
    return np.clip(np.rint(wave), -32_768, 32_767).astype(np.int16)


def _powers(wave: Samples) -> Wave:
    blocks = len(wave) // BLOCK
    found: Wave = (wave[: blocks * BLOCK].astype(float).reshape(-1, BLOCK) ** 2).mean(axis=1)
    return found


def loss(echo: Samples, rest: Samples) -> float:
    """The echo against what is left of it [dB], over those 10 ms in which there is an echo."""
    samples = min(len(echo), len(rest))
    before, after = _powers(echo[:samples]), _powers(rest[:samples])
    speaks = before > (10 ** (SPEAKS_DBFS / 20) * 32_768) ** 2
    return 10 * math.log10(before[speaks].mean() / max(after[speaks].mean(), 1 / 12))


def kept(near: Samples, sent: Samples) -> float:
    """How much of ``near`` is in ``sent`` [dB], at whatever delay up to LATEST_MS it comes."""
    wanted = near.astype(float)
    size = 1 << (2 * len(wanted)).bit_length()
    match = np.fft.irfft(np.fft.rfft(sent.astype(float), size) * np.conj(np.fft.rfft(wanted, size)), size)[: round(LATEST_MS * RATE / 1000)]
    return 20 * math.log10(max(1e-3, float(match.max()) / float(np.dot(wanted, wanted))))


def ours() -> VoiceProcessing:
    """The processing that a call with a loudspeaker has."""
    voice = make_voice(AudioOptions(echo_cancel="on"), "speakers")
    assert voice is not None
    return voice


def untreated() -> VoiceProcessing:
    return VoiceProcessing()


class Aec3:
    """What the microphone's sound was treated with before: pywebrtc-audio's AEC3."""

    def __init__(self) -> None:
        self._processor = pywebrtc_audio.AudioProcessor(sample_rate=RATE, echo_cancellation=True, high_pass_filter=True)
        self._played: deque[Samples] = deque()

    def far(self, samples: Samples) -> None:
        self._played.append(samples)

    def near(self, samples: Samples) -> Samples:
        sent: Samples = self._processor.process(samples, self._played.popleft() if self._played else np.zeros(len(samples), np.int16))
        return sent


@dataclass(frozen=True)
class Recording:
    """A scene's samples."""

    far: Samples
    echo: Samples
    near: Samples
    captured: Samples


def record(scene: Scene, say: Say = prompts) -> Recording:
    far = say(2 * SECONDS, scene.far_dbfs)
    noise = np.random.default_rng(3).normal(0, 10 ** (NOISE_DBFS / 20) * 32_768, len(far))
    echo = echo_of(far, scene)
    near = np.zeros(len(far), np.int16)
    both = round(SECONDS * RATE)
    near[both:] = say(SECONDS, NOMINAL_DBFS, start_s=5.0)[: len(far) - both]
    return Recording(far, as_samples(echo), near, as_samples(echo + near + noise))


def judged(scene: Scene, recorded: Recording, sent: Samples, took: float) -> Found:
    both, settled = round(SECONDS * RATE), round((SETTLED_S + (JUMP_S if scene.jump_ms else 0)) * RATE)
    return Found(loss(recorded.echo[settled:both], sent[settled:both]), kept(recorded.near[both:], sent[both:]), took)


def measure(scene: Scene, make: Make = ours, say: Say = prompts) -> Found:
    """One scene, by that processing."""
    recorded = record(scene, say)
    return judged(scene, recorded, *through(make(), recorded.captured, recorded.far, scene.drift_ppm))


def by_libwebrtc(scene: Scene, say: Say) -> Found:
    """One scene, by livekit's. Raises NotThereError."""
    recorded = record(scene, say)
    python = guests.folder_of(guests.LIVEKIT) / "bin" / "python"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "captured.raw").write_bytes(recorded.captured.tobytes())
        (folder / "far.raw").write_bytes(recorded.far.tobytes())
        script = Path(__file__).with_name("echo_livekit.py")
        command = [str(python), str(script), name, f"{scene.drift_ppm}"]
        took = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
        return judged(scene, recorded, np.fromfile(folder / "sent.raw", np.int16), took)


def arrives(level_dbfs: float, say: Say = prompts) -> float:
    """How loud somebody arrives with gain control [dBFS], who speaks that loud, after ARRIVES_S."""
    voice = make_voice(AudioOptions(echo_cancel="off", gain_control=True), None)
    assert voice is not None
    said = say(2 * ARRIVES_S, level_dbfs)
    noise = np.random.default_rng(3).normal(0, 10 ** (NOISE_DBFS / 20) * 32_768, len(said))
    sent, _ = through(voice, as_samples(said + noise), np.zeros(len(said), np.int16), 0.0)
    return active_dbfs(sent[round(ARRIVES_S * RATE) :])


def report(found: dict[str, Found], title: str = "echo of a loudspeaker") -> str:
    """The table."""
    rows = {name: (one.loss_db, one.kept_db, one.cpu_us) for name, one in found.items()}
    return table(title, ("loss dB", "kept dB", "us / 10 ms"), rows)


def gains(found: dict[float, float]) -> str:
    """The table of the gain control."""
    return table("gain control", ["arrives at dBFS"], {f"speaks at {level:.0f} dBFS": [heard] for level, heard in found.items()})


def main(scenes: Iterable[Scene] = SCENES) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", choices=list(speech.SETS), default="report")
    parser.add_argument("--peers", action="store_true")
    given = parser.parse_args()
    say = talk(given.set)
    print(report({"30 ms, untreated": measure(Scene(), untreated, say), **{scene.name: measure(scene, say=say) for scene in scenes}}))
    if given.peers:
        print(report({scene.name: measure(scene, Aec3, say) for scene in scenes}, "pywebrtc-audio's AEC3"))
        print(report({scene.name: by_libwebrtc(scene, say) for scene in scenes}, "livekit's libwebrtc"))
    print(gains({level: arrives(level, say) for level in TALKERS_DBFS}))


if __name__ == "__main__":
    main()
