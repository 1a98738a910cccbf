"""Music on hold: three short pieces, made here, which a caller can tell apart.

A waltz, a walking bass and a bell: notes as data, each with its octave, well below speech.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sinchphone.audio.tones.signals import Loop, Segment, TonePlan, render, signal_source

LEVEL_DBFS: Final = -26.0
RING: Final = "ring"
_A4: Final = 440.0


def _hertz(note: int) -> float:
    """``note`` as MIDI counts them: 69 is the A of 440 Hz."""
    return _A4 * 2 ** ((note - 69) / 12)


def _piece(notes: Sequence[int], seconds: float, fade_seconds: float) -> TonePlan:
    """One note after the other; 0 is a rest."""
    played = ((_hertz(note), 2 * _hertz(note)) if note else () for note in notes)
    return TonePlan(tuple(Segment(hertz, seconds, fade_seconds if hertz else None) for hertz in played), LEVEL_DBFS)


PIECES: Final[Mapping[str, TonePlan]] = MappingProxyType(
    {
        "music1": _piece((60, 67, 72, 62, 69, 74, 64, 71, 76, 65, 72, 69, 67, 71, 74, 72, 67, 64, 60, 0, 0), 0.4, 0.3),
        "music2": _piece((45, 48, 52, 57, 50, 53, 57, 62, 43, 47, 50, 55, 48, 52, 55, 60), 0.35, 0.4),
        "music3": _piece((81, 0, 76, 0, 79, 0, 74, 0, 77, 0, 72, 74, 76, 0, 0, 0), 0.5, 0.6),
    }
)


def music(name: str) -> Loop:
    """``music1`` to ``music3``, or ``ring`` (a ringing tone), from its beginning, for ever. Raises KeyError."""
    return signal_source("ringback") if name == RING else Loop(render(PIECES[name]))
