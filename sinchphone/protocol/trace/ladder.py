"""A call as a ladder: a column for each who takes part, an arrow for each message, as sngrep and textbooks draw it (plain text).

::

         ada                 exchange                bob
    0.000 │ POST /…/calls       │                     │
          │────────────────────>│                     │
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sinchphone.protocol.trace.event import TraceEvent

MIN_WIDTH: Final = 60
MAX_COLUMNS: Final = 8  # who comes later shares the last one
_NARROWEST: Final = 12  # cells of a column
_TIME: Final = 9  # cells of the clock


def draw(events: Sequence[TraceEvent], width: int, escape: Callable[[str], str], *, bodies: bool = False) -> list[str]:
    """The lines of the ladder, none wider than ``width`` cells (at least 60). ``escape`` makes harmless what others wrote; ``bodies``
    follow their arrows, in lines as long as they are."""
    if not events:
        return []
    names = participants(events)
    ladder = _Ladder(names, max(MIN_WIDTH, width), escape)
    lines = [ladder.heading(), ladder.rails()]
    began_at = min(event.at for event in events)
    for event in events:
        lines += ladder.arrow(event, event.at - began_at)
        if bodies and event.body:
            lines += [f"{'':{_TIME}}  {escape(line)}" for line in event.body.splitlines()]
    return [*lines, ladder.rails()]


def participants(events: Iterable[TraceEvent]) -> list[str]:
    """Who takes part, in the order in which they appear, the exchange after who speaks with it first."""
    found: dict[str, None] = {}
    for event in events:
        found.setdefault(event.source)
        found.setdefault(event.target)
    names = list(found)
    if names[:1] == ["exchange"] and len(names) > 1:
        names[:2] = [names[1], names[0]]
    return names


class _Ladder:
    def __init__(self, names: Sequence[str], width: int, escape: Callable[[str], str]) -> None:
        self._escape = escape
        columns = min(MAX_COLUMNS, (width - _TIME - 2) // _NARROWEST)
        self._names = list(names[:columns])
        if len(names) > columns:
            self._names[-1] = "others"
        self._gap = (width - _TIME - 2) // len(self._names)
        self._width = width
        self._columns = {name: _TIME + 2 + self._gap // 2 + index * self._gap for index, name in enumerate(self._names)}

    def heading(self) -> str:
        line = ""
        for name, column in self._columns.items():
            text = fit(self._escape(name), self._gap - 2)
            line = pad(line, max(cells(line) + 1, column - cells(text) // 2)) + text
        return line.rstrip()

    def rails(self) -> str:
        return "".join(self._row("")).rstrip()

    def arrow(self, event: TraceEvent, seconds: float) -> list[str]:
        """Its words above it, where there is room; else beside the rails."""
        here, there = self._column(event.source), self._column(event.target)
        mark = "✗ " if event.is_failure else ""
        said = f"{mark}{event.kind.value} {self._escape(event.summary)}"
        clock = f"{seconds:8.3f}"
        if here == there:
            return [self._written(clock, here + 2, self._width - here - 2, said)]
        left, right = min(here, there), max(here, there)
        words = self._written(clock, left + 2, self._width - left - 2, said)
        row = self._row("")
        for cell in range(left + 1, right):
            row[cell] = "─"
        row[right - 1 if there == right else left + 1] = ">" if there == right else "<"
        return [words, "".join(row).rstrip()]

    def _column(self, name: str) -> int:
        return self._columns.get(name, self._columns[self._names[-1]])

    def _row(self, clock: str) -> list[str]:
        row = list(f"{clock:<{_TIME}}") + [" "] * (self._width - _TIME)
        for column in self._columns.values():
            if column < len(row):
                row[column] = "│"
        return row

    def _written(self, clock: str, start: int, room: int, text: str) -> str:
        """Text over the rails from ``start`` on."""
        shown = fit(text, max(1, room))
        before, after = self._row(clock)[:start], self._row(clock)[start + cells(shown) :]
        return ("".join(before) + shown + "".join(after)).rstrip()


def cells(text: str) -> int:
    """How many cells of a terminal a text takes."""
    return sum(0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def fit(text: str, room: int) -> str:
    """The text, cut to so many cells."""
    if cells(text) <= room:
        return text
    kept = ""
    for one in text:
        if cells(kept + one) > room - 1:
            break
        kept += one
    return f"{kept}…"


def pad(text: str, width: int) -> str:
    """The text with spaces behind it."""
    return text + " " * max(0, width - cells(text))
