"""Edits of valid text and bytes: what a hostile or broken peer makes of a good message, by lines, words and characters.

::

    strategy = edits(words)     draw -> a list of Edits, which shrinks to few and simple ones
    edited(text, edits)         -> the text with them, one after the other
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

NUMBERS: Final = (
    "0",
    "1",
    "-1",
    "127",
    "128",
    "65535",
    "65536",
    "2147483648",
    "4294967296",
    "9" * 30,
    "9" * 5000,
    "1e9",
    "007",
    "+5",
    "\u0665",
)
MARKS: Final = (
    "",
    " ",
    "\t",
    "\x00",
    "\x0b",
    "\x1c",
    "\r",
    "\n",
    "\r\n",
    ";",
    ",",
    ":",
    "=",
    "@",
    "<",
    ">",
    '"',
    "\\",
    "%",
    "[",
    "]",
    "/",
    "?",
    "é",
    "\u2028",
    "\udc80",
    "\ud800",
)
_WORD: Final = re.compile(r"[A-Za-z0-9.+_-]+")
_MOST: Final = 60_000  # characters of an edited text: above every reader's limit


@dataclass(frozen=True, slots=True)
class Edit:
    """One change. ``place`` and ``other`` count lines, words or characters, modulo how many there are."""

    kind: str
    place: int
    other: int
    text: str


def edits(words: Sequence[str], *, most: int = 8) -> st.SearchStrategy[list[Edit]]:
    """Changes that know the words of the format."""
    texts = st.one_of(st.sampled_from(list(words)), st.sampled_from(NUMBERS), st.sampled_from(MARKS), st.text(max_size=6))
    return st.lists(st.builds(Edit, st.sampled_from(KINDS), st.integers(0, 400), st.integers(0, 40), texts), max_size=most)


def edited(text: str, changes: Sequence[Edit]) -> str:
    """The text with those changes."""
    for one in changes:
        text = _EDITS[one.kind](text, one)[:_MOST]
    return text


def _lines(change: Callable[[list[str], int, Edit], list[str]]) -> Callable[[str, Edit], str]:
    def apply(text: str, one: Edit) -> str:
        lines = text.split("\r\n")
        return "\r\n".join(change(lines, one.place % len(lines), one))

    return apply


def _word(text: str, one: Edit) -> str:
    found = list(_WORD.finditer(text))
    if not found:
        return one.text
    match = found[one.place % len(found)]
    return text[: match.start()] + one.text + text[match.end() :]


def _swap_words(text: str, one: Edit) -> str:
    found = list(_WORD.finditer(text))
    if len(found) < 2:
        return text
    first, second = sorted((one.place % len(found), one.other % len(found)))
    a, b = found[first], found[second]
    return text if first == second else text[: a.start()] + b[0] + text[a.end() : b.start()] + a[0] + text[b.end() :]


def _insert(text: str, one: Edit) -> str:
    at = one.place * 7919 % (len(text) + 1)
    return text[:at] + one.text + text[at:]


def _cut(text: str, one: Edit) -> str:
    at = one.place * 7919 % (len(text) + 1)
    return text[:at] + text[at + 1 + one.other :]


def _end(text: str, one: Edit) -> str:
    return text[: len(text) - one.place % (len(text) + 1)]


def _repeat(text: str, one: Edit) -> str:
    at = one.place * 7919 % (len(text) + 1)
    return text[:at] + text[at : at + 1 + one.other] * (1 + one.place) + text[at:]


_EDITS: Final[dict[str, Callable[[str, Edit], str]]] = {
    "add a line": _lines(lambda lines, at, one: [*lines[:at], one.text, *lines[at:]]),
    "cut": _cut,
    "drop a line": _lines(lambda lines, at, _: lines[:at] + lines[at + 1 :]),
    "double a line": _lines(lambda lines, at, one: lines[:at] + [lines[at]] * (2 + one.other) + lines[at + 1 :]),
    "end": _end,
    "insert": _insert,
    "move a line": _lines(lambda lines, at, one: _moved(lines, at, one.other % len(lines))),
    "repeat": _repeat,
    "swap words": _swap_words,
    "word": _word,
}
KINDS: Final = tuple(sorted(_EDITS))


def _moved(lines: list[str], at: int, to: int) -> list[str]:
    rest = lines[:at] + lines[at + 1 :]
    return [*rest[:to], lines[at], *rest[to:]]


def flipped(data: bytes, flips: Sequence[tuple[int, int]]) -> bytes:
    """The bytes with bits turned: ``flips`` are places, modulo their number, and masks."""
    changed = bytearray(data)
    for place, mask in flips:
        if changed:
            changed[place % len(changed)] ^= mask
    return bytes(changed)


def growth(work: Callable[[int], object], size: int) -> float:
    """How many times as long ``work`` takes for four times ``size``: about 4 where time grows with the size, 16 with its square.

    The fastest of several tries each, in CPU time. Work that takes less than a few milliseconds tells nothing: 1.
    """
    small, large = (min(_seconds(work, each) for _ in range(3)) for each in (size, 4 * size))
    return large / max(small, 0.002)


def _seconds(work: Callable[[int], object], size: int) -> float:
    began = time.thread_time()
    work(size)
    return time.thread_time() - began
