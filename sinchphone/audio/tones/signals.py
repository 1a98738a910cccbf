"""Tones: a sine for tests and menus, and the sounds that tell a person how a call is going.

A signal is data: a ``Plan`` of segments, after the cadences that ITU-T E.180 recommends and its supplement 2 lists by
country. ``signal_source`` renders one period of it and repeats that for ever.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.audio.levels.level import amplitude
from sinchphone.quick_dataclass import quick_dataclass

TONE_DBFS: Final = -20.0
WAITING_DBFS: Final = -26.0  # the nominal level of speech
_RAMP_SECONDS: Final = 0.005  # a tone that starts or stops within 5 ms doesn't click


class Sine:
    """One frequency for ever, without a jump between two pulls. ``hz`` is above 0 and below 24 000."""

    def __init__(self, hz: float, level_dbfs: float = TONE_DBFS) -> None:
        if not 0 < hz < RATE / 2:
            raise ValueError(f"a tone of {hz:g} Hz is not between 0 and {RATE // 2} Hz")
        self._step = 2 * math.pi * hz / RATE
        self._peak = amplitude(level_dbfs)
        self._phase = 0.0

    def pull(self, samples: int = FRAME_SAMPLES) -> Samples:
        """The next ``samples`` of the tone."""
        phases = self._phase + self._step * np.arange(samples)
        self._phase = (self._phase + self._step * samples) % (2 * math.pi)
        wave: Samples = np.rint(self._peak * np.sin(phases)).astype(np.int16)
        return wave


@quick_dataclass(frozen=True, slots=True)
class Segment:
    """``hertz`` sound together for ``seconds``; none is a pause. With ``fade_seconds`` they die away like a struck bell."""

    hertz: tuple[float, ...]
    seconds: float
    fade_seconds: float | None = None


@quick_dataclass(frozen=True, slots=True)
class TonePlan:
    """The segments of one period, repeated for ever. Every frequency sounds at ``level_dbfs`` (E.180: each within 6 dB of the others)."""

    segments: tuple[Segment, ...]
    level_dbfs: float = TONE_DBFS

    @property
    def seconds(self) -> float:
        """The length of one period."""
        return sum(segment.seconds for segment in self.segments)


def _cadence(hertz: tuple[float, ...], on: float, off: float) -> TonePlan:
    return TonePlan((Segment(hertz, on), Segment((), off)), TONE_DBFS - 10 * math.log10(len(hertz)))


def call_waiting(hz: float, *seconds: float) -> TonePlan:
    """Tone, pause, tone, pause: heard over speech without covering it."""
    return TonePlan(tuple(Segment((hz,) if number % 2 == 0 else (), piece) for number, piece in enumerate(seconds)), WAITING_DBFS)


def _chime() -> TonePlan:
    """A broken chord upwards, G major with the octave, each note with its octave, then two seconds of rest."""
    rise = tuple(Segment((note, 2 * note), 0.18, 0.25) for note in (392.00, 493.88, 587.33))
    top, echo = Segment((783.99, 2 * 783.99), 0.70, 0.30), Segment((783.99,), 0.80, 0.35)
    return TonePlan((*rise, top, *rise[1:], echo, Segment((), 2.0)), -24.0)


# E.180 7.1 to 9.1: 425 Hz; ringing 0.67-1.5 s in 3-5 s of rest; busy 300-1100 ms a period; congestion twice as fast as busy.
EUROPEAN: Final[Mapping[str, TonePlan]] = MappingProxyType(
    {
        "ringback": _cadence((425.0,), 1.0, 4.0),
        "busy": _cadence((425.0,), 0.5, 0.5),
        "congestion": _cadence((425.0,), 0.25, 0.25),
        "waiting": call_waiting(425.0, 0.2, 0.6, 0.2, 9.0),
        "ringtone": _chime(),
    }
)

# E.180 supplement 2, United States: two frequencies added; congestion is the reorder tone.
UNITED_STATES: Final[Mapping[str, TonePlan]] = MappingProxyType(
    {
        "ringback": _cadence((440.0, 480.0), 2.0, 4.0),
        "busy": _cadence((480.0, 620.0), 0.5, 0.5),
        "congestion": _cadence((480.0, 620.0), 0.25, 0.25),
        "waiting": call_waiting(440.0, 0.3, 9.7),
        "ringtone": _chime(),
    }
)

# What somebody on hold hears: a slow rise and fall, half a second a note, each with its octave, well below speech.
_HOLD_NOTES: Final = (261.63, 329.63, 392.00, 440.00, 392.00, 329.63, 293.66, 349.23, 440.00, 392.00, 329.63)
HOLD: Final = TonePlan((*(Segment((note, 2 * note), 0.5, 0.35) for note in _HOLD_NOTES), Segment((), 1.5)), -28.0)

# What the others in a room hear when somebody comes or goes, once: a fourth up, a fourth down, well below speech.
JOINED: Final = TonePlan((Segment((659.26,), 0.09), Segment((880.00,), 0.16, 0.08)), -28.0)
LEFT: Final = TonePlan((Segment((880.00,), 0.09), Segment((659.26,), 0.16, 0.08)), -28.0)


def _envelope(samples: int, fade_seconds: float | None) -> NDArray[np.float64]:
    times = np.arange(samples) / RATE
    body = np.ones(samples) if fade_seconds is None else np.exp(-times / fade_seconds)
    edges = np.minimum(times, times[::-1]) / _RAMP_SECONDS
    return body * np.minimum(1.0, edges)


def _render_segment(segment: Segment, level_dbfs: float) -> NDArray[np.float64]:
    samples = round(segment.seconds * RATE)
    times = np.arange(samples) / RATE
    wave = np.zeros(samples)
    for hertz in segment.hertz:
        wave += amplitude(level_dbfs) * np.sin(2 * math.pi * hertz * times)
    return wave * _envelope(samples, segment.fade_seconds)


def render(plan: TonePlan) -> Samples:
    """One period of ``plan``."""
    wave = np.concatenate([_render_segment(segment, plan.level_dbfs) for segment in plan.segments])
    period: Samples = np.rint(np.clip(wave, -32_768, 32_767)).astype(np.int16)
    return period


class Loop:
    """Repeats ``samples`` for ever."""

    def __init__(self, samples: Samples) -> None:
        if not len(samples):
            raise ValueError("nothing can't be repeated")
        self._samples = samples
        self._position = 0

    def pull(self, samples: int = FRAME_SAMPLES) -> Samples:
        """The next ``samples``, a new array."""
        indices = np.arange(self._position, self._position + samples)
        self._position = (self._position + samples) % len(self._samples)
        return self._samples.take(indices, mode="wrap")


def signal_source(name: str, plans: Mapping[str, TonePlan] = EUROPEAN) -> Loop:
    """The signal called ``name`` (ringback, busy, congestion, waiting or ringtone), from its beginning, for ever. Raises KeyError."""
    return Loop(render(plans[name]))
