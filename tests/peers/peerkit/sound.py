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
    """The tone's share of the energy in the second that has most of it: a busy machine may stall the sound for a moment."""
    starts = range(0, max(1, len(samples) - rate + 1), rate // 10)
    return max(goertzel.share(samples[at : at + rate], hz * RATE / rate) for at in starts)


def heard(path: Path, hz: float) -> float:
    """The tone's share in a recording of at least a second."""
    samples, rate = read(path)
    assert len(samples) >= rate, f"{path.name} has only {len(samples)} samples"
    return clearest(samples, hz, rate)
