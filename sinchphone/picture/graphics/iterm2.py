"""Pictures by iTerm2's inline images: a file, which the terminal scales to cells (https://iterm2.com/documentation-images.html)."""

import base64
from collections.abc import Callable
from typing import Final

from sinchphone.picture.frame import Colours
from sinchphone.picture.graphics.drawing import Cell, bounded, fitted_cells

_MOST_BYTES: Final = 1_000_000  # of a sequence: terminals and tmux give up on one of a mebibyte
_KEEP_CURSOR, _CURSOR_BACK = "\x1b7", "\x1b8"


class InlineImages:
    """Implements drawing.Drawing. ``compress`` makes a file of a picture; ``most``: samples of one."""

    def __init__(self, compress: Callable[[Colours], bytes], most: int) -> None:
        self._compress = compress
        self._most = most

    def fit(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        return fitted_cells(width, height, columns, rows, cell)

    def samples(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        return bounded(width, height, columns, rows, cell, self._most)

    def draw(self, colours: Colours, columns: int, rows: int) -> str:
        """Nothing where the file is too large for a terminal."""
        file = self._compress(colours)
        data = base64.b64encode(file).decode()
        if len(data) > _MOST_BYTES:
            return ""
        keys = f"inline=1;size={len(file)};width={columns};height={rows};preserveAspectRatio=0;doNotMoveCursor=1"
        return f"{_KEEP_CURSOR}\x1b]1337;File={keys}:{data}\x07{_CURSOR_BACK}"

    def forget(self) -> None:
        """Each picture is whole."""

    @property
    def clear(self) -> str:
        """The cells are the picture."""
        return ""
