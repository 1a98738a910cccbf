"""Pictures as sixels: six rows of samples at a time, one colour after the other (DEC STD 070, chapter 9; VT330/VT340 manual, 14).

The palette is fixed: levels of red, green and blue, as many as the terminal has registers for, and what is between two of them is made
of a pattern of both. So nothing is searched for, and a picture that stands still stays the same.
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sinchphone.picture.frame import Colours
from sinchphone.picture.graphics.drawing import Cell, fitted_cells

_BAND: Final = 6
_LEVELS: Final = ((216, (6, 6, 6)), (125, (5, 5, 5)), (64, (4, 4, 4)), (27, (3, 3, 3)), (16, (2, 4, 2)), (8, (2, 2, 2)))  # by registers
_PATTERN: Final = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) + 0.5) / 16  # Bayer's
_FIRST: Final = 63  # "?": none of the six
_RUN: Final = re.compile(rb"(.)\1{3,}", re.DOTALL)
_BEGIN: Final = '\x1bP0;1;0q"1;1;{width};{height}'  # what isn't set stays; samples are square
_END: Final = "\x1b\\"
_KEEP_CURSOR, _CURSOR_BACK = "\x1b7", "\x1b8"


class Sixels:
    """Implements drawing.Drawing. ``registers``: of colour; ``most``: columns and rows of samples."""

    def __init__(self, registers: int, most: tuple[int, int]) -> None:
        self._levels = next((levels for needed, levels in _LEVELS if registers >= needed), (2, 2, 2))
        self._most = most
        self._palette = "".join(
            f"#{index};2;{_percent(red, self._levels[0])};{_percent(green, self._levels[1])};{_percent(blue, self._levels[2])}"
            for index, (red, green, blue) in enumerate(np.ndindex(*self._levels))
        )

    def fit(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        columns = max(1, min(columns, int(self._most[0] / cell.width)))
        rows = max(1, min(rows, int(self._most[1] / cell.height)))
        return fitted_cells(width, height, columns, rows, cell)

    def samples(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        """As many as the cells have: nobody scales them."""
        return max(1, int(columns * cell.width)), max(1, int(rows * cell.height))

    def draw(self, colours: Colours, columns: int, rows: int) -> str:
        height, width = colours.shape[:2]
        indices = self._indices(colours)
        bands = [self._band(indices[top : top + _BAND]) for top in range(0, height, _BAND)]
        begin = _BEGIN.format(width=width, height=height)
        return f"{_KEEP_CURSOR}{begin}{self._palette}{b'-'.join(bands).decode()}{_END}{_CURSOR_BACK}"

    def forget(self) -> None:
        """Each picture is whole."""

    @property
    def clear(self) -> str:
        """The cells are the picture."""
        return ""

    def _indices(self, colours: Colours) -> NDArray[np.uint8]:
        """The register of each sample."""
        height, width = colours.shape[:2]
        pattern = np.tile(_PATTERN, (-(-height // 4), -(-width // 4)))[:height, :width]
        found = np.zeros((height, width), np.uint8)
        for channel, levels in enumerate(self._levels):
            level = (colours[:, :, channel] * np.float32((levels - 1) / 255) + pattern).astype(np.uint8)
            found = found * np.uint8(levels) + np.minimum(level, np.uint8(levels - 1))
        return found

    def _band(self, rows: NDArray[np.uint8]) -> bytes:
        """One band: for each colour in it, which of the six are of it."""
        width = rows.shape[1]
        bits = np.zeros((int(np.prod(self._levels)), width), np.uint8)
        across = np.arange(width)
        for place, row in enumerate(rows):
            bits[row, across] |= np.uint8(1 << place)
        used = np.flatnonzero(bits.any(axis=1))
        lines = bits[used] + np.uint8(_FIRST)
        return b"$".join(b"#%d%b" % (index, _shortened(line.tobytes())) for index, line in zip(used.tolist(), lines, strict=True))


def _percent(level: int, levels: int) -> int:
    return round(100 * level / (levels - 1))


def _shortened(line: bytes) -> bytes:
    """Runs as counts, and nothing of what is empty at the end."""
    return _RUN.sub(lambda run: b"!%d%b" % (len(run[0]), run[1]), line.rstrip(b"?"))
