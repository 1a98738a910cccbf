"""The tones of national telephone networks: what ringing, busy, congestion and call waiting sound like where the user lives.

After supplement 2 to ITU-T E.180 (various tones used in national networks). Countries that aren't here sound European.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sinchphone.audio.tones.signals import EUROPEAN, TONE_DBFS, UNITED_STATES, Segment, TonePlan, call_waiting

DEFAULT: Final = "europe"


def _tone(*pieces: tuple[tuple[float, ...], float]) -> TonePlan:
    """Pieces of frequencies and seconds; each frequency is as loud as all of them together would be alone."""
    together = max(len(hertz) for hertz, _ in pieces)
    level = TONE_DBFS - (3.0 if together > 1 else 0.0)
    return TonePlan(tuple(Segment(hertz, seconds) for hertz, seconds in pieces), level)


def _country(ringback: TonePlan, busy: TonePlan, congestion: TonePlan, waiting: TonePlan) -> Mapping[str, TonePlan]:
    return MappingProxyType({**EUROPEAN, "ringback": ringback, "busy": busy, "congestion": congestion, "waiting": waiting})


_Pause = tuple[float, float]  # seconds of tone, seconds of rest


def _european(hz: float, ring: _Pause, busy: _Pause, congestion: _Pause, waiting: tuple[float, ...]) -> Mapping[str, TonePlan]:
    ringback, engaged, full = (_tone(((hz,), on), ((), off)) for on, off in (ring, busy, congestion))
    return _country(ringback, engaged, full, call_waiting(hz, *waiting))


_UK_RING: Final = (400.0, 450.0)
_UNITED_KINGDOM: Final = _country(
    _tone((_UK_RING, 0.4), ((), 0.2), (_UK_RING, 0.4), ((), 2.0)),
    _tone(((400.0,), 0.375), ((), 0.375)),
    _tone(((400.0,), 0.4), ((), 0.35), ((400.0,), 0.225), ((), 0.525)),
    call_waiting(400.0, 0.1, 4.0),
)
_AUSTRALIA: Final = _country(
    _tone(((400.0, 425.0, 450.0), 0.4), ((), 0.2), ((400.0, 425.0, 450.0), 0.4), ((), 2.0)),
    _tone(((425.0,), 0.375), ((), 0.375)),
    _tone(((425.0,), 0.375), ((), 0.375)),
    call_waiting(425.0, 0.2, 0.2, 0.2, 4.4),
)
_JAPAN: Final = _country(
    _tone(((384.0, 416.0), 1.0), ((), 2.0)),
    _tone(((400.0,), 0.5), ((), 0.5)),
    _tone(((400.0,), 0.5), ((), 0.5)),
    call_waiting(400.0, 0.5, 8.0),
)

PLANS: Final[Mapping[str, Mapping[str, TonePlan]]] = MappingProxyType(
    {
        DEFAULT: EUROPEAN,
        "us": UNITED_STATES,
        "ca": UNITED_STATES,
        "uk": _UNITED_KINGDOM,
        "au": _AUSTRALIA,
        "jp": _JAPAN,
        "se": _european(425.0, (1.0, 5.0), (0.25, 0.25), (0.25, 0.75), (0.2, 0.5, 0.2, 9.1)),
        "no": _european(425.0, (1.0, 4.0), (0.5, 0.5), (0.2, 0.2), (0.2, 0.6, 0.2, 10.0)),
        "dk": _european(425.0, (1.0, 4.0), (0.25, 0.25), (0.25, 0.25), (0.2, 0.6, 0.2, 3.0)),
        "fi": _european(425.0, (1.0, 4.0), (0.3, 0.3), (0.2, 0.2), (0.15, 0.15, 0.15, 8.0)),
        "de": _european(425.0, (1.0, 4.0), (0.48, 0.48), (0.24, 0.24), (0.2, 0.2, 0.2, 5.0)),
        "fr": _european(440.0, (1.5, 3.5), (0.5, 0.5), (0.25, 0.25), (0.3, 10.0)),
        "it": _european(425.0, (1.0, 4.0), (0.5, 0.5), (0.2, 0.2), (0.4, 0.1, 0.25, 0.1, 0.15, 14.0)),
        "es": _european(425.0, (1.5, 3.0), (0.2, 0.2), (0.2, 0.2), (0.175, 0.175, 0.175, 3.5)),
        "nl": _european(425.0, (1.0, 4.0), (0.5, 0.5), (0.25, 0.25), (0.5, 9.5)),
        "ch": _european(425.0, (1.0, 4.0), (0.5, 0.5), (0.2, 0.2), (0.2, 0.2, 0.2, 4.0)),
        "at": _european(420.0, (1.0, 5.0), (0.4, 0.4), (0.2, 0.2), (0.04, 1.96)),
        "be": _european(425.0, (1.0, 3.0), (0.5, 0.5), (0.167, 0.167), (0.175, 0.175, 0.175, 3.5)),
        "pl": _european(425.0, (1.0, 4.0), (0.5, 0.5), (0.5, 0.5), (0.15, 0.15, 0.15, 4.0)),
        "br": _european(425.0, (1.0, 4.0), (0.25, 0.25), (0.25, 0.25), (0.05, 1.0)),
    }
)


def plans_of(country: str) -> Mapping[str, TonePlan]:
    """The tones of a country by its two letters (ISO 3166-1, and uk), European where it isn't known."""
    return PLANS.get("uk" if country.lower() == "gb" else country.lower(), EUROPEAN)
