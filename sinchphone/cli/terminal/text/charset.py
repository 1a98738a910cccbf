"""What a terminal can show beyond ASCII: bars of meters, arrows and ellipses of ours, and what takes their place where it can't.

What others wrote is not touched: a letter that the stream's encoding lacks is spelt as an escape by the stream itself.
"""

import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

DRAWN: Final = "▁▂▃▄▅▆▇█…↵"  # what we draw with
# As good as ASCII can: the eighths of a bar, signs, and the boxes of our pages' drawings.
_IN_ASCII: Final = str.maketrans(
    dict(zip("▁▂▃▄▅▆▇█", "----####", strict=True))
    | {"…": "~", "↵": "/", "•": "*", "†": "+", "─": "-", "│": "|"}
    | dict.fromkeys("┌┐└┘├┤┬┴┼", "+")
)
_UTF8: Final = ("utf-8", "utf8")


def takes_drawing(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what we draw can be shown there: the stream's encoding has it, and nothing says that the terminal takes less.

    In the C locale Python writes UTF-8 all the same (PEP 538, PEP 540), and sets LC_CTYPE; the terminal knows nothing of that.
    """
    try:
        DRAWN.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return not _is_terminal(stream) or _locale_says_utf8(environ)


def in_ascii(text: str) -> str:
    """With our signs in ASCII."""
    return text if text.isascii() else text.translate(_IN_ASCII)


def _locale_says_utf8(environ: Mapping[str, str]) -> bool:
    if sys.platform == "win32" or environ.get("PYTHONUTF8") == "1":
        return True
    every, letters, usual = (environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    if not every and usual in ("", "C", "POSIX") and letters in ("C.UTF-8", "C.utf8", "UTF-8"):
        letters = ""  # Python's own (PEP 538)
    said = (every or letters or usual).lower()
    return any(name in said for name in _UTF8) or (sys.platform == "darwin" and not said)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
