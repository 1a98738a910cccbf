"""Colours that can be read: on dark terminals, on light ones, and where nobody says which it is, on both.

::

    Line.style "green" -> shade of the background (COLORFGBG) and of the terminal's depth (TERM, COLORTERM) -> SGR codes

The terminal isn't asked for its background (OSC 11): an answer that comes late would be read as keys, and digits in a call are dialled.
"""

import os
from collections.abc import Mapping
from enum import Enum
from typing import Final


class Background(Enum):
    """What stands behind the text."""

    DARK = "dark"
    LIGHT = "light"
    UNKNOWN = "unknown"


# Of the 256 colours: those of an unknown background have at least 4 to 1 against white and against black, the
# others at least 5 to 1 (WCAG 2.2, 1.4.3 and 1.4.11).
SHADES: Final[Mapping[Background, Mapping[str, int]]] = {
    Background.DARK: {"green": 77, "yellow": 221, "red": 210, "dim": 247},
    Background.LIGHT: {"green": 22, "yellow": 94, "red": 124, "dim": 240},
    Background.UNKNOWN: {"green": 28, "yellow": 130, "red": 161, "dim": 243},
}
# Of the first sixteen, which each terminal mixes as it likes: yellow and green can't be told from white on many of them.
_FEW: Final[Mapping[Background, Mapping[str, str]]] = {
    Background.DARK: {"green": "32", "yellow": "33", "red": "31", "dim": ""},
    Background.LIGHT: {"green": "", "yellow": "1", "red": "31", "dim": ""},
    Background.UNKNOWN: {"green": "", "yellow": "1", "red": "31", "dim": ""},
}
_DARK_TERMS: Final = ("linux",)  # the console, which is black
_RICH_TERMS: Final = ("256color", "kitty", "alacritty", "foot", "ghostty", "wezterm", "direct")
_LIGHT_FROM: Final = 7  # of the sixteen: white, and the bright ones but for dark grey (8)
_DARK_GREY: Final = 8


class Palette:
    """Of one terminal."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._background = background(environ)
        self._is_rich = _has_many_colors(environ)

    def painted(self, text: str, style: str) -> str:
        """``text`` in that style: words of ``SHADES``, and bold."""
        codes = ";".join(code for word in style.split() if (code := self._code(word)))
        return "\n".join(f"\x1b[{codes}m{line}\x1b[0m" if line else "" for line in text.split("\n")) if codes else text

    def _code(self, word: str) -> str:
        if word == "bold":
            return "1"
        if self._is_rich:
            return f"38;5;{SHADES[self._background][word]}"
        return _FEW[self._background][word]


def background(environ: Mapping[str, str]) -> Background:
    """What the terminal says of itself in COLORFGBG (rxvt, Konsole, iTerm2, …): ``15;0`` or ``0;default;15``, the background last."""
    last = environ.get("COLORFGBG", "").rpartition(";")[2]
    if last.isdecimal() and len(last) <= 2:
        number = int(last)
        return Background.LIGHT if number >= _LIGHT_FROM and number != _DARK_GREY else Background.DARK
    return Background.DARK if environ.get("TERM", "") in _DARK_TERMS else Background.UNKNOWN


def _has_many_colors(environ: Mapping[str, str]) -> bool:
    return environ.get("COLORTERM", "") in ("truecolor", "24bit") or any(name in environ.get("TERM", "") for name in _RICH_TERMS)
