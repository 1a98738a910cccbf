"""A bad line on request: media packets get lost and late, at random, in both directions of a port. STUN and DTLS pass it unharmed.

::

    "loss=5%,jitter=40ms,delay=100ms"  ->  SimulatedLine  ->  LineSimulator.carry(packet, on) : dropped, or ``on`` called later
"""

import re
from collections.abc import Callable
from random import Random
from typing import Final, Protocol, Self

from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import parse_duration

MAX_DELAY_S: Final = 2.0
FORM: Final = 'must be faults such as "loss=5%,jitter=40ms,delay=100ms"'
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")


class Clock(Protocol):
    """What calls later (an event loop)."""

    def call_later(self, delay: float, callback: Callable[[bytes], object], packet: bytes) -> object:
        """Call back in so many seconds."""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLine:
    """What a line does to each packet: it's lost with a probability of ``loss`` (0 to 1), takes ``delay_s`` longer, and up to ``jitter_s``
    more, evenly distributed, so that packets overtake each other."""

    loss: float = 0.0
    jitter_s: float = 0.0
    delay_s: float = 0.0

    @classmethod
    def read(cls, written: str) -> Self:
        """A line as people write it. Raises ValueError, with the end of a sentence."""
        found: dict[str, float] = {}
        for part in written.split(","):
            name, equals, value = (word.strip() for word in part.partition("="))
            if not equals or name in found or name not in _READERS:
                raise ValueError(FORM)
            found[name] = _READERS[name](value)
        return cls(loss=found.get("loss", 0.0), jitter_s=found.get("jitter", 0.0), delay_s=found.get("delay", 0.0))


def _percent(written: str) -> float:
    match = _PERCENT.fullmatch(written)
    if match is None or float(match[1]) > 100:
        raise ValueError(FORM)
    return float(match[1]) / 100


def _seconds(written: str) -> float:
    seconds = parse_duration(written)
    if seconds > MAX_DELAY_S:
        raise ValueError(f"must not be later than {MAX_DELAY_S:g}s")
    return seconds


_READERS: Final[dict[str, Callable[[str], float]]] = {"loss": _percent, "jitter": _seconds, "delay": _seconds}


class LineSimulator:
    """The line of one port, in one thread."""

    def __init__(self, line: SimulatedLine, clock: Clock, dice: Random | None = None) -> None:
        self._line = line
        self._clock = clock
        self._dice = dice or Random()

    def carry(self, packet: bytes, on: Callable[[bytes], object]) -> None:
        """Call ``on`` with the packet: now, later or never."""
        if self._dice.random() < self._line.loss:
            return
        wait = self._line.delay_s + self._dice.random() * self._line.jitter_s
        if wait:
            self._clock.call_later(wait, on, packet)
        else:
            on(packet)
