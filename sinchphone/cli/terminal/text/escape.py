"""What others wrote, made harmless for a terminal and for the eye: by a fixed list, the same whatever Python and Unicode's age.

Listed are controls, what turns or hides text, and what no writing system needs. Not listed, and so shown as it is: letters, signs and
emoji of any age, private characters (fonts draw them), variation selectors, and the joiners that join something.
"""

import re
from typing import Final

MAX_TEXT: Final = 1_000  # characters of one line

_HARMFUL: Final = (
    "\x00-\x1f\x7f"  # C0, DEL
    "\x80-\x9f"  # C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls (Unicode 9, table 2-1)
    "\u2028\u2029"  # line and paragraph separators
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # invisible (Default_Ignorable_Code_Point)
    "\ufff0-\ufffb"  # interlinear annotations, and unassigned ones that are to be ignored
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # format characters of shorthand and of music
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags, which can carry a hidden text, and what is reserved beside them
    "\ud800-\udfff"  # surrogates
)
_ASCII_OR_EDGE_BEFORE: Final = r"(?<![^\x00-\x7f])"
_ASCII_OR_EDGE_AFTER: Final = r"(?![^\x00-\x7f])"
# A zero-width space, non-joiner or joiner amid ASCII joins nothing: it makes a name that looks like another.
_JOINS_NOTHING: Final = f"{_ASCII_OR_EDGE_BEFORE}[\u200b-\u200d]{_ASCII_OR_EDGE_AFTER}"
# The flags of England, Scotland and Wales are spelt with tags (UTS 51, RGI_Emoji_Tag_Sequence).
_FLAGS: Final = tuple(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f" for region in ("gbeng", "gbsct", "gbwls")
)
_PATTERN: Final = re.compile(f"{'|'.join(_FLAGS)}|[{_HARMFUL}]|{_JOINS_NOTHING}")


def escape(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` in one line, with nothing in it that moves a cursor, changes colours, hides or turns the direction of text.

    What harms becomes ``\\x1b`` or ``\\u202e``. Longer text is cut.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _PATTERN.sub(_written, cut)


def _written(found: re.Match[str]) -> str:
    if found[0] in _FLAGS:
        return found[0]
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
