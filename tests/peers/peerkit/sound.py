"""Tones for peers to say, and what they heard."""

import wave
from pathlib import Path

import numpy as np

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.tones import goertzel

ENOUGH = 0.95  # of the energy at the tone


def write_tone(path: Path, hz: float, rate: int, seconds: float = 30.0) -> Path:
    """A WAV file (mono, 16 bits) with a tone of -12 dBFS."""
    wave_form = 8000 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(wave_form.astype("<i2").tobytes())
    return path


def read(path: Path) -> tuple[Samples, int]:
    """The first channel of a WAV file, and its rate."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels())[:, 0], file.getframerate()


def clearest(samples: Samples, hz: float, rate: int = RATE) -> float:
    """The tone's share of the energy in the tenth of a second that has most of it: a machine that is busy stalls longer ones."""
    length = rate // 10
    starts = range(0, max(1, len(samples) - length + 1), rate // 50)
    return max(goertzel.share(samples[at : at + length], hz * RATE / rate) for at in starts)


def heard(path: Path, hz: float) -> float:
    """The tone's share in a recording, where it is clearest."""
    samples, rate = read(path)
    assert len(samples) >= rate // 2, f"{path.name} has only {len(samples)} samples"
    return clearest(samples, hz, rate)
