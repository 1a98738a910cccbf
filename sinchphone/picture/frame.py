"""The one picture format inside the phone: I420, 8 bits a sample, ITU-R BT.601 in its limited range; and RGB for those who show it."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sinchphone.quick_dataclass import quick_dataclass

MAX_SIDE: Final = 4096

Plane: TypeAlias = NDArray[np.uint8]
Colours: TypeAlias = NDArray[np.uint8]  # rows, columns, red green blue


@quick_dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """``planes`` has ``width`` columns and ``height * 3 / 2`` rows: brightness, then blue and red difference at half the size each. Both
    sides are even. ``taken_at``: when a camera saw it [s], of the clock of whoever made it."""

    planes: Plane
    taken_at: float = 0.0

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.planes.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.planes.shape[0]) * 2 // 3

    @property
    def brightness(self) -> Plane:
        """The first plane."""
        return self.planes[: self.height]

    @property
    def differences(self) -> tuple[Plane, Plane]:
        """Blue and red less brightness, around 128, at half the size."""
        blue, red = np.split(self.planes[self.height :].reshape(-1), 2)
        shape = (self.height // 2, self.width // 2)
        return blue.reshape(shape), red.reshape(shape)


def black(width: int, height: int, taken_at: float = 0.0) -> Picture:
    """A dark picture; sides are made even."""
    width, height = even(width), even(height)
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = 16
    return Picture(planes, taken_at)


def even(side: int) -> int:
    """A side that chroma can have half of."""
    return max(2, side // 2 * 2)
