"""Echo of a loudspeaker in a room: how much weaker our processing makes it, what it leaves of the person, what it costs.

usage: python tests/benchmarks/echo.py

A scene is made of samples: 14 s of far-end speech, played by a loudspeaker that clips softly and whose clock is off, into a room, and
heard 12 dB down by a microphone with a little noise of its own. Echo loss: the level of the echo against what is left of it, from 6 s on
while somebody speaks there. Then both speak at once: how much of the near speech is still there.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from figures import median, table
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.level import dbfs
from sinchphone.exchange.destinations.prompts import load
from sinchphone.media.local_audio.voice import VoiceProcessing, make_voice
from sinchphone.media.options import AudioOptions

BLOCK = RATE // 100
SECONDS = 14.0
SETTLED_S = 6.0
NOMINAL_DBFS, LOUD_DBFS = -26.0, -16.0  # speech on a line (ITU-T P.56), and somebody who shouts
ECHO_DB = -12.0
NOISE_DBFS = -75.0
SPEAKS_DBFS = -55.0  # of the echo in 10 ms: less is a pause


@dataclass(frozen=True)
class Scene:
    """What is between the loudspeaker and the microphone."""

    delay_ms: float = 30.0
    drift_ppm: float = 0.0
    decay_s: float = 0.3  # RT60
    far_dbfs: float = NOMINAL_DBFS

    @property
    def name(self) -> str:
        parts = [f"{self.delay_ms:.0f} ms", f"RT60 {self.decay_s:.1f} s"]
        parts += [f"{self.drift_ppm:+.0f} ppm"] if self.drift_ppm else []
        return ", ".join([*parts, "loud"] if self.far_dbfs == LOUD_DBFS else parts)


@dataclass(frozen=True)
class Found:
    """The result in one scene."""

    loss_db: float
    kept_db: float  # of the near speech while both speak: 0 is all of it
    cpu_us: float  # for 10 ms, median


SCENES = (
    *(Scene(delay, drift) for delay in (30.0, 90.0, 150.0) for drift in (0.0, 100.0, -100.0)),
    *(Scene(delay, decay_s=0.8) for delay in (30.0, 150.0)),
    *(Scene(delay, far_dbfs=LOUD_DBFS) for delay in (30.0, 150.0)),
)


def talk(seconds: float, level_dbfs: float, start_s: float = 0.0) -> Samples:
    """Speech of that level."""
    speech = np.roll(load("speech"), -round(start_s * RATE))
    wave = np.resize(speech, round(seconds * RATE)) * 10 ** ((level_dbfs - dbfs(speech)) / 20)
    return np.clip(np.rint(wave), -32_768, 32_767).astype(np.int16)  # type: ignore[no-any-return]


def echo_of(far: Samples, scene: Scene) -> NDArray[np.float64]:
    """What the microphone hears of ``far``, on its own clock."""
    rng = np.random.default_rng(2)
    times = np.arange(round(scene.decay_s * RATE)) / RATE
    response = rng.normal(0, 1, len(times)) * np.exp(-6.9 * times / scene.decay_s)
    response[0] = 3
    response *= 10 ** (ECHO_DB / 20) / math.sqrt(float(np.dot(response, response)))
    played = np.tanh(2 * far / 32_768) / 2 * 32_768
    played = np.interp(np.arange(len(far)) * (1 + scene.drift_ppm * 1e-6), np.arange(len(far)), played)
    size = 1 << (len(played) + len(response)).bit_length()
    heard = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(response, size), size)[: len(far)]
    return np.concatenate([np.zeros(round(scene.delay_ms * RATE / 1000)), heard])[: len(far)]


def through(voice: VoiceProcessing, captured: Samples, far: Samples, drift_ppm: float) -> tuple[Samples, list[float]]:
    """What is sent, and the seconds that each block took. The loudspeaker is two blocks ahead and keeps its own time."""
    sent, took, played = [], [], 0
    for start in range(0, len(captured) - BLOCK + 1, BLOCK):
        while played < (start + 2 * BLOCK) * (1 + drift_ppm * 1e-6):
            voice.far(far[played : played + BLOCK])
            played += BLOCK
        began = time.perf_counter()
        sent.append(voice.near(captured[start : start + BLOCK]))
        took.append(time.perf_counter() - began)
    return np.concatenate(sent), took


def as_samples(wave: NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(wave), -32_768, 32_767).astype(np.int16)


def loss(echo: Samples, rest: Samples) -> float:
    """The echo against what is left of it [dB], over those 10 ms in which there is an echo."""
    blocks = min(len(echo), len(rest)) // BLOCK
    before = (echo[: blocks * BLOCK].astype(float).reshape(-1, BLOCK) ** 2).mean(axis=1)
    after = (rest[: blocks * BLOCK].astype(float).reshape(-1, BLOCK) ** 2).mean(axis=1)
    speaks = before > (10 ** (SPEAKS_DBFS / 20) * 32_768) ** 2
    return 10 * math.log10(before[speaks].mean() / max(after[speaks].mean(), 1 / 12))


def kept(near: Samples, sent: Samples) -> float:
    """How much of ``near`` is in ``sent`` [dB], at whatever delay up to 50 ms it comes."""
    wanted = near.astype(float)
    size = 1 << (2 * len(wanted)).bit_length()
    match = np.fft.irfft(np.fft.rfft(sent.astype(float), size) * np.conj(np.fft.rfft(wanted, size)), size)[: RATE // 20]
    return 20 * math.log10(max(1e-3, float(match.max()) / float(np.dot(wanted, wanted))))


def measure(scene: Scene, *, process: bool = True) -> Found:
    """One scene, by the processing that a call with a loudspeaker has; without ``process``: by none."""
    far = talk(2 * SECONDS, scene.far_dbfs)
    noise = np.random.default_rng(3).normal(0, 10 ** (NOISE_DBFS / 20) * 32_768, len(far))
    echo = echo_of(far, scene)
    both = round(SECONDS * RATE)
    near = np.zeros(len(far), np.int16)
    near[both:] = talk(SECONDS, NOMINAL_DBFS, start_s=5.0)[: len(far) - both]
    captured = as_samples(echo + near + noise)
    voice = make_voice(AudioOptions(echo_cancel="on"), "speakers") if process else VoiceProcessing(lambda heard, _: heard)
    assert voice is not None
    sent, took = through(voice, captured, far, scene.drift_ppm)
    settled = round(SETTLED_S * RATE)
    return Found(loss(as_samples(echo)[settled:both], sent[settled:both]), kept(near[both:], sent[both:]), 1e6 * median(took))


def report(found: dict[str, Found]) -> str:
    """The table."""
    rows = {name: (one.loss_db, one.kept_db, one.cpu_us) for name, one in found.items()}
    return table("echo of a loudspeaker", ("loss dB", "kept dB", "us / 10 ms"), rows)


def main(scenes: Iterable[Scene] = SCENES) -> None:
    print(report({"30 ms, untreated": measure(Scene(), process=False), **{scene.name: measure(scene) for scene in scenes}}))


if __name__ == "__main__":
    main()
