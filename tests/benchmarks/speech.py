"""Sound to send and the judgement of what came: PESQ wideband (ITU-T P.862.2), delay, gaps and a spectral distance of each sentence.

There are two sets, of other voices and words: constants of the program may be chosen on TUNING (virtual_call.py does), tables are made of
REPORT alone. In both, Harvard sentences by espeak-ng, and sentences recorded by a human: Debian's ``espeak-ng``, ``alsa-utils`` (for
TUNING), ``asterisk-core-sounds-en-g722`` (for REPORT) and PyPI's ``pesq``: measuring tools, no dependencies of the program.

PESQ isn't defined for music and for two who talk at once; of them the spectral distance is told: the mean difference [dB] of the energy in
BANDS bands between 100 Hz and 8 kHz, in frames of 20 ms with sound, where nothing counts as less than FLOOR_DB below the loudest.
"""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice, pairwise
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

Spoken = tuple[str, str]  # espeak-ng's voice, and a pair of Harvard sentences (IEEE 297)
Recorded = tuple[Path, ...]  # files, one after the other

_ALSA = Path("/usr/share/sounds/alsa")
_ASTERISK = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TUNING: tuple[Spoken | Recorded, ...] = (
    ("en-us", "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."),
    ("en-gb-x-rp", "It is easy to tell the depth of a well. These days a chicken leg is a rare dish."),
    ("en-us+f3", "Rice is often served in round bowls. The juice of lemons makes fine punch."),
    ("en-gb+f2", "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage."),
    tuple(_ALSA / f"{name}.wav" for name in ("Front_Center", "Front_Left", "Front_Right", "Rear_Center")),
    tuple(_ALSA / f"{name}.wav" for name in ("Rear_Left", "Rear_Right", "Side_Left", "Side_Right")),
)
REPORT: tuple[Spoken | Recorded, ...] = (
    (_ASTERISK / "vm-newuser.g722",),
    ("en-gb-scotland", "Four hours of steady work faced us. A large size in stockings is hard to sell."),
    ("en-us+f4", "The boy was there when the sun rose. A rod is used to catch pink salmon."),
    (_ASTERISK / "demo-thanks.g722",),
    ("en-029+m4", "The source of the huge river is the clear spring. Kick the ball straight and follow through."),
    (_ASTERISK / "vm-instructions.g722",),
)
SETS = {"tuning": TUNING, "report": REPORT}
COUNT = len(TUNING)
BANDS = 24
FLOOR_DB = 50.0
GAP_DB = 30.0  # so much less than was said is a gap


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
    distance_db: float = float("nan")
    gaps: float = float("nan")  # share of the time with sound


def missing(chosen: str = "tuning") -> str | None:
    """What is not installed, in words; ``None`` where all is there."""
    if shutil.which("espeak-ng") is None:
        return "espeak-ng (apt install espeak-ng)"
    if chosen == "tuning" and not _ALSA.is_dir():
        return "recorded prompts (apt install alsa-utils)"
    if chosen == "report" and not _ASTERISK.is_dir():
        return "recorded prompts (apt install asterisk-core-sounds-en-g722)"
    try:
        import pesq  # noqa: F401
    except ImportError:
        return "pesq (pip install pesq)"
    return None


def speech(sentences: int = COUNT, chosen: str = "tuning", material: str = "speech", seconds: float = 0.0, first: int = 0) -> Speech:
    """So many sentences of a set from ``first`` on, after a moment in which a call settles; again until so many seconds are full."""
    spoken = list(islice(cycle(SETS[chosen]), first, first + sentences + 1))
    match material:
        case "music":
            pieces = [_music(number) for number in range(first, first + sentences)]
        case "two talkers":
            pieces = [_both(_say(one), _say(other)) for one, other in pairwise(spoken)]
        case _:
            pieces = [_say(one) for one in spoken[:sentences]]
    pieces = [_levelled(each) for each in pieces]
    marks: list[tuple[int, int]] = []
    parts, position = [_quiet(LEAD_S)], int(LEAD_S * RATE)
    while not marks or position < (seconds - TAIL_S) * RATE:
        for said in pieces:
            marks.append((position, position + len(said)))
            parts += [said, _quiet(GAP_S)]
            position += len(said) + int(GAP_S * RATE)
    whole = np.concatenate([*parts, _quiet(TAIL_S)])
    whole += 1e-4 * np.random.default_rng(0).standard_normal(len(whole)).astype(np.float32)  # a room is never digital silence
    return Speech((np.clip(whole, -1, 1) * 32767).astype(np.int16), tuple(marks))


def judge(said: Speech, heard: Samples, offset_ms: float, slower: float = 0.0) -> list[Score]:
    """Each sentence in ``heard``, whose first sample was played ``offset_ms`` after the first of ``said`` was handed over.

    ``slower`` [share] than the clock was it said.
    """
    return [_judge(said, start, end, heard, offset_ms - 1000 * start / RATE * slower) for start, end in said.marks]


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
    distance, gaps = spectral_distance(_thin(original, JUDGE), _thin(received, JUDGE))
    return Score(max(1.0, quality), (at - expected) * 1000 / RATE, distance, gaps)


def spectral_distance(original: Signal, received: Signal) -> tuple[float, float]:
    """Of sound at 16 kHz: the mean difference in BANDS bands [dB], and the share of the frames that are missing."""
    one, other = _bands(original), _bands(received)
    floor = one.max() - FLOOR_DB
    loud = one.max(axis=1) > floor + 10
    if not loud.any():
        return 0.0, 0.0
    difference = np.abs(np.maximum(one[loud], floor) - np.maximum(other[loud], floor))
    return float(difference.mean()), float(np.mean(one[loud].max(axis=1) - other[loud].max(axis=1) > GAP_DB))


def _bands(sound: Signal) -> NDArray[np.float64]:
    """The energy of each frame in each band [dB]."""
    size, rate = 320, RATE // JUDGE
    frames = sound[: len(sound) // size * size].reshape(-1, size) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.round(np.geomspace(100, rate / 2, BANDS + 1) * size / rate).astype(int))
    energy = np.add.reduceat(power, edges[:-1], axis=1)
    found: NDArray[np.float64] = 10 * np.log10(energy + 1e-9)
    return found


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


def _say(one: Spoken | Recorded) -> Signal:
    if isinstance(one[0], Path):
        return np.concatenate([_read(Path(file)) for file in one])
    return _speak(one[0], str(one[1]))


def _both(one: Signal, other: Signal) -> Signal:
    """At once, as long as the shorter one."""
    length = min(len(one), len(other))
    return _levelled(one)[:length] + _levelled(other)[:length]


def _music(number: int) -> Signal:
    """Four seconds of chords with decaying strings and a beat."""
    at = np.arange(RATE // 2) / RATE
    dice = np.random.default_rng(number)
    parts = []
    for chord in range(8):
        base = 110 * 2 ** ((number * 5 + (0, 5, 7, 0, 9, 5, 7, 0)[chord]) % 12 / 12)
        tones = [base * ratio * harmonic for ratio in (1, 1.26, 1.5, 2) for harmonic in range(1, 9) if base * ratio * harmonic < 7500]
        sound = sum(np.sin(2 * np.pi * tone * at + dice.random() * 6) * np.exp(-at * tone / 500) * (base / tone) for tone in tones)
        parts.append(sound + 0.5 * dice.standard_normal(len(at)) * np.exp(-at * 60))
    return np.concatenate(parts).astype(np.float32)


def _speak(voice: str, text: str) -> Signal:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "160", "-w", str(file), text], check=True, capture_output=True)
        return _read(file)


def _read(file: Path) -> Signal:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(file), format="g722" if file.suffix == ".g722" else None) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)] + resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def _levelled(said: Signal) -> Signal:
    loud = said[np.abs(said) > 0.02 * np.abs(said).max()]
    return (said * (RMS / np.sqrt(np.mean(loud**2)))).astype(np.float32)  # type: ignore[no-any-return]


if __name__ == "__main__":
    spoken = speech()
    print(json.dumps([[round(mark / RATE, 2) for mark in pair] for pair in spoken.marks]), f"{spoken.seconds:.1f} s")
    print([round(score.pesq, 2) for score in judge(spoken, spoken.sound, 0.0)])
