"""How good a call sounds, estimated from what the line does: the wideband E-model (ITU-T G.107.1).

::

    R = Ro - Id(one-way delay) - Ie,eff(codec, share of sound that was made up)   ->   MOS (ITU-T G.107 annex B, on R / 1.29)

It is a planning model: no microphone, no loudspeaker and no room are in it. Everything that G.107.1 leaves at its default
(levels, echo, noise) is at its default here.
"""

import math
from types import MappingProxyType
from typing import Final

from sinchphone.quick_dataclass import quick_dataclass

RO: Final = 129.0  # G.107.1 7.1: the rating of a clean wideband line
_NARROWBAND: Final = 1.29  # G.107.1 annex A: from the wideband scale to the one that the MOS formula takes
_FREE_DELAY_MS: Final = 100.0  # G.107 7.4: up to here nobody notices


@quick_dataclass(frozen=True, slots=True)
class Impairment:
    """What a codec costs: ``ie`` without loss, ``bpl`` how well it takes loss (higher is better), on the wideband scale."""

    ie: float
    bpl: float


# Opus isn't in G.113. Chosen so that speech over the lines of the benchmarks (set "tuning") comes out where its wideband PESQ score is,
# within 0.3 on average; its ``ie`` is that of no bits at all, and falls with the bit rate.
_OPUS_FULL_KBPS: Final = 48.0  # where the rate isn't known
_OPUS_FALL_KBPS: Final = 23.3
RECOVERED_COSTS: Final = 0.14  # what is decoded from Opus's own copy in the next packet, in sound that is made up
_OPUS: Final = Impairment(83.0, 1.73)
# ITU-T G.113 appendices I and IV (G.711's Bpl with concealment)
CODECS: Final = MappingProxyType(
    {
        "G722": Impairment(13.0, 13.0),
        "PCMU": Impairment(36.0, 25.1),
        "PCMA": Impairment(36.0, 25.1),
    }
)


def rating(codec: str, concealed_share: float, one_way_ms: float, *, kbps: float | None = None) -> float:
    """The transmission rating R on the wideband scale, 0 to 129.

    ``concealed_share`` (0 to 1) is what the receiver had to make up, ``one_way_ms`` the delay from mouth to ear. A codec that isn't in
    ``CODECS`` is taken for Opus. ``kbps``: of speech as it's coded, without copies and headers; ``None``: not known. Only Opus changes it.
    """
    impairment = CODECS.get(codec, _opus(kbps))
    loss = 100 * min(1.0, max(0.0, concealed_share))
    equipment = impairment.ie + (95 - impairment.ie) * loss / (loss + impairment.bpl)
    return min(RO, max(0.0, RO - _delay_impairment(one_way_ms) - equipment))


def mos(codec: str, concealed_share: float, one_way_ms: float, *, kbps: float | None = None) -> float:
    """The mean opinion score to expect, 1.0 (bad) to 4.5 (excellent). Parameters as of ``rating``."""
    r = rating(codec, concealed_share, one_way_ms, kbps=kbps) / _NARROWBAND
    if r <= 0:
        return 1.0
    return min(4.5, max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6))


def _opus(kbps: float | None) -> Impairment:
    spent = _OPUS_FULL_KBPS if kbps is None else max(0.0, kbps)
    return Impairment(_OPUS.ie * math.exp(-spent / _OPUS_FALL_KBPS), _OPUS.bpl)


def _delay_impairment(one_way_ms: float) -> float:
    """Idd of G.107 (7-27), which G.107.1 keeps."""
    if one_way_ms <= _FREE_DELAY_MS:
        return 0.0
    x = math.log2(one_way_ms / _FREE_DELAY_MS)
    return 25 * (math.pow(1 + x**6, 1 / 6) - 3 * math.pow(1 + (x / 3) ** 6, 1 / 6) + 2)
