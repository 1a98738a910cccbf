"""What draws pictures on a terminal, whatever it's made of; and how large the terminal's cells are."""

from typing import TYPE_CHECKING, Final, Protocol

from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:  # a terminal without pictures loads nothing of them
    from sinchphone.picture.frame import Colours

_LEAST_SIDE, _MOST_SIDE = 2.0, 200.0  # samples
_FLATTEST, _TALLEST = 1.2, 2.8  # a cell's height by its width; terminals that make their pixels up say others


@quick_dataclass(frozen=True, slots=True)
class Cell:
    """A cell's sides in samples of the terminal."""

    width: float
    height: float


USUAL_CELL: Final = Cell(8, 16)


def cell_of(columns: int, rows: int, width: int, height: int) -> Cell | None:
    """What a terminal's size says in cells and in samples; ``None`` where that can't be."""
    if min(columns, rows, width, height) <= 0:
        return None
    return plausible(Cell(width / columns, height / rows))


def plausible(cell: Cell) -> Cell | None:
    """The cell, unless no font has such a one."""
    sides = _LEAST_SIDE <= cell.width <= _MOST_SIDE and _LEAST_SIDE <= cell.height <= _MOST_SIDE
    return cell if sides and _FLATTEST <= cell.height / cell.width <= _TALLEST else None


class Drawing(Protocol):
    """Draws one picture after the other in the same place. One thread at a time."""

    def fit(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        """How many columns and rows a picture of that size has, at most those."""

    def samples(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        """Of what size the colours of so many cells are to be, of a picture of that size."""

    def draw(self, colours: "Colours", columns: int, rows: int) -> str:
        """What to write where the cursor stands at the first cell, and stands again afterwards; the rows below it are there already."""

    def forget(self) -> None:
        """It's no longer there."""

    @property
    def clear(self) -> str:
        """What takes away that which erasing the cells leaves."""


def fitted_cells(width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
    """The most cells that show a picture of that shape."""
    scale = min(columns * cell.width / width, rows * cell.height / height)
    return min(columns, max(1, round(width * scale / cell.width))), min(rows, max(1, round(height * scale / cell.height)))


def bounded(width: int, height: int, columns: int, rows: int, cell: Cell, most: int) -> tuple[int, int]:
    """The samples of a picture that the terminal itself scales: no more than its own, than cells have, and than ``most`` in all."""
    scale = min(1.0, columns * cell.width / width, rows * cell.height / height, (most / (width * height)) ** 0.5)
    return max(1, round(width * scale)), max(1, round(height * scale))
