"""Long lines on a terminal, broken between words: the terminal itself breaks them in the middle of one."""

import os
import textwrap
from typing import Final, TextIO

_LEAST: Final = 20  # columns: a narrower terminal breaks words in any case
_INDENT: Final = 2


def wrapped(text: str, stream: TextIO, indent: int | None = None) -> str:
    """The text as it is written there: as it is to a file or a pipe, in lines of whole words on a terminal, the further ones moved in by
    ``indent`` columns. What is longer than a line (a URL, a path) stays whole."""
    columns = _columns(stream)
    if columns is None or columns < _LEAST or len(text) <= columns:
        return text
    before = min(len(text) - len(text.lstrip(" ")), columns // 2)
    further = " " * min(before + _INDENT if indent is None else indent, columns // 2)
    return "\n".join(
        textwrap.wrap(
            text, columns, subsequent_indent=further, break_long_words=False, break_on_hyphens=False, replace_whitespace=False, tabsize=1
        )
    )


def _columns(stream: TextIO) -> int | None:
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None
