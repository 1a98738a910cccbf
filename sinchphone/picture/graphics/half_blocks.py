"""Pictures made of characters: the upper half of a cell is its foreground, the lower its background. Only what changed is written.

A cell that changes less than anybody sees keeps its colours, and so costs nothing; colours are written only where they differ from
those of the cell before.
"""

from enum import Enum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sinchphone.picture.frame import Colours
from sinchphone.picture.graphics.drawing import Cell, fitted_cells

_UPPER_HALF: Final = "\N{UPPER HALF BLOCK}"
_RESET: Final = "\x1b[0m"
_KEPT_BITS: Final = 0xF8  # of 8 a colour: five
_HALF_STEP: Final = 4
_UNSEEN: Final = 12  # a change of no sample by more than that isn't written
_CUBE_BETWEEN: Final = (48, 115, 155, 195, 235)  # between the levels 0, 95, 135, 175, 215, 255 of xterm's 256 colours
_CUBE_FIRST, _GREY_FIRST, _GREYS = 16, 232, 24  # greys: 8, 18, … 238
_GREYISH: Final = 12  # red, green and blue that are no further apart are a grey

_Numbers: TypeAlias = NDArray[np.int32]


class ColourDepth(Enum):
    """What a terminal has."""

    TRUE = "24-bit"
    INDEXED = "256 colours"


class HalfBlocks:
    """What stands on a terminal, and what makes it another picture. Implements drawing.Drawing."""

    def __init__(self, depth: ColourDepth) -> None:
        self._depth = depth
        self._shown: NDArray[np.uint8] | None = None  # rows, columns, six samples: the upper colour and the lower

    def forget(self) -> None:
        """It's no longer there: the next picture is written whole."""
        self._shown = None

    @property
    def clear(self) -> str:
        """The cells are the picture."""
        return ""

    def fit(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        return fitted_cells(width, height, columns, rows, cell)

    def samples(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        """Two of each cell."""
        return columns, 2 * rows

    def draw(self, colours: Colours, columns: int = 0, rows: int = 0) -> str:
        """What to write where the cursor stands at the first cell, and stands again afterwards; the rows below it are there already.
        ``colours`` has two rows for each row of cells, which says how many there are; an odd last one is left out."""
        rows = colours.shape[0] // 2
        pairs = colours[: 2 * rows].reshape(rows, 2, colours.shape[1], 3)
        cells = np.concatenate([pairs[:, 0], pairs[:, 1]], axis=2)
        shown = self._shown
        if shown is None or shown.shape != cells.shape:
            changed = np.ones(cells.shape[:2], bool)
            self._shown = cells & np.uint8(_KEPT_BITS)
        else:
            step = np.abs(cells.astype(np.int16) - (shown.astype(np.int16) + _HALF_STEP))
            changed = step.max(axis=2) > _UNSEEN
            shown[changed] = cells[changed] & np.uint8(_KEPT_BITS)
        return self._written(changed)

    def _written(self, changed: NDArray[np.bool_]) -> str:
        assert self._shown is not None, "there is a picture"
        upper, lower = self._numbers(self._shown[:, :, :3]), self._numbers(self._shown[:, :, 3:])
        pieces: list[str] = []
        pen, at_row = _Pen(self._depth), 0
        for row in np.flatnonzero(changed.any(axis=1)).tolist():
            if row > at_row:
                pieces.append(f"\x1b[{row - at_row}B")
            at_row = row
            columns = np.flatnonzero(changed[row])
            before = -2
            for column, above, below in zip(columns.tolist(), upper[row, columns].tolist(), lower[row, columns].tolist(), strict=True):
                if column != before + 1:
                    pieces.append(f"\x1b[{column + 1}G")
                before = column
                pieces.append(pen.cell(above, below))
        if not pieces:
            return ""
        back = f"\x1b[{at_row}A" if at_row else ""
        return f"{''.join(pieces)}{_RESET}{back}\r"

    def _numbers(self, samples: NDArray[np.uint8]) -> _Numbers:
        """One number a colour: of 24 bits, or an index."""
        red, green, blue = (samples[:, :, index].astype(np.int32) for index in range(3))
        if self._depth is ColourDepth.TRUE:
            return red << 16 | green << 8 | blue
        levels = [np.searchsorted(_CUBE_BETWEEN, one).astype(np.int32) for one in (red, green, blue)]
        cube = _CUBE_FIRST + 36 * levels[0] + 6 * levels[1] + levels[2]
        grey = np.clip((red + green + blue) // 3 - 3, 0, 10 * _GREYS - 1) // 10 + _GREY_FIRST
        highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
        return np.where(highest - lowest <= _GREYISH, grey, cube).astype(np.int32)


class _Pen:
    """The colours that the terminal writes with."""

    def __init__(self, depth: ColourDepth) -> None:
        self._depth = depth
        self._above = self._below = -1

    def cell(self, above: int, below: int) -> str:
        """A cell of those two colours."""
        colours = ""
        if above not in (below, self._above):
            self._above = above
            colours = f"38;{self._named(above)}"
        if below != self._below:
            self._below = below
            colours += f"{';' if colours else ''}48;{self._named(below)}"
        text = " " if above == below else _UPPER_HALF
        return f"\x1b[{colours}m{text}" if colours else text

    def _named(self, colour: int) -> str:
        if self._depth is ColourDepth.INDEXED:
            return f"5;{colour}"
        return f"2;{colour >> 16};{colour >> 8 & 0xFF};{colour & 0xFF}"
