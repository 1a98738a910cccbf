"""Speech to send and the judgement of what came: PESQ wideband (ITU-T P.862.2) and delay of each sentence.

Four pairs of Harvard sentences by espeak-ng, two rows of prompts recorded by a human. Needs Debian's ``espeak-ng`` and ``alsa-utils``
(for its recordings) and PyPI's ``pesq``: measuring tools, no dependencies of the program.
"""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE, Samples

Signal = NDArray[np.float32]

LEAD_S, GAP_S, TAIL_S = 2.0, 0.5, 0.5
RMS = 0.06  # of full scale, where somebody speaks
ALIGN = 6  # the delay is found at 8 kHz
JUDGE = 3  # PESQ wideband wants 16 kHz
PAD_S = 0.2
EARLIER_S, LATER_S = 0.05, 1.0  # where a sentence is looked for, from where it would be without a delay

#: espeak-ng's voice, and pairs of Harvard sentences (IEEE 297)
SENTENCES = (
    ("en-us", "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."),
    ("en-gb-x-rp", "It is easy to tell the depth of a well. These days a chicken leg is a rare dish."),
    ("en-us+f3", "Rice is often served in round bowls. The juice of lemons makes fine punch."),
    ("en-gb+f2", "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage."),
)
RECORDINGS = Path("/usr/share/sounds/alsa")
PROMPTS = (("Front_Center", "Front_Left", "Front_Right", "Rear_Center"), ("Rear_Left", "Rear_Right", "Side_Left", "Side_Right"))
COUNT = len(SENTENCES) + len(PROMPTS)


@dataclass(frozen=True)
class Speech:
    """Mono at 48 kHz, and where each sentence begins and ends [samples]."""

    sound: Samples
    marks: tuple[tuple[int, int], ...]

    @property
    def seconds(self) -> float:
        return len(self.sound) / RATE


@dataclass(frozen=True)
class Score:
    """Of one sentence."""

    pesq: float
    delay_ms: float


def missing() -> str | None:
    """What is not installed, in words; ``None`` where all is there."""
    if shutil.which("espeak-ng") is None:
        return "espeak-ng (apt install espeak-ng)"
    if not RECORDINGS.is_dir():
        return "recorded prompts (apt install alsa-utils)"
    try:
        import pesq  # noqa: F401
    except ImportError:
        return "pesq (pip install pesq)"
    return None


def speech(sentences: int = COUNT) -> Speech:
    """The first so many sentences, after a moment in which a call settles."""
    parts, marks, position = [_quiet(LEAD_S)], [], int(LEAD_S * RATE)
    spoken = [_speak(voice, text) for voice, text in SENTENCES[:sentences]]
    recorded = [np.concatenate([_read(RECORDINGS / f"{name}.wav") for name in names]) for names in PROMPTS[: sentences - len(spoken)]]
    for said in map(_levelled, [*spoken, *recorded]):
        marks.append((position, position + len(said)))
        parts += [said, _quiet(GAP_S)]
        position += len(said) + int(GAP_S * RATE)
    whole = np.concatenate([*parts, _quiet(TAIL_S)])
    whole += 1e-4 * np.random.default_rng(0).standard_normal(len(whole)).astype(np.float32)  # a room is never digital silence
    return Speech((np.clip(whole, -1, 1) * 32767).astype(np.int16), tuple(marks))


def judge(said: Speech, heard: Samples, offset_ms: float) -> list[Score]:
    """Each sentence in ``heard``, whose first sample was played ``offset_ms`` after the first of ``said`` was handed over."""
    return [_judge(said, start, end, heard, offset_ms) for start, end in said.marks]


def offset(said: Speech, heard: Samples) -> float:
    """``offset_ms`` for a recording that began at some other moment: the delay is lost, the sentences are found."""
    at = ALIGN * _locate(_thin(said.sound, ALIGN), np.pad(_thin(heard, ALIGN), (0, max(0, (len(said.sound) - len(heard)) // ALIGN + 2))))
    return -1000 * (at / RATE - LATER_S / 2)


def find(said: Samples, recorded: Samples) -> int:
    """Where ``said`` begins in a recording [samples]; before its beginning, up to LATER_S, it's negative."""
    before = int(LATER_S * RATE)
    padded = np.concatenate([np.zeros(before, np.int16), recorded, np.zeros(max(0, len(said) - len(recorded)) + before, np.int16)])
    return ALIGN * _locate(_thin(said, ALIGN), _thin(padded, ALIGN)) - before


def _judge(said: Speech, start: int, end: int, heard: Samples, offset_ms: float) -> Score:
    from pesq import PesqError, pesq

    expected = start - int(offset_ms * RATE / 1000)
    first = max(0, expected - int(EARLIER_S * RATE))
    window = heard[first : max(0, expected) + int(LATER_S * RATE) + end - start]
    window = np.concatenate([window, np.zeros(max(0, end - start + ALIGN - len(window)), np.int16)])
    at = first + ALIGN * _locate(_thin(said.sound[start:end], ALIGN), _thin(window, ALIGN))
    pad = int(PAD_S * RATE)
    original = said.sound[start - pad : end + pad]
    received = np.concatenate([np.zeros(pad, np.int16), heard, np.zeros(len(original), np.int16)])[at : at + len(original)]
    quality = pesq(RATE // JUDGE, _thin(original, JUDGE), _thin(received, JUDGE), "wb", on_error=PesqError.RETURN_VALUES)
    return Score(max(1.0, quality), (at - expected) * 1000 / RATE)


def _locate(part: Signal, whole: Signal) -> int:
    """Where ``part`` begins in ``whole``."""
    size = 1 << (len(part) + len(whole)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(part, size)), size)
    return int(np.argmax(np.abs(likeness[: len(whole) - len(part) + 1])))


def _thin(sound: Samples, factor: int) -> Signal:
    """One sample of ``factor``, after a low-pass; its delay is made good."""
    taps = _low_pass(factor)
    filtered = np.convolve(sound.astype(np.float32) / 32768, taps)[len(taps) // 2 :][: len(sound)]
    return filtered[::factor].astype(np.float32)


@cache
def _low_pass(factor: int) -> Signal:
    reach = 16 * factor
    at = np.arange(-reach, reach + 1)
    taps = np.sinc(0.95 * at / factor) * np.blackman(2 * reach + 1)
    return (taps / taps.sum()).astype(np.float32)  # type: ignore[no-any-return]


def _quiet(seconds: float) -> Signal:
    return np.zeros(int(seconds * RATE), np.float32)


def _speak(voice: str, text: str) -> Signal:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "160", "-w", str(file), text], check=True, capture_output=True)
        return _read(file)


def _read(file: Path) -> Signal:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(file)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)] + resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def _levelled(said: Signal) -> Signal:
    loud = said[np.abs(said) > 0.02 * np.abs(said).max()]
    return (said * (RMS / np.sqrt(np.mean(loud**2)))).astype(np.float32)  # type: ignore[no-any-return]


if __name__ == "__main__":
    spoken = speech()
    print(json.dumps([[round(mark / RATE, 2) for mark in pair] for pair in spoken.marks]), f"{spoken.seconds:.1f} s")
    print([round(score.pesq, 2) for score in judge(spoken, spoken.sound, 0.0)])
